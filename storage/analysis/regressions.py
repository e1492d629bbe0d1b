"""Has anything changed?  A night against the one before, a canary against all that were played like it.

Both are paired by scenario and corrected for everything that is asked at once: all models and all columns of the
leaderboard.  Without a significant difference there is no flag.  The scoring is the published one.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files

import duckdb
from muses_eval.pipeline.errors import MusesError, StoreError
from muses_eval.pipeline.leaderboard_columns import COLUMNS
from muses_eval.storage.analysis.compare import compare
from muses_eval.storage.analysis.model_in_run import ModelInRun
from muses_eval.storage.analysis.multiple_comparisons import adjusted
from muses_eval.storage.analysis.paired_t_test import Difference, paired_t_test
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.query.duckdb_connection import connect_to
from muses_eval.storage.query.store_snapshot import StoreSnapshot, read_snapshot
from muses_eval.storage.runs.manifest import RunManifest
from muses_eval.storage.runs.nights import Flag, FlagKind, rows_version

_SCORING = "published"
Part = tuple[str, str]
"""Model and family."""


@dataclass(frozen=True, slots=True)
class RegressionCheck:
    """What was found."""

    flags: tuple[Flag, ...]
    """The least likely to be chance first."""
    tested: int
    """Differences that were tested, all corrected together."""
    cautions: tuple[str, ...] = ()
    """What could not be asked, and what else was other and may be the reason of a flag."""


@dataclass(frozen=True, slots=True)
class _Tested:
    model: str
    column: str
    now: float
    before: float
    difference: Difference
    scenarios: int
    against: str
    runs: int
    cautions: tuple[str, ...] = ()


def compare_with_last_night(
    store: ObjectStore, tonight: RunManifest, before: RunManifest, alpha: float
) -> RegressionCheck:
    """What was played tonight against the last sealed night.  A family whose scenarios are others is left out.

    Raises:
        StoreError: one of the two cannot be read.
    """
    played = {(cell.model, cell.family) for cell in tonight.cells if cell.played_in == tonight.run_id}
    comparable = {
        (model, family)
        for model, family in played & before.planned.keys()
        if rows_version(tonight, family) == rows_version(before, family)
    }
    with _reading(store, [tonight.run_id, before.run_id]) as connection:
        tested = list(_against(connection, tonight.run_id, before.run_id, comparable))
    silent = sorted({model for model, _ in comparable} - {each.model for each in tested})
    cautions = tuple(
        f"{model}: nothing is scored in common with {before.run_id}; not held against it" for model in silent
    )
    return _flagged(tested, alpha, lambda difference: "regression" if difference < 0 else "improvement", cautions)


def compare_with_canaries(
    store: ObjectStore, tonight: RunManifest, earlier: Sequence[RunManifest], alpha: float
) -> RegressionCheck:
    """Tonight's canary against the mean of earlier ones, model by model those in which nothing of ours was different.

    Raises:
        StoreError: one of them cannot be read.
    """
    alike = {part: _runs_alike(tonight, earlier, part) for part in sorted(_keys(tonight))}
    runs = sorted({run_id for run_ids in alike.values() for run_id in run_ids})
    alone = sorted({model for (model, _), run_ids in alike.items() if not run_ids}) if earlier else []
    cautions = tuple(f"{model}: some of its canary was played like this for the first time" for model in alone)
    if not runs:
        return RegressionCheck((), 0, cautions)
    with _reading(store, [tonight.run_id, *runs]) as connection:
        tested = list(_against_past(connection, tonight.run_id, alike))
    return _flagged(tested, alpha, lambda _: "drift", cautions)


def _against(
    connection: duckdb.DuckDBPyConnection, run_id: str, before_id: str, parts: Collection[Part]
) -> Iterator[_Tested]:
    for model in sorted({model for model, _ in parts}):
        try:
            report = compare(connection, ModelInRun(run_id, model), ModelInRun(before_id, model))
        except StoreError:
            raise
        except MusesError:  # nothing scored in common
            continue
        for column in report.comparison.columns:
            if (model, COLUMNS[column.column].family) in parts:
                found = (column.a, column.b, column.difference, column.scenarios)
                yield _Tested(model, column.column, *found, before_id, 1, report.cautions)


def _against_past(
    connection: duckdb.DuckDBPyConnection, run_id: str, alike: Mapping[Part, Sequence[str]]
) -> Iterator[_Tested]:
    past = [(earlier, model, family) for (model, family), runs in alike.items() for earlier in runs]
    query = (files("muses_eval.storage.analysis") / "drift.sql").read_text(encoding="utf-8")
    parameters = {
        "run_id": run_id,
        "scoring": _SCORING,
        "runs": [entry[0] for entry in past],
        "models": [entry[1] for entry in past],
        "families": [entry[2] for entry in past],
    }
    for model, column, scenarios, now, before, mean, se in connection.execute(query, parameters).fetchall():
        if not (math.isfinite(now) and math.isfinite(before)):
            raise StoreError(f"{model!r} has a score in {column} that is not a finite number; `muses rescore` mends it")
        runs = alike[model, COLUMNS[column].family]
        yield _Tested(model, column, now, before, paired_t_test(mean, se, scenarios), scenarios, runs[-1], len(runs))


def _flagged(
    tested: Sequence[_Tested], alpha: float, kind: Callable[[float], FlagKind], cautions: Sequence[str]
) -> RegressionCheck:
    """*kind*: of a difference; *cautions*: that are known already."""
    told = [(each, p) for each in tested if (p := each.difference.p) is not None]
    corrected = zip((each for each, _ in told), adjusted([p for _, p in told], "holm"), strict=True)
    significant = sorted(
        ((each, p) for each, p in corrected if p <= alpha), key=lambda pair: (pair[1], pair[0].model, pair[0].column)
    )
    flags = [
        Flag(
            kind=kind(each.difference.mean),
            model=each.model,
            column=each.column,
            now=each.now,
            before=each.before,
            difference=each.difference.mean,
            se=each.difference.se,
            p_adjusted=p_adjusted,
            scenarios=each.scenarios,
            against=each.against,
            runs=each.runs,
        )
        for each, p_adjusted in significant
    ]
    reasons = dict.fromkeys(f"{each.model}: {caution}" for each, _ in significant for caution in each.cautions)
    return RegressionCheck(tuple(flags), len(told), (*cautions, *reasons))


def _runs_alike(tonight: RunManifest, earlier: Sequence[RunManifest], part: Part) -> list[str]:
    """The earlier runs, the newest first, in which a model would have given the same in this family."""
    wanted = _keys(tonight)[part]
    return [manifest.run_id for manifest in earlier if _keys(manifest).get(part) == wanted]


def _keys(manifest: RunManifest) -> Mapping[Part, frozenset[str]]:
    """The content keys of a run's cells, by model and family."""
    keys: dict[Part, set[str]] = defaultdict(set)
    for cell in manifest.cells:
        keys[cell.model, cell.family].add(cell.content_key)
    return {part: frozenset(found) for part, found in keys.items()}


@contextmanager
def _reading(store: ObjectStore, run_ids: Sequence[str]) -> Iterator[duckdb.DuckDBPyConnection]:
    """The views over these runs; what goes wrong with them is the store's trouble."""
    parts = [read_snapshot(store, run_id) for run_id in run_ids]
    snapshot = StoreSnapshot(
        settled=tuple(key for part in parts for key in part.settled),
        unsettled=tuple(key for part in parts for key in part.unsettled),
        rescored=tuple(key for part in parts for key in part.rescored),
        manifests=tuple(manifest for part in parts for manifest in part.manifests),
    )
    try:
        with connect_to(store, snapshot) as connection:
            yield connection
    except duckdb.Error as error:
        reason = str(error).partition("\n")[0]
        raise StoreError(
            f"store {store.url}: {' and '.join(run_ids)} cannot be compared: {reason}; `muses store verify` says what"
            " is damaged"
        ) from error
