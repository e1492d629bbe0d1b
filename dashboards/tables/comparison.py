"""Model against model as text: a table, who is better where in plain words, and JSON for programs.

Tables are in percentage points; JSON is in 0-1.  Also what a run could tell at all, before it is played.
"""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from muses_eval.dashboards.tables.text_table import markdown_table, one_line, text_table
from muses_eval.pipeline.leaderboard_columns import COLUMNS
from muses_eval.pipeline.plan.plan import Plan
from muses_eval.storage.analysis.compare import (
    AVERAGE,
    ColumnComparison,
    Comparison,
    ComparisonReport,
    ComparisonSettings,
)
from muses_eval.storage.analysis.mean_estimate import MeanEstimate
from muses_eval.storage.analysis.model_in_run import ModelInRun
from muses_eval.storage.analysis.power import Design, smallest_difference
from muses_eval.storage.analysis.ranking import Ranking

Format = Literal["table", "md", "json"]

_CORRECTIONS = {"holm": "Holm", "bh": "Benjamini-Hochberg"}
_WHO: tuple[Literal["a"], Literal["b"]] = ("a", "b")
_SHOWS_AS_ZERO = 5e-4


def comparison_record(report: ComparisonReport) -> dict[str, Any]:
    """Two models as JSON values."""
    return {**_terms(report.settings), **_record(report.comparison, report.settings), "cautions": list(report.cautions)}


def ranking_record(standings: Ranking) -> dict[str, Any]:
    """A run's models with their bands, and all pairs, as JSON values."""
    return {
        "run_id": standings.run_id,
        **_terms(standings.settings),
        "models": [
            {
                "model": standing.model,
                "rank_best": None if standing.band is None else standing.band.best,
                "rank_worst": None if standing.band is None else standing.band.worst,
                "overall": None if standing.overall is None else standing.overall.mean,
                "overall_se": None if standing.overall is None else standing.overall.se,
            }
            for standing in standings.models
        ],
        "comparisons": [_record(comparison, standings.settings) for comparison in standings.comparisons],
        "cautions": list(standings.cautions),
    }


def render_comparison(report: ComparisonReport, form: Format) -> str:
    """Two models: their columns side by side, then who is better where."""
    if form == "json":
        return json.dumps(comparison_record(report), indent=2)
    comparison, settings = report.comparison, report.settings
    sides = [f"A  {_side(comparison.a)}", f"B  {_side(comparison.b)}"]
    asked = f"{_CORRECTIONS[settings.correction]} over {_count(len(comparison.columns), 'column')}"
    notes = [*_verdicts(comparison, settings), *_left_out(comparison), *_notes(settings, asked, report.cautions)]
    return _page(form, sides, _columns_table(comparison, settings), notes)


def render_ranking(standings: Ranking, form: Format) -> str:
    """A run: the ranks that its models can have, then every pair of them."""
    if form == "json":
        return json.dumps(ranking_record(standings), indent=2)
    pairs = _count(len(standings.comparisons), "pair")
    asked = f"{_CORRECTIONS[standings.settings.correction]} over {pairs}; for the columns over all pairs and columns"
    notes = [f"run {one_line(standings.run_id)} · {_bands_note(standings)}"]
    notes += _unranked(standings)
    notes += _notes(standings.settings, asked, standings.cautions)
    return f"{_page(form, _ranks_table(standings))}\n\n{_page(form, _pairs_table(standings), notes)}"


def render_rank_bands(standings: Ranking, *, markdown: bool = False) -> str:
    """The ranks alone, to stand below a leaderboard."""
    table = _Table(["ranks", "model"], [[str(band), model] for model, band in standings.bands.items()], range(0))
    notes = [_bands_note(standings), *_unranked(standings)]
    return f"\n{_page('md' if markdown else 'table', table, notes)}"


