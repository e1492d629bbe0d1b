"""The leaderboard of a run: every model, every column with its interval, coverage and cost.

Filters restrict the leaderboard to a part of the episodes.  The manifest has planned numbers of episodes per family,
but not per variant, so a leaderboard of one family has coverage and ranks, and one of a variant has neither.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from muses_eval.dashboards.tables.leaderboard import builtin_note, released_averaging
from muses_eval.dashboards.tables.paper_table2 import (
    PAPER_COLUMNS,
    PAPER_NOTES,
    PAPER_PROTOCOL,
    TableRow,
    measured_rows,
    published_rows,
)
from muses_eval.dashboards.tables.score_format import STRUCTURED_NOTE
from muses_eval.dashboards.web.model_styles import model_styles
from muses_eval.dashboards.web.page import NoSuchPageError, Page, PageRequest
from muses_eval.dashboards.web.ranking_cache import cached_ranking, ranking_of
from muses_eval.dashboards.web.store_cache import RunSummary, StoreCache
from muses_eval.pipeline.episode.score import Scoring
from muses_eval.pipeline.errors import MusesError, StoreError
from muses_eval.pipeline.leaderboard_columns import COLUMNS
from muses_eval.storage.analysis.compare import ComparisonSettings
from muses_eval.storage.analysis.leaderboard import Averaging, LeaderboardRow, leaderboard
from muses_eval.storage.analysis.rank_bands import RankBand
from muses_eval.storage.analysis.ranking import rank_models

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MAX_BANDED = 100_000
"""Maximum number of planned episodes for which a request computes rank bands, which compare every pair of models."""
FILTERS: Mapping[str, str] = {
    "family": "family",
    "variant": "coalesce(mode, attack, disclosure)",
    "difficulty": "difficulty",
    "template": "template",
    "users": "CAST(num_users AS VARCHAR)",
}
"""Filter -> SQL expression over an episode."""
TOGGLES = ("builtin", "paper")
"""Rows that the page shows on request: built-in agents beside models, and those of the paper."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table."""

    line: TableRow
    band: RankBand | None
    """Range of ranks that the data do not exclude; None for a row without a rank."""


def leaderboard_page(cache: StoreCache, request: PageRequest) -> Page:
    """Returns the leaderboard page of a run.

    Path parameters: ``run``, and optionally ``scoring``.  Query parameters, all optional: the filters, and
    ``averaging=released`` with the scoring ``published``.  The script of the page reads and writes others: ``sort``, a
    column, with ``-`` for the highest value first; ``hide``, columns; ``builtin=show`` and ``paper=show``.
    """
    run, scoring = cache.run(request.path_params["run"]), _scoring(request.path_params.get("scoring", "published"))
    run_id = run.run_id
    chosen = {name: request.query_params[name] for name in FILTERS if request.query_params.get(name)}
    averaging = _averaging(request, scoring)
    bands = _bands(cache, run, scoring, chosen) if averaging == "all" else None
    try:
        lines = leaderboard_lines(cache, run_id, scoring, chosen, averaging)
    except StoreError:
        raise
    except MusesError as error:  # the scores do not tell which episodes the averaging leaves out
        raise NoSuchPageError(str(error)) from error
    rows = [Row(line, (bands or {}).get(line.model)) for line in lines]
    measured = [line.measured for line in lines if line.measured is not None]
    marks = [mark for row in measured for mark in row.marks.values()]
    shown = [column for column in COLUMNS if any(row.line.estimates[column] for row in rows)]
    return Page(
        title=f"Leaderboard of {run_id}",
        template="leaderboard.html",
        run_id=run_id,
        values={
            "run": run,
            "rows": rows,
            "styles": model_styles(cache.runs()),
            "models": sum(line.role is None for line in lines),
            "builtin": sum(line.role is not None for line in lines),
            "builtin_note": builtin_note(measured),
            "ranked_by": ranked_by(chosen, scoring),
            "opened": {name for name in TOGGLES if request.query_params.get(name) == "show"},
            "banded": bands is not None,
            "unusable": any(row.unusable_share for row in measured),
            "paper": () if chosen else published_rows(),
            "paper_notes": PAPER_NOTES,
            "averaging": averaging,
            "structured": STRUCTURED_NOTE if any(_is_structured(line) for line in lines) else "",
            "left_out": released_averaging(measured),
            "columns": [(column, *COLUMNS[column].heading, COLUMNS[column].family) for column in shown],
            "all_columns": len(shown) == len(COLUMNS),
            "paper_protocol": PAPER_PROTOCOL,
            "paper_columns": set(shown) >= PAPER_COLUMNS,
            "marked": bool(marks),
            "sources": sorted({mark.taken_over_from for mark in marks if mark.taken_over_from}),
            "scoring": scoring,
            "scorings": get_args(Scoring),
            "choices": cache.get_or_compute(("parts",), lambda: _filter_values(cache, run_id), run_id)
            if request.live
            else {},
            "chosen": chosen,
        },
    )


