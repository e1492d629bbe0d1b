"""The scores of each model over time, with a significance test of the latest change.

The newest run of a model is compared with the run before it, paired by scenario; p-values are corrected over all
models.  When the two runs played different datasets, the comparison has a caution.  Canaries, the small sample that
every night plays, have a section of their own, so that they are not compared with full runs.  The flags of a night are
shown as in its report.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from muses_eval.dashboards.tables.paper_table2 import TableRow
from muses_eval.dashboards.web.charts import Axis, Point, Series, line_chart, percent_axis
from muses_eval.dashboards.web.figure_source import store_name
from muses_eval.dashboards.web.model_styles import ModelStyles, model_styles
from muses_eval.dashboards.web.page import Page, PageRequest
from muses_eval.dashboards.web.pages.compare import compare_across_runs
from muses_eval.dashboards.web.pages.compare_runs import ALPHA, run_predecessors, with_corrected_p
from muses_eval.dashboards.web.pages.leaderboard import leaderboard_lines
from muses_eval.dashboards.web.store_cache import RunSummary, StoreCache
from muses_eval.pipeline.errors import StoreError
from muses_eval.pipeline.leaderboard_columns import COLUMNS
from muses_eval.storage.analysis.compare import ColumnComparison
from muses_eval.storage.analysis.model_in_run import ModelInRun
from muses_eval.storage.runs.nights import CANARY, Flag, Night, is_replay, report_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MAX_RUNS = 30
"""Maximum number of runs in a section, newest first; each needs a leaderboard query."""
MAX_SERIES = 8


@dataclass(frozen=True, slots=True)
class LatestChange:
    """A model's newest run against the run before it."""

    contrast: ColumnComparison
    before: str
    """ID of the earlier run."""
    cautions: tuple[str, ...]

    @property
    def is_significant(self) -> bool:
        """True when the corrected p-value is below ALPHA."""
        return self.contrast.winner(ALPHA) is not None


@dataclass(frozen=True, slots=True)
class ModelResult:
    """One model in one run."""

    run: RunSummary
    line: TableRow
    seconds: float | None
    """Seconds from the start of the run's first episode to the end of its last; None without episodes."""
    cells: int
    """Number of the model's cells that the run's manifest records."""
    reused: int
    """Number of cells whose results were reused from an earlier run."""
    flags: tuple[Flag, ...]
    """Flags that the night raised for the model."""


@dataclass(frozen=True, slots=True)
class ModelHistory:
    """Results of one model, newest run first."""

    model: str
    results: tuple[ModelResult, ...]
    change: LatestChange | None
    """None with a single run, or when the last two scored no scenario in common."""


@dataclass(frozen=True, slots=True)
class HistorySection:
    """The histories over one kind of run: full runs or canaries."""

    name: str
    """Name of the section's anchor, chart and CSV file."""
    histories: tuple[ModelHistory, ...]
    chart: str | None
    """SVG chart; None when no model has two points."""
    drawn: tuple[str, ...]
    """Models in the chart, in the order of its legend."""
    columns: tuple[tuple[str, str, str], ...]
    """(column, family, metric) of the leaderboard columns with a score."""

    @property
    def reuses(self) -> bool:
        """True when any cell reused results of an earlier run."""
        return any(result.reused for history in self.histories for result in history.results)


def history_page(cache: StoreCache, request: PageRequest) -> Page:
    """Returns the page with the histories of all models over the newest runs."""
    runs = [run for run in cache.runs() if not is_replay(run.run_id)]
    runs_of = {
        "history": [run for run in runs if not _is_canary(run)],
        "canaries": [run for run in runs if _is_canary(run)],
    }
    sections = {
        name: cache.get_or_compute((name,), lambda found=found, name=name: _section(cache, name, found[:MAX_RUNS]))  # type: ignore[misc]
        for name, found in runs_of.items()
    }
    return Page(
        title="History",
        template="history.html",
        values={
            "styles": model_styles(cache.runs()),
            "sections": [section for section in sections.values() if section.histories],
            "compared": None if request.live else run_predecessors(runs),
            "left_out": sum(max(0, len(found) - MAX_RUNS) for found in runs_of.values()),
        },
    )


