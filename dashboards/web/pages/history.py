"""Runs in time: how each model's scores moved, and whether the last move is more than chance.

A model's points are comparable where the runs played the same dataset; where they did not, the cautions of the
comparison say so.  The newest run of a model is held against the one before it, scenario by scenario, and the p-values
of all models are corrected together.  Canaries, the small sample that every night plays, have a history of their own,
so that they are not held against whole runs.  What a night found itself is shown as its report says it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from muses_eval.dashboards.tables.paper_table2 import Line
from muses_eval.dashboards.web.charts import Axis, Point, Series, lines, percent_axis
from muses_eval.dashboards.web.page import Ask, Page
from muses_eval.dashboards.web.pages.compare import across
from muses_eval.dashboards.web.pages.compare_runs import ALPHA, corrected, each_with_its_forerunner
from muses_eval.dashboards.web.pages.leaderboard import lines_of
from muses_eval.dashboards.web.store_cache import RunSummary, StoreCache
from muses_eval.pipeline.errors import StoreError
from muses_eval.pipeline.leaderboard_columns import COLUMNS
from muses_eval.storage.analysis.compare import Contrast, Side
from muses_eval.storage.runs.nights import CANARY, Flag, Night, report_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MOST_RUNS = 30
"""The newest of a kind; each costs a leaderboard."""
MOST_SERIES = 8


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

    run: RunSummary
    line: Line
    seconds: float | None
    """From the run's first episode to its last; None: it has none."""
    cells: int
    """Cells of the model, as far as the run's manifest records them."""
    reused: int
    """Cells whose results were reused from an earlier run."""
    flags: tuple[Flag, ...]
    """What the night found about the model."""


@dataclass(frozen=True, slots=True)
class Past:
    """One model's runs, the newest first."""

    model: str
    entries: tuple[Entry, ...]
    change: Change | None
    """None: it was played once, or nothing of it can be compared."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """Runs of one kind."""

    name: str
    """Name of the metric's chart and of its CSV file."""
    pasts: tuple[Past, ...]
    chart: str | None
    """None: no model has two points."""
    drawn: tuple[str, ...]
    columns: tuple[tuple[str, str, str], ...]
    """(column, family, metric) that have been measured."""

    @property
    def reuses(self) -> bool:
        """Whether any results were taken over from earlier runs."""
        return any(entry.reused for past in self.pasts for entry in past.entries)


def history_page(cache: StoreCache, ask: Ask) -> Page:
    """All models of the newest runs."""
    runs = cache.runs()
    runs_of = {
        "history": [run for run in runs if not _is_canary(run)],
        "canaries": [run for run in runs if _is_canary(run)],
    }
    chapters = {
        name: cache.get_or_compute((name,), lambda found=found, name=name: _chapter(cache, name, found[:MOST_RUNS]))  # type: ignore[misc]
        for name, found in runs_of.items()
    }
    return Page(
        title="History",
        template="history.html",
        values={
            "chapters": [chapter for chapter in chapters.values() if chapter.pasts],
            "compared": None if ask.live else each_with_its_forerunner(runs),
            "left_out": sum(max(0, len(found) - MOST_RUNS) for found in runs_of.values()),
        },
    )


def _chapter(cache: StoreCache, name: str, runs: Sequence[RunSummary]) -> Chapter:
    pasts = _pasts(cache, runs)
    drawn = [past for past in pasts if sum(_is_whole(entry) for entry in past.entries) > 1][:MOST_SERIES]
    return Chapter(
        name=name,
        pasts=tuple(pasts),
        chart=_chart(drawn) if drawn else None,
        drawn=tuple(past.model for past in drawn),
        columns=tuple((column, *COLUMNS[column].heading) for column in COLUMNS if _is_measured(column, pasts)),
    )


def _is_canary(run: RunSummary) -> bool:
    night = Night.parse(run.run_id)
    return night is not None and night.name.endswith(CANARY)


def _pasts(cache: StoreCache, runs: Sequence[RunSummary]) -> list[Past]:
    flags = _flags(cache)
    by_model: dict[str, list[Entry]] = {}
    for run in runs:
        seconds, cells = _seconds(cache, run.run_id), run.manifest.cells
        for line in lines_of(cache, run.run_id, "published", {}):
            if line.row is not None and line.row.episodes:
                own = [cell for cell in cells if cell.model == line.model]
                entry = Entry(
                    run=run,
                    line=line,
                    seconds=seconds,
                    cells=len(own),
                    reused=sum(cell.played_in != run.run_id for cell in own),
                    flags=tuple(flag for flag in flags.get(run.run_id, ()) if flag.model == line.model),
                )
                by_model.setdefault(line.model, []).append(entry)
    found = {model: _change(cache, entries) for model, entries in by_model.items()}
    changes = _corrected({model: change for model, change in found.items() if change is not None})
    return [Past(model, tuple(entries), changes.get(model)) for model, entries in sorted(by_model.items())]


def _flags(cache: StoreCache) -> Mapping[str, Sequence[Flag]]:
    """Run -> what its night found; drift is found of the canary.  A report that cannot be read says nothing."""
    flags: dict[str, list[Flag]] = {}
    for run in cache.runs():
        try:
            report = report_of(run.manifest)
        except StoreError:
            continue
        if report is not None:
            for flag in report.flags:
                flags.setdefault(report.canary_id if flag.kind == "drift" else run.run_id, []).append(flag)
    return flags


def _seconds(cache: StoreCache, run_id: str) -> float | None:
    query = """
        SELECT epoch(max(started_at + to_milliseconds(CAST(1000 * seconds AS BIGINT))) - min(started_at))
        FROM traces WHERE run_id = $1
    """

    def read(connection: "DuckDBPyConnection") -> float | None:
        row: tuple[float | None] | None = connection.execute(query, [run_id]).fetchone()
        return row[0] if row else None

    return cache.get_or_compute(("seconds",), lambda: cache.query(read, run_id), run_id)


def _change(cache: StoreCache, entries: list[Entry]) -> Change | None:
    if len(entries) < 2:
        return None
    now, before = (Side(entry.run.run_id, entry.line.model) for entry in entries[:2])
    answer = across(cache, now, before)
    if answer is None or answer.comparison.overall is None:
        return None
    return Change(answer.comparison.overall, before.run_id, answer.cautions)


def _corrected(changes: dict[str, Change]) -> dict[str, Change]:
    contrasts = corrected({model: change.contrast for model, change in changes.items()})
    return {model: replace(change, contrast=contrasts[model]) for model, change in changes.items()}


def _is_measured(column: str, pasts: Sequence[Past]) -> bool:
    return any(entry.line.estimates[column] for past in pasts for entry in past.entries)


def _is_whole(entry: Entry) -> bool:
    return entry.line.estimates["avg"] is not None


def _chart(pasts: Sequence[Past]) -> str:
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
