"""The leaderboard of a run: every model, every column with its interval, what it rests on and what it cost.

Filtered, it is the same question to a part of the episodes.  Nothing says how many episodes of a variant were planned,
so such a part has no coverage and no ranks; of a family it has both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from muses_eval.dashboards.tables.paper_table2 import Line, measured, published
from muses_eval.dashboards.web.page import Ask, NoSuchPageError, Page
from muses_eval.dashboards.web.pages.standings import known_standings, standings_of
from muses_eval.dashboards.web.store_cache import RunSummary, StoreCache
from muses_eval.pipeline.episode.score import Scoring
from muses_eval.pipeline.errors import MusesError, StoreError
from muses_eval.pipeline.leaderboard_columns import COLUMNS
from muses_eval.storage.analysis.compare import Terms, compare_all
from muses_eval.storage.analysis.leaderboard import LeaderboardRow, leaderboard
from muses_eval.storage.analysis.rank_bands import RankBand

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MOST_BANDED = 100_000
"""Planned episodes of a run whose rank bands are found at once: every pair of models is compared for them."""
FILTERS: Mapping[str, str] = {
    "family": "family",
    "variant": "coalesce(mode, attack, disclosure)",
    "difficulty": "difficulty",
    "template": "template",
}
"""Name -> SQL over an episode."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    line: Line
    band: RankBand | None
    """The ranks that the data leave open; None for a row that is not ranked."""


def leaderboard_page(cache: StoreCache, ask: Ask) -> Page:
    """Its place: ``run``, and ``scoring`` where it is not the published one.  Its query: the filters, all optional."""
    run, scoring = cache.run(ask.place["run"]), _scoring(ask.place.get("scoring", "published"))
    run_id = run.run_id
    chosen = {name: ask.query[name] for name in FILTERS if ask.query.get(name)}
    bands = _bands(cache, run, scoring, chosen)
    rows = [Row(line, (bands or {}).get(line.model)) for line in lines_of(cache, run_id, scoring, chosen)]
    shown = [column for column in COLUMNS if any(row.line.estimates[column] for row in rows)]
    return Page(
        title=f"Leaderboard of {run_id}",
        template="leaderboard.html",
        run_id=run_id,
        values={
            "run": run,
            "rows": rows,
            "banded": bands is not None,
            "paper": () if chosen else published(),
            "columns": [(column, *COLUMNS[column].heading, COLUMNS[column].family) for column in shown],
            "all_columns": len(shown) == len(COLUMNS),
            "scoring": scoring,
            "scorings": get_args(Scoring),
            "choices": cache.get_or_compute(("parts",), lambda: _choices(cache, run_id), run_id) if ask.live else {},
            "chosen": chosen,
        },
    )


def lines_of(cache: StoreCache, run_id: str, scoring: Scoring, chosen: Mapping[str, str]) -> list[Line]:
    """A run's lines, best first, over the *chosen* part of its episodes."""

    def read(connection: "DuckDBPyConnection") -> list[Line]:
        _narrow(connection, chosen)
        rows = leaderboard(connection, scoring, run_id)
        return measured([row for row in rows if not chosen or _has(row)])

    return cache.get_or_compute(("lines", scoring, *chosen.items()), lambda: cache.query(read, run_id), run_id)


def _bands(
    cache: StoreCache, run: RunSummary, scoring: Scoring, chosen: Mapping[str, str]
) -> Mapping[str, RankBand] | None:
    """The rank bands; None where finding them would keep the visitor waiting."""
    is_small = run.planned <= MOST_BANDED
    if scoring == "published" and not chosen:  # as the page Compare has them
        standings = (standings_of if is_small else known_standings)(cache, run.run_id)
        return standings.bands if standings is not None else {} if is_small else None
    if not is_small:
        return None

    def read(connection: "DuckDBPyConnection") -> Mapping[str, RankBand]:
        _narrow(connection, chosen)
        try:
            return compare_all(connection, run.run_id, Terms(scoring=scoring)).bands
        except StoreError:
            raise
        except MusesError:  # fewer than two models have something in common
            return {}

    return cache.get_or_compute(("bands", scoring, *chosen.items()), lambda: cache.query(read, run.run_id), run.run_id)


def _scoring(name: str) -> Scoring:
    for scoring in get_args(Scoring):
        if scoring == name:
            return scoring  # type: ignore[no-any-return]  # one of Scoring's own values
    raise NoSuchPageError(f"there is no scoring {name!r}")


def _has(row: LeaderboardRow) -> bool:
    return bool(row.planned or sum(row.outcomes.values()))


def _narrow(connection: "DuckDBPyConnection", chosen: Mapping[str, str]) -> None:
    """Lets the store's views be seen through views of the same names that hold the chosen part alone."""
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
    """A view takes no parameters."""
    return "'" + text.replace("\0", "").replace("'", "''") + "'"


def _choices(cache: StoreCache, run_id: str) -> dict[str, list[str]]:
    """What each filter may be."""
    listed = ", ".join(f"list(DISTINCT {value})" for value in FILTERS.values())
    query = f"SELECT {listed} FROM traces WHERE run_id = $1"  # noqa: S608 - our own columns
    row = cache.query(lambda connection: connection.execute(query, [run_id]).fetchone(), run_id) or ()
    return {name: sorted(filter(None, values or ())) for name, values in zip(FILTERS, row, strict=False)}
