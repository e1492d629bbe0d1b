"""Runs in time: how each model's scores moved, and whether the last move is more than chance.

A model's points are comparable where the runs played the same dataset; where they did not, the cautions of the
comparison say so.  The newest run of a model is held against the one before it, scenario by scenario, and the p-values
of all models are corrected together.
"""

from dataclasses import dataclass, replace

from dashboards.table2 import Line
from dashboards.web.charts import Axis, Point, Series, lines, percent_axis
from dashboards.web.page import Ask, Page
from dashboards.web.pages.leaderboard import TITLES, lines_of
from dashboards.web.shelf import RunLine, Shelf
from pipeline.errors import MusesError, StoreError
from storage.compare import Contrast, Side, compare
from storage.leaderboard import COLUMNS
from storage.stats import adjusted

MOST_RUNS = 30
"""The newest; each costs a leaderboard."""
MOST_SERIES = 8
ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Change:
    """A model's newest run against the one before."""

    contrast: Contrast
    before: str
    """The earlier run."""
    cautions: tuple[str, ...]

    @property
    def told(self) -> bool:
        """Whether it is more than chance explains."""
        return self.contrast.winner(ALPHA) is not None


@dataclass(frozen=True, slots=True)
class Entry:
    """One model in one run."""

    run: RunLine
    line: Line
    seconds: float | None
    """From the run's first episode to its last; None: it has none."""


@dataclass(frozen=True, slots=True)
class Past:
    """One model's runs, the newest first."""

    model: str
    entries: tuple[Entry, ...]
    change: Change | None
    """None: it was played once, or nothing of it can be compared."""


def history_page(shelf: Shelf, ask: Ask) -> Page:  # noqa: ARG001 - there is one such page
    """All models of the newest runs."""
    pasts = shelf.remember(("history",), lambda: _pasts(shelf))
    averages = [past for past in pasts if sum(_is_whole(entry) for entry in past.entries) > 1]
    runs = shelf.runs()
    return Page(
        title="History",
        template="history.html",
        values={
            "pasts": pasts,
            "chart": _chart(averages[:MOST_SERIES]) if averages else None,
            "drawn": [past.model for past in averages[:MOST_SERIES]],
            "columns": [(column, *TITLES[column]) for column in COLUMNS if _is_measured(column, pasts)],
            "left_out": max(0, len(runs) - MOST_RUNS),
        },
    )


def _pasts(shelf: Shelf) -> list[Past]:
    by_model: dict[str, list[Entry]] = {}
    for run in shelf.runs()[:MOST_RUNS]:
        seconds = _seconds(shelf, run.run_id)
        for line in lines_of(shelf, run.run_id, "published", {}):
            if line.row is not None and line.row.episodes:
                by_model.setdefault(line.model, []).append(Entry(run, line, seconds))
    found = {model: _change(shelf, entries) for model, entries in by_model.items()}
    changes = _corrected({model: change for model, change in found.items() if change is not None})
    return [Past(model, tuple(entries), changes.get(model)) for model, entries in sorted(by_model.items())]


def _seconds(shelf: Shelf, run_id: str) -> float | None:
    query = """
        SELECT epoch(max(started_at + to_milliseconds(CAST(1000 * seconds AS BIGINT))) - min(started_at))
        FROM traces WHERE run_id = $1
    """
    row = shelf.ask(lambda connection: connection.execute(query, [run_id]).fetchone(), run_id)
    return row[0] if row else None


def _change(shelf: Shelf, entries: list[Entry]) -> Change | None:
    if len(entries) < 2:
        return None
    now, before = (Side(entry.run.run_id, entry.line.model) for entry in entries[:2])
    try:
        answer = shelf.ask(lambda connection: compare(connection, now, before))
    except StoreError:
        raise
    except MusesError:  # nothing in common
        return None
    overall = answer.comparison.overall
    return None if overall is None else Change(overall, before.run_id, answer.cautions)


def _corrected(changes: dict[str, Change]) -> dict[str, Change]:
    """With p corrected over all models, since all are asked at once."""
    known = {model: p for model, change in changes.items() if (p := change.contrast.difference.p) is not None}
    values = dict(zip(known, adjusted(list(known.values()), "holm"), strict=True))
    return {
        model: replace(change, contrast=replace(change.contrast, p_adjusted=values.get(model)))
        for model, change in changes.items()
    }


def _is_measured(column: str, pasts: list[Past]) -> bool:
    return any(entry.line.estimates[column] for past in pasts for entry in past.entries)


def _is_whole(entry: Entry) -> bool:
    return entry.line.estimates["avg"] is not None


def _chart(pasts: list[Past]) -> str:
    runs = sorted({entry.run for past in pasts for entry in past.entries}, key=lambda run: (run.created_at, run.run_id))
    place = {run.run_id: float(number) for number, run in enumerate(runs)}
    step = max(1, len(runs) // 8)
    axis = Axis(
        "run, by date",
        0.0,
        float(max(1, len(runs) - 1)),
        tuple(float(number) for number in range(0, len(runs), step)),
        lambda number: runs[round(number)].created_at.strftime("%m-%d %H:%M"),
    )
    series = [
        Series(
            past.model,
            tuple(
                Point(place[entry.run.run_id], average)
                for entry in reversed(past.entries)
                if (average := entry.line.estimates["avg"]) is not None
            ),
        )
        for past in pasts
    ]
    return lines("Average score by run", series, axis, percent_axis("average, %"))