def _section(cache: StoreCache, name: str, runs: Sequence[RunSummary]) -> HistorySection:
    histories = _histories(cache, runs)
    drawn = [history for history in histories if sum(_is_whole(result) for result in history.results) > 1][:MAX_SERIES]
    return HistorySection(
        name=name,
        histories=tuple(histories),
        chart=_chart(drawn, model_styles(cache.runs()), cache.store_url) if drawn else None,
        drawn=tuple(history.model for history in drawn),
        columns=tuple((column, *COLUMNS[column].heading) for column in COLUMNS if _is_measured(column, histories)),
    )


def _is_canary(run: RunSummary) -> bool:
    night = Night.parse(run.run_id)
    return night is not None and night.name.endswith(CANARY)


def _histories(cache: StoreCache, runs: Sequence[RunSummary]) -> list[ModelHistory]:
    flags = _flags(cache)
    by_model: dict[str, list[ModelResult]] = {}
    for run in runs:
        seconds, cells = _seconds(cache, run.run_id), run.manifest.cells
        for line in leaderboard_lines(cache, run.run_id, "published", {}):
            if line.measured is not None and line.measured.episodes:
                own = [cell for cell in cells if cell.model == line.model]
                result = ModelResult(
                    run=run,
                    line=line,
                    seconds=seconds,
                    cells=len(own),
                    reused=sum(cell.played_in != run.run_id for cell in own),
                    flags=tuple(flag for flag in flags.get(run.run_id, ()) if flag.model == line.model),
                )
                by_model.setdefault(line.model, []).append(result)
    found = {model: _change(cache, results) for model, results in by_model.items()}
    changes = _corrected({model: change for model, change in found.items() if change is not None})
    return [ModelHistory(model, tuple(results), changes.get(model)) for model, results in sorted(by_model.items())]


def _flags(cache: StoreCache) -> Mapping[str, Sequence[Flag]]:
    """Returns run -> flags of its night; drift belongs to the canary.  Unreadable reports are skipped."""
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
        FROM traces WHERE run_id = $1 AND NOT list_contains(flags, 'reused') -- copies keep the times of their night
    """

    def read(connection: "DuckDBPyConnection") -> float | None:
        row: tuple[float | None] | None = connection.execute(query, [run_id]).fetchone()
        return row[0] if row else None

    return cache.get_or_compute(("seconds",), lambda: cache.query(read, run_id), run_id)


def _change(cache: StoreCache, results: list[ModelResult]) -> LatestChange | None:
    if len(results) < 2:
        return None
    now, before = (ModelInRun(result.run.run_id, result.line.model) for result in results[:2])
    report = compare_across_runs(cache, now, before)
    if report is None or report.comparison.overall is None:
        return None
    return LatestChange(report.comparison.overall, before.run_id, report.cautions)


def _corrected(changes: dict[str, LatestChange]) -> dict[str, LatestChange]:
    contrasts = with_corrected_p({model: change.contrast for model, change in changes.items()})
    return {model: replace(change, contrast=contrasts[model]) for model, change in changes.items()}


def _is_measured(column: str, histories: Sequence[ModelHistory]) -> bool:
    return any(result.line.estimates[column] for history in histories for result in history.results)


def _is_whole(result: ModelResult) -> bool:
    return result.line.estimates["avg"] is not None


def _chart(histories: Sequence[ModelHistory], styles: ModelStyles, store_url: str) -> str:
    runs = sorted(
        {result.run for history in histories for result in history.results},
        key=lambda run: (run.created_at, run.run_id),
    )
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
            history.model,
            styles.of(history.model),
            tuple(
                Point(place[result.run.run_id], average)
                for result in reversed(history.results)
                if (average := result.line.estimates["avg"]) is not None
            ),
        )
        for history in histories
    ]
    dates = f"{runs[0].created_at:%Y-%m-%d} to {runs[-1].created_at:%Y-%m-%d}"
    source = f"store {store_name(store_url)} · published scoring · {dates} · mean and 95 % interval"
    return line_chart("Average score by run", series, axis, percent_axis("average, %"), source=source, width=720)
