"""The leaderboard of a run: every model, every column with its interval, what it rests on and what it cost."""

from dataclasses import dataclass
from typing import get_args

from dashboards.table2 import Line, measured, published
from dashboards.web.page import Ask, NoSuchPageError, Page
from dashboards.web.shelf import Shelf
from pipeline.errors import MusesError
from pipeline.scores import Scoring
from storage.compare import Terms, compare_all
from storage.leaderboard import COLUMNS, LeaderboardRow, leaderboard
from storage.stats import RankBand

TITLES = {
    "queue_f1": ("Queue", "F1"),
    "instruct_accuracy": ("Instruct", "accuracy"),
    "privacy": ("Access", "privacy"),
    "utility": ("Access", "utility"),
    "meeting_success": ("Meeting", "success"),
}
"""Column -> (family, metric), as a heading of two lines."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    line: Line
    band: RankBand | None
    """The ranks that the data leave open; None for a row that is not ranked."""


def leaderboard_page(shelf: Shelf, ask: Ask) -> Page:
    """Its place: ``run``, and ``scoring`` where it is not the published one."""
    run_id, scoring = ask.place["run"], _scoring(ask.place.get("scoring", "published"))
    run = next((run for run in shelf.runs() if run.run_id == run_id), None)
    if run is None:
        raise NoSuchPageError(f"there is no run {run_id!r} in the store")
    rows = shelf.remember(("leaderboard", run_id, scoring), lambda: _rows(shelf, run_id, scoring))
    shown = [column for column in COLUMNS if any(row.line.estimates[column] for row in rows)]
    return Page(
        title=f"Leaderboard of {run_id}",
        template="leaderboard.html",
        run_id=run_id,
        values={
            "run": run,
            "rows": rows,
            "paper": published(),
            "columns": [(column, *TITLES[column]) for column in shown],
            "all_columns": len(shown) == len(COLUMNS),
            "scoring": scoring,
            "scorings": get_args(Scoring),
        },
    )


def _scoring(name: str) -> Scoring:
    for scoring in get_args(Scoring):
        if scoring == name:
            return scoring  # type: ignore[no-any-return]  # one of Scoring's own values
    raise NoSuchPageError(f"there is no scoring {name!r}")


def _rows(shelf: Shelf, run_id: str, scoring: Scoring) -> list[Row]:
    with shelf.connection(run_id) as connection:
        rows = leaderboard(connection, scoring, run_id)
        try:
            bands = compare_all(connection, run_id, Terms(scoring=scoring)).bands if _can_differ(rows) else {}
        except MusesError:  # fewer than two models have something in common
            bands = {}
    return [Row(line, bands.get(line.model)) for line in measured(rows)]


def _can_differ(rows: list[LeaderboardRow]) -> bool:
    return sum(1 for row in rows if row.episodes) > 1
