"""Regressions and drift: a night compared with the night before, and a canary with earlier canaries.

Differences are paired by scenario, and p-values are corrected over all models and columns together.  Only significant
differences are flagged.  The scores are the published ones.
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
    """Result of a check."""

    flags: tuple[Flag, ...]
    """Significant differences, smallest p first."""
    tested: int
    """Number of differences that were tested and corrected together."""
    cautions: tuple[str, ...] = ()
    """Comparisons that were not possible, and other differences that may explain a flag."""


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
    """Compares the cells that were played tonight with the last sealed night.

    A family whose scenarios changed is left out, and so is everything when the protocol changed.

    Raises:
        StoreError: one of the two runs cannot be read.
    """
    played = {(cell.model, cell.family) for cell in tonight.cells if cell.played_in == tonight.run_id}
    comparable = {
        (model, family)
        for model, family in played & before.planned.keys()
        if rows_version(tonight, family) == rows_version(before, family) and tonight.protocol == before.protocol
    }
    with _reading(store, [tonight.run_id, before.run_id]) as connection:
        tested = list(_against(connection, tonight.run_id, before.run_id, comparable))
    silent = sorted({model for model, _ in comparable} - {each.model for each in tested})
    cautions = tuple(f"{model}: no scored scenario in common with {before.run_id}; not compared" for model in silent)
    return _flagged(tested, alpha, lambda difference: "regression" if difference < 0 else "improvement", cautions)


def compare_with_canaries(
    store: ObjectStore, tonight: RunManifest, earlier: Sequence[RunManifest], alpha: float
) -> RegressionCheck:
    """Compares tonight's canary with the mean of earlier canaries in which the model had the same content keys.

    Raises:
        StoreError: one of the runs cannot be read.
    """
    alike = {part: _runs_alike(tonight, earlier, part) for part in sorted(_keys(tonight))}
    runs = sorted({run_id for run_ids in alike.values() for run_id in run_ids})
    alone = sorted({model for (model, _), run_ids in alike.items() if not run_ids}) if earlier else []
    cautions = tuple(
        f"{model}: part of its canary was played with this configuration for the first time" for model in alone
    )
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
            raise StoreError(
                f"{model!r} has a score in {column} that is not a finite number; score it again with `muses rescore`"
            )
        runs = alike[model, COLUMNS[column].family]
        yield _Tested(model, column, now, before, paired_t_test(mean, se, scenarios), scenarios, runs[-1], len(runs))


def _flagged(
    tested: Sequence[_Tested], alpha: float, kind: Callable[[float], FlagKind], cautions: Sequence[str]
) -> RegressionCheck:
    """Corrects the p-values and flags the significant differences.

    *kind* returns the kind of flag for a difference; *cautions* are added to the result.
    """
    testable = [(each, p) for each in tested if (p := each.difference.p) is not None]
    corrected = zip((each for each, _ in testable), adjusted([p for _, p in testable], "holm"), strict=True)
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
    return RegressionCheck(tuple(flags), len(testable), (*cautions, *reasons))


def _runs_alike(tonight: RunManifest, earlier: Sequence[RunManifest], part: Part) -> list[str]:
    """Returns the earlier runs, newest first, with the same content keys for a model and family."""
    wanted = _keys(tonight)[part]
    return [manifest.run_id for manifest in earlier if _keys(manifest).get(part) == wanted]


def _keys(manifest: RunManifest) -> Mapping[Part, frozenset[str]]:
    """Returns the content keys of a run's cells, by model and family."""
    keys: dict[Part, set[str]] = defaultdict(set)
    for cell in manifest.cells:
        keys[cell.model, cell.family].add(cell.content_key)
    return {part: frozenset(found) for part, found in keys.items()}


@contextmanager
def _reading(store: ObjectStore, run_ids: Sequence[str]) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yields a connection with the views over these runs; turns DuckDB's errors into StoreError."""
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
            f"store {store.url}: {' and '.join(run_ids)} cannot be compared: {reason}; `muses store verify` lists"
            " damaged objects"
        ) from error
