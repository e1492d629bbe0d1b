"""The scores of each model over time, with a significance test of the latest change.

The newest run of a model is compared with the run before it, paired by scenario; p-values are corrected over all
models.  When the two runs played different datasets, the comparison has a caution.  Every nightly evaluation has a
section, with its scores over the dates of its nights, and so have its canaries, the small sample that every night
plays.  All other runs are listed apart, so that none of them is on the line of the nights.  The flags of a night are
shown as in its report.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Literal

from muses_eval.dashboards.tables.paper_table2 import TableRow
from muses_eval.dashboards.web.charts import Axis, Point, Series, line_chart, percent_axis
from muses_eval.dashboards.web.figure_source import store_name
from muses_eval.dashboards.web.model_styles import ModelStyles, model_styles
from muses_eval.dashboards.web.page import Page, PageRequest, segment
from muses_eval.dashboards.web.pages.compare import compare_across_runs
from muses_eval.dashboards.web.pages.compare_runs import ALPHA, run_predecessors, with_corrected_p
from muses_eval.dashboards.web.pages.leaderboard import leaderboard_lines
from muses_eval.dashboards.web.store_cache import RunSummary, StoreCache
from muses_eval.pipeline.errors import StoreError
from muses_eval.pipeline.leaderboard_columns import COLUMNS
from muses_eval.storage.analysis.compare import ColumnComparison
from muses_eval.storage.analysis.model_in_run import ModelInRun
from muses_eval.storage.runs.nights import CANARY, Flag, Night, NightReport, is_replay, report_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MAX_RUNS = 30
"""Maximum number of runs in a section, newest first; each needs a leaderboard query."""
MAX_SERIES = 8
MAX_TICKS = 8
Kind = Literal["nights", "canaries", "other"]
_TITLES: Mapping[Kind, str] = {"nights": "Nights", "canaries": "Canaries", "other": "Other runs"}
_BUSY_SECONDS = """
WITH episode AS (
    SELECT epoch(started_at) AS started, epoch(started_at) + seconds AS ended
    FROM traces WHERE run_id = $1 AND NOT list_contains(flags, 'reused') -- copies keep the times of their night
),
ordered AS (
    SELECT started, ended, max(ended) OVER (
        ORDER BY started, ended ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS busy_until
    FROM episode
)
SELECT sum(greatest(0, ended - greatest(started, coalesce(busy_until, started)))) FROM ordered
"""


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
    night: Night | None
    """None for a run that is of no night."""
    line: TableRow
    seconds: float | None
    """Seconds that the night took, all its starts together; of other runs, and until the night is over, the seconds in
    which an episode was played.  None when none was."""
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
    """The histories over the nights of one nightly evaluation, over their canaries, or over all other runs."""

    kind: Kind
    night_name: str
    """Name of the nightly evaluation; empty for other runs."""
    histories: tuple[ModelHistory, ...]
    chart: str | None
    """SVG chart; None for other runs, and when no model has two points."""
    drawn: tuple[str, ...]
    """Models in the chart, in the order of its legend."""
    columns: tuple[tuple[str, str, str], ...]
    """(column, family, metric) of the leaderboard columns with a score."""

    @property
    def name(self) -> str:
        """Name of the section's anchor, chart and CSV file."""
        return self.kind + (f"-{segment(self.night_name)}" if self.night_name else "")

    @property
    def title(self) -> str:
        return _TITLES[self.kind] + (f": {self.night_name}" if self.night_name else "")

    @property
    def runs(self) -> int:
        """Number of runs."""
        return len({result.run.run_id for history in self.histories for result in history.results})

    @property
    def reuses(self) -> bool:
        """True when any cell reused results of an earlier run."""
        return any(result.reused for history in self.histories for result in history.results)


def history_page(cache: StoreCache, request: PageRequest) -> Page:
    """Returns the page with the histories of all models over the newest runs."""
    runs = [run for run in cache.runs() if not is_replay(run.run_id)]
    groups = _groups(runs)
    sections = [
        cache.get_or_compute(("history", *group), lambda group=group: _section(cache, *group, groups[group]))  # type: ignore[misc, call-arg]
        for group in groups
    ]
    return Page(
        title="History",
        template="history.html",
        values={
            "styles": model_styles(cache.runs()),
            "sections": [section for section in sections if section.histories],
            "compared": None if request.live else run_predecessors(runs),
            "left_out": sum(max(0, len(found) - MAX_RUNS) for found in groups.values()),
        },
    )


def _groups(runs: Iterable[RunSummary]) -> dict[tuple[Kind, str], list[tuple[RunSummary, Night | None]]]:
    """Returns (kind, name of the nightly evaluation) -> its runs, the newest first: nights by date, others by creation.

    A run is of a night when the nightly evaluation made it, whatever it is called: then it has a record of its cells, a
    report, or a canary of the same date.
    """
    listed = list(runs)
    run_ids = {run.run_id for run in listed}
    groups: dict[tuple[Kind, str], list[tuple[RunSummary, Night | None]]] = {}
    for run in listed:
        night = Night.parse(run.run_id)
        if night is None or not _is_of_a_night(run, night, run_ids):
            groups.setdefault(("other", ""), []).append((run, None))
        elif night.name.endswith(CANARY):
            groups.setdefault(("canaries", night.name.removesuffix(CANARY)), []).append((run, night))
        else:
            groups.setdefault(("nights", night.name), []).append((run, night))
    for found in groups.values():
        found.sort(key=lambda pair: date.min if pair[1] is None else pair[1].day, reverse=True)  # stable
    order = list(_TITLES)
    by_name = sorted(groups, key=lambda group: (group[0] == "other", group[1], order.index(group[0])))
    return {group: groups[group] for group in by_name}


def _is_of_a_night(run: RunSummary, night: Night, run_ids: set[str]) -> bool:
    if run.manifest.cells or run.manifest.night is not None:
        return True
    other = Night(night.name.removesuffix(CANARY), night.day) if night.name.endswith(CANARY) else night.canary
    return other.run_id in run_ids


def _section(
    cache: StoreCache, kind: Kind, night_name: str, runs: Sequence[tuple[RunSummary, Night | None]]
) -> HistorySection:
    histories = _histories(cache, runs[:MAX_RUNS])
    whole = [history for history in histories if sum(_is_whole(result) for result in history.results) > 1]
    drawn = [] if kind == "other" else whole[:MAX_SERIES]
    title = f"{_TITLES[kind]} of {night_name}: average score"
    return HistorySection(
        kind=kind,
        night_name=night_name,
        histories=tuple(histories),
        chart=_chart(drawn, title, model_styles(cache.runs()), cache.store_url) if drawn else None,
        drawn=tuple(history.model for history in drawn),
        columns=tuple((column, *COLUMNS[column].heading) for column in COLUMNS if _is_measured(column, histories)),
    )


def _histories(cache: StoreCache, runs: Sequence[tuple[RunSummary, Night | None]]) -> list[ModelHistory]:
    flags = _flags(cache)
    by_model: dict[str, list[ModelResult]] = {}
    for run, night in runs:
        seconds, cells = _seconds(cache, run), run.manifest.cells
        for line in leaderboard_lines(cache, run.run_id, "published", {}):
            if line.measured is not None and line.measured.episodes:
                own = [cell for cell in cells if cell.model == line.model]
                result = ModelResult(
                    run=run,
                    night=night,
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
        report = _report(run)
        if report is not None:
            for flag in report.flags:
                flags.setdefault(report.canary_id if flag.kind == "drift" else run.run_id, []).append(flag)
    return flags


def _report(run: RunSummary) -> NightReport | None:
    """Returns the report of a night; None for other runs, unfinished nights and unreadable reports."""
    try:
        return report_of(run.manifest)
    except StoreError:
        return None


def _seconds(cache: StoreCache, run: RunSummary) -> float | None:
    report = _report(run)
    if report is not None:
        return report.seconds

    def read(connection: "DuckDBPyConnection") -> float | None:
        row: tuple[float | None] | None = connection.execute(_BUSY_SECONDS, [run.run_id]).fetchone()
        return row[0] if row else None

    return cache.get_or_compute(("seconds",), lambda: cache.query(read, run.run_id), run.run_id)


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


def _chart(histories: Sequence[ModelHistory], title: str, styles: ModelStyles, store_url: str) -> str:
    points = {
        history.model: tuple(
            Point(float(result.night.day.toordinal()), average)
            for result in reversed(history.results)
            if result.night is not None and (average := result.line.estimates["avg"]) is not None
        )
        for history in histories
    }
    axis = _date_axis({point.x for each in points.values() for point in each})
    series = [Series(model, styles.of(model), each) for model, each in points.items()]
    dates = f"{date.fromordinal(int(axis.low))} to {date.fromordinal(int(axis.high))}"
    source = f"store {store_name(store_url)} · published scoring · {dates} · mean and 95 % interval"
    return line_chart(title, series, axis, percent_axis("average, %"), source=source, width=720)


def _date_axis(days: Iterable[float]) -> Axis:
    """Returns an axis of dates, to scale: a night that is missing leaves a gap."""
    found = sorted(days)
    low, high = found[0], max(found[-1], found[0] + 1)
    step = max(1, -(-int(high - low) // MAX_TICKS))
    ticks = tuple(map(float, range(int(low), int(high) + 1, step)))
    return Axis("date of the night", low, high, ticks, lambda day: date.fromordinal(round(day)).strftime("%m-%d"))