def leaderboard_lines(
    cache: StoreCache, run_id: str, scoring: Scoring, chosen: Mapping[str, str], averaging: Averaging = "all"
) -> list[TableRow]:
    """Returns the rows of a run's leaderboard, best first, over the episodes that match the *chosen* filters."""

    def read(connection: "DuckDBPyConnection") -> list[TableRow]:
        _filter_views(connection, chosen)
        rows = leaderboard(connection, scoring, run_id, averaging=averaging)
        return measured_rows([row for row in rows if not chosen or _has_episodes(row)])

    key = ("lines", scoring, averaging, *chosen.items())
    return cache.get_or_compute(key, lambda: cache.query(read, run_id), run_id)


def ranked_by(chosen: Mapping[str, str], scoring: Scoring) -> str:
    """Returns what the ranks of a filtered leaderboard are by, in one sentence; empty without filters."""
    if not chosen:
        return ""
    words = {"family": "{} alone", "users": "{} users"}
    parts = ", ".join(words.get(name, f"{name} {{}}").format(value) for name, value in chosen.items())
    if set(chosen) == {"family"}:
        return f"Ranked by {parts}, {scoring} scoring."
    return (
        f"Sorted by {parts}, {scoring} scoring; not ranked, since the number of planned episodes is recorded for "
        "families only."
    )


def _bands(
    cache: StoreCache, run: RunSummary, scoring: Scoring, chosen: Mapping[str, str]
) -> Mapping[str, RankBand] | None:
    """Returns model -> rank band; None when they are not cached and the run is too large to compute them now."""
    is_small = run.planned <= MAX_BANDED
    if scoring == "published" and not chosen:  # shared with the page Compare
        ranking = (ranking_of if is_small else cached_ranking)(cache, run.run_id)
        return ranking.bands if ranking is not None else {} if is_small else None
    if not is_small:
        return None

    def read(connection: "DuckDBPyConnection") -> Mapping[str, RankBand]:
        _filter_views(connection, chosen)
        try:
            return rank_models(connection, run.run_id, ComparisonSettings(scoring=scoring)).bands
        except StoreError:
            raise
        except MusesError:  # no two models scored the same scenario
            return {}

    return cache.get_or_compute(("bands", scoring, *chosen.items()), lambda: cache.query(read, run.run_id), run.run_id)


def _is_structured(line: TableRow) -> bool:
    return line.measured is not None and line.measured.facts == "structured"


def _scoring(name: str) -> Scoring:
    for scoring in get_args(Scoring):
        if scoring == name:
            return scoring  # type: ignore[no-any-return]  # a value of Scoring
    raise NoSuchPageError(f"there is no scoring {name!r}; expected one of {', '.join(get_args(Scoring))}")


def _averaging(request: PageRequest, scoring: Scoring) -> Averaging:
    return "released" if scoring == "published" and request.query_params.get("averaging") == "released" else "all"


def _has_episodes(row: LeaderboardRow) -> bool:
    return bool(row.planned or sum(row.outcomes.values()))


def _filter_views(connection: "DuckDBPyConnection", chosen: Mapping[str, str]) -> None:
    """Shadows the store's views by temporary views of the same names that hold only matching episodes."""
    if not chosen:
        return
    where = " AND ".join(f"{FILTERS[name]} = {_quoted(value)}" for name, value in chosen.items())
    for rows in ("settled", "unsettled", "traces"):
        connection.execute(f"CREATE TEMP VIEW {rows} AS FROM memory.main.{rows} WHERE {where}")
    family = f"p.family = {_quoted(chosen['family'])}" if set(chosen) == {"family"} else "false"
    connection.execute(
        "CREATE TEMP VIEW runs AS SELECT * REPLACE (list_filter(planned, lambda p: "  # noqa: S608 - quoted
        f"{family}) AS planned) FROM memory.main.runs"
    )


def _quoted(text: str) -> str:
    """Returns *text* as an SQL literal, since a view takes no parameters."""
    return "'" + text.replace("\0", "").replace("'", "''") + "'"


def _filter_values(cache: StoreCache, run_id: str) -> dict[str, list[str]]:
    """Returns filter -> values that occur in the run, sorted."""
    listed = ", ".join(f"list(DISTINCT {value})" for value in FILTERS.values())
    query = f"SELECT {listed} FROM traces WHERE run_id = $1"  # noqa: S608 - our own columns
    row = cache.query(lambda connection: connection.execute(query, [run_id]).fetchone(), run_id) or ()
    found = {name: sorted(filter(None, values or ())) for name, values in zip(FILTERS, row, strict=False)}
    return {**found, "users": sorted(found.get("users", ()), key=int)}