def detectable(plan: Plan) -> dict[str, float | None]:
    """Family -> the smallest difference of two models that a run of this plan shows; None: it has too few scenarios.

    Under the assumptions of :class:`storage.analysis.power.Design`; one comparison per pair of models in the plan.
    """
    first, played = plan.cells[0].model, defaultdict[str, Counter[str]](Counter)
    for cell in plan.cells:
        if cell.model == first:
            played[cell.family].update(episode.scenario_id for shard in cell.shards for episode in shard.episodes)
    pairs = max(1, math.comb(len({cell.model.name for cell in plan.cells}), 2))
    designs = {
        family: Design(scenarios=len(counts), epochs=max(1, counts.total() // len(counts)), comparisons=pairs)
        for family, counts in played.items()
        if counts
    }
    return {family: smallest_difference(design) for family, design in designs.items()}


def render_detectable(plan: Plan) -> str:
    """:func:`detectable` in one line, in percentage points."""
    shown = ", ".join(
        f"{family} none" if smallest is None or smallest > 1 else f"{family} {100 * smallest:.0f}"
        for family, smallest in detectable(plan).items()
    )
    return f"smallest difference of two models that shows (80 % power, paired, percentage points): {shown}"


def _terms(settings: ComparisonSettings) -> dict[str, Any]:
    return {
        "scoring": settings.scoring,
        "family": settings.family,
        "correction": settings.correction,
        "alpha": settings.alpha,
    }


def _record(comparison: Comparison, settings: ComparisonSettings) -> dict[str, Any]:
    overall = comparison.overall
    return {
        "a": {"run_id": comparison.a.run_id, "model": comparison.a.model},
        "b": {"run_id": comparison.b.run_id, "model": comparison.b.model},
        "overall": None if overall is None else _contrast_record(overall, settings),
        "columns": [_contrast_record(column, settings) for column in comparison.columns],
    }


def _contrast_record(contrast: ColumnComparison, settings: ComparisonSettings) -> dict[str, Any]:
    tested = contrast.difference
    low, high = tested.interval(1 - settings.alpha) or (None, None)
    return {
        "column": contrast.column,
        "a": contrast.a,
        "b": contrast.b,
        "difference": tested.mean,
        "se": tested.se,
        "df": tested.df,
        "low": low,
        "high": high,
        "p": tested.p,
        "p_adjusted": contrast.p_adjusted,
        "better": contrast.winner(settings.alpha),
        "scenarios": contrast.scenarios,
        "pairs": contrast.pairs,
        "a_better": contrast.a_better,
        "b_better": contrast.b_better,
        "left_out": contrast.left_out,
    }


@dataclass(frozen=True, slots=True)
class _Table:
    header: Sequence[str]
    body: Sequence[Sequence[str]]
    numeric: range
    """Columns that stand to the right."""


def _page(form: Format, *blocks: _Table | Sequence[str]) -> str:
    """Tables and lines below one another; in Markdown, lines are items of a list."""
    if form == "md":
        return "\n\n".join(
            markdown_table(block.header, block.body, block.numeric)
            if isinstance(block, _Table)
            else "\n".join(f"- {line}" for line in block)
            for block in blocks
        )
    return "\n".join(
        text_table(block.header, block.body, block.numeric) if isinstance(block, _Table) else "\n".join(block)
        for block in blocks
    )


def _columns_table(comparison: Comparison, settings: ComparisonSettings) -> _Table:
    level = f"{100 * (1 - settings.alpha):g} % interval"
    header = ["", "A", "B", "A - B", level, "p", "adjusted p", "scenarios", "A better", "B better"]
    shown = list(comparison.columns)
    if comparison.overall is not None and comparison.overall.column == AVERAGE:
        shown.append(comparison.overall)
    body = [
        [
            _average_title(len(comparison.columns)) if contrast.column == AVERAGE else COLUMNS[contrast.column].title,
            f"{100 * contrast.a:.1f}",
            f"{100 * contrast.b:.1f}",
            _signed(contrast),
            _interval(contrast, settings),
            _p(contrast.difference.p),
            _p(contrast.p_adjusted),
            str(contrast.scenarios),
            str(contrast.a_better),
            str(contrast.b_better),
        ]
        for contrast in shown
    ]
    return _Table(header, body, range(1, len(header)))


def _ranks_table(standings: Ranking) -> _Table:
    columns = len(standings.columns)
    overall = _average_title(columns) if columns > 1 else COLUMNS[standings.columns[0]].title
    body = [
        ["–" if standing.band is None else str(standing.band), standing.model, _estimate(standing.overall)]
        for standing in standings.models
    ]
    return _Table(["ranks", "model", overall], body, range(2, 3))


def _pairs_table(standings: Ranking) -> _Table:
    header = ["A", "B", "A - B", "p", "adjusted p", "overall", "A better at", "B better at"]
    alpha = standings.settings.alpha
    body = [
        [
            comparison.a.model,
            comparison.b.model,
            *_overall_cells(comparison.overall, alpha),
            *(
                ", ".join(COLUMNS[column.column].title for column in _won(comparison, who, alpha)) or "–"
                for who in _WHO
            ),
        ]
        for comparison in standings.comparisons
    ]
    return _Table(header, body, range(2, 5))


def _overall_cells(overall: ColumnComparison | None, alpha: float) -> tuple[str, str, str, str]:
    if overall is None:
        return "–", "–", "–", "not comparable"
    said = {"a": "A better", "b": "B better", None: "cannot tell"}[overall.winner(alpha)]
    return _signed(overall), _p(overall.difference.p), _p(overall.p_adjusted), said


def _won(comparison: Comparison, who: Literal["a", "b"], alpha: float) -> list[ColumnComparison]:
    return [column for column in comparison.columns if column.winner(alpha) == who]


def _verdicts(comparison: Comparison, settings: ComparisonSettings) -> Iterator[str]:
    """Says in which columns a model is better, which columns cannot be decided and why, and which are equal."""
    names = {"a": one_line(comparison.a.model), "b": one_line(comparison.b.model)}
    if comparison.a.model == comparison.b.model:  # in two runs
        names = {"a": "A", "b": "B"}
    for who in _WHO:
        won = _won(comparison, who, settings.alpha)
        if won:
            yield f"{names[who]} is better at: {', '.join(f'{COLUMNS[c.column].title} ({_lead(c)})' for c in won)}"
    equal = [c for c in comparison.columns if c.a_better == c.b_better == 0]
    unclear = [c for c in comparison.columns if c.winner(settings.alpha) is None and c not in equal]
    if unclear:
        doubts = (f"{COLUMNS[c.column].title} ({_doubt(c, settings)})" for c in unclear)
        yield f"no difference can be told: {', '.join(doubts)}"
    if equal:
        yield f"equal on every scenario: {', '.join(COLUMNS[c.column].title for c in equal)}"
    overall = comparison.overall
    if overall is not None and overall.column == AVERAGE:
        leader = overall.winner(settings.alpha)
        said = f"no difference can be told ({_doubt(overall, settings)})"
        if leader is not None:
            said = f"{names[leader]} is ahead ({_lead(overall)})"
        elif overall.a_better == overall.b_better == 0:
            said = "equal on every scenario"
        yield f"on the {_average_title(len(comparison.columns))}: {said}"


def _doubt(contrast: ColumnComparison, settings: ComparisonSettings) -> str:
    """Describes a difference that is not significant, and how large a significant one would be."""
    detectable = contrast.difference.detectable(settings.alpha)
    if detectable is None or detectable < _SHOWS_AS_ZERO:
        return f"{_signed(contrast)}; {_count(contrast.scenarios, 'scenario')} cannot tell"
    if detectable > 1:
        return f"{_signed(contrast)}; too few scenarios to show any"
    return f"{_signed(contrast)}; one below about {100 * detectable:.0f} would often stay unseen"


def _notes(settings: ComparisonSettings, asked: str, cautions: Sequence[str]) -> Iterator[str]:
    yield f"{settings.scoring} scoring · percentage points ± standard error, paired by scenario · p two-sided, t"
    yield f"adjusted p: {asked} · told apart at {settings.alpha:g}"
    for caution in cautions:
        yield f"caution: {one_line(caution)}"


def _left_out(comparison: Comparison) -> Iterator[str]:
    missing = [f"{COLUMNS[c.column].title} {c.left_out}" for c in comparison.columns if c.left_out]
    if missing:
        yield f"scenarios that only one of the two has a score of, left out: {', '.join(missing)}"


def _unranked(standings: Ranking) -> Iterator[str]:
    names = [one_line(standing.model) for standing in standings.models if standing.band is None]
    if names:
        yield f"not ranked, since too little of what was planned is scored: {', '.join(names)}"


def _bands_note(standings: Ranking) -> str:
    settings = standings.settings
    share = f"{100 * settings.alpha:g} %"
    risk = f"any of them is wrong in {share} of all runs at most"
    if settings.correction == "bh":
        risk = f"of the differences behind them {share} at most are expected to be none"
    return f"ranks that the paired differences leave open: {risk}"


def _side(side: ModelInRun) -> str:
    return f"{one_line(side.model)} (run {one_line(side.run_id)})"


def _average_title(columns: int) -> str:
    return "average" if columns == len(COLUMNS) else f"average of {columns}"


def _signed(contrast: ColumnComparison) -> str:
    mean, se, _, _ = contrast.difference
    shown = "0.0" if abs(mean) < _SHOWS_AS_ZERO else f"{100 * mean:+.1f}"
    return shown if se is None else f"{shown} ± {100 * se:.1f}"


def _lead(contrast: ColumnComparison) -> str:
    """A difference as the better one sees it."""
    return _signed(contrast).replace("-", "+", 1)


def _interval(contrast: ColumnComparison, settings: ComparisonSettings) -> str:
    found = contrast.difference.interval(1 - settings.alpha)
    return "–" if found is None else f"{100 * found.low:+.1f} to {100 * found.high:+.1f}"


def _estimate(estimate: MeanEstimate | None) -> str:
    if estimate is None:
        return "–"
    error = "" if estimate.se is None else f" ± {100 * estimate.se:.1f}"
    return f"{100 * estimate.mean:.1f}{error}"


def _p(p: float | None) -> str:
    if p is None:
        return "–"
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
