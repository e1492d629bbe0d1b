"""The comparison of two models: a table with the significant differences below it, and JSON.

Tables are in percentage points; JSON is in 0-1.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from muses_eval.dashboards.tables.score_format import (
    SHOWN_AS_ZERO,
    column_title,
    difference_text,
    interval_text,
    p_text,
)
from muses_eval.dashboards.tables.screen import PLAIN, Screen
from muses_eval.dashboards.tables.text_table import Table, one_line, render_blocks
from muses_eval.pipeline.agents.agent_spec import FactsLevel
from muses_eval.pipeline.text.count_text import count_text
from muses_eval.storage.analysis.compare import (
    AVERAGE,
    ColumnComparison,
    Comparison,
    ComparisonReport,
    ComparisonSettings,
)
from muses_eval.storage.analysis.model_in_run import ModelInRun

Format = Literal["table", "md", "json"]

CORRECTIONS = {"holm": "Holm", "bh": "Benjamini-Hochberg"}
"""Names of the corrections for many comparisons."""
_BOTH: tuple[Literal["a"], Literal["b"]] = ("a", "b")


def comparison_record(report: ComparisonReport) -> dict[str, Any]:
    """Returns the comparison of two models as JSON values."""
    return {
        **settings_record(report.settings),
        "protocols": list(report.protocols),
        "facts": dict(zip("ab", report.facts, strict=True)),
        **pair_record(report.comparison, report.settings),
        "cautions": list(report.cautions),
    }


def settings_record(settings: ComparisonSettings) -> dict[str, Any]:
    """Returns the settings as JSON values."""
    return {
        "scoring": settings.scoring,
        "family": settings.family,
        "correction": settings.correction,
        "alpha": settings.alpha,
    }


def pair_record(comparison: Comparison, settings: ComparisonSettings) -> dict[str, Any]:
    """Returns one pair of models as JSON values."""
    overall = comparison.overall
    return {
        "a": {"run_id": comparison.a.run_id, "model": comparison.a.model},
        "b": {"run_id": comparison.b.run_id, "model": comparison.b.model},
        "overall": None if overall is None else column_record(overall, settings),
        "columns": [column_record(column, settings) for column in comparison.columns],
    }


def column_record(column: ColumnComparison, settings: ComparisonSettings) -> dict[str, Any]:
    """Returns one column of a pair as JSON values."""
    tested = column.difference
    low, high = tested.interval(1 - settings.alpha) or (None, None)
    return {
        "column": column.column,
        "a": column.a,
        "b": column.b,
        "difference": tested.mean,
        "se": tested.se,
        "df": tested.df,
        "low": low,
        "high": high,
        "p": tested.p,
        "p_adjusted": column.p_adjusted,
        "better": column.winner(settings.alpha),
        "scenarios": column.scenarios,
        "pairs": column.pairs,
        "a_better": column.a_better,
        "b_better": column.b_better,
        "left_out": column.left_out,
    }


def render_comparison(report: ComparisonReport, form: Format, screen: Screen = PLAIN) -> str:
    """Returns the columns of two models side by side, then in which columns each is better."""
    if form == "json":
        return json.dumps(comparison_record(report), indent=2)
    comparison, settings = report.comparison, report.settings
    models = [f"A  {_model(comparison.a, report.facts[0])}", f"B  {_model(comparison.b, report.facts[1])}"]
    corrected_over = f"{CORRECTIONS[settings.correction]} over {count_text(len(comparison.columns), 'column')}"
    notes = [
        *_verdicts(comparison, settings),
        *_left_out(comparison),
        *method_notes(settings, report.protocols, corrected_over, report.cautions),
    ]
    return render_blocks(form, models, _columns_table(comparison, settings), notes, screen=screen)


def won_columns(comparison: Comparison, model: Literal["a", "b"], alpha: float) -> list[ColumnComparison]:
    """Returns the columns in which one of the two models is significantly better."""
    return [column for column in comparison.columns if column.winner(alpha) == model]


def method_notes(
    settings: ComparisonSettings, protocols: Sequence[str], corrected_over: str, cautions: Sequence[str]
) -> Iterator[str]:
    """Yields how the numbers were computed, and the cautions."""
    how = f"{settings.scoring} scoring · protocol {' and '.join(protocols)}"
    yield f"{how} · percentage points ± standard error, paired by scenario · p two-sided, t"
    yield f"adjusted p: {corrected_over} · significant at {settings.alpha:g}"
    for caution in cautions:
        yield f"caution: {one_line(caution)}"


def insignificance_text(column: ColumnComparison, settings: ComparisonSettings) -> str:
    """Returns a difference that is not significant, and how large a significant one would be."""
    detectable = column.difference.detectable(settings.alpha)
    shown = difference_text(column)
    if detectable is None or detectable < SHOWN_AS_ZERO:
        return f"{shown}; too few scenarios ({column.scenarios})"
    if detectable > 1:
        return f"{shown}; too few scenarios to detect any"
    return f"{shown}; differences below about {100 * detectable:.0f} are often missed"


def _columns_table(comparison: Comparison, settings: ComparisonSettings) -> Table:
    level = f"{100 * (1 - settings.alpha):g} % interval"
    header = ["", "A", "B", "A - B", level, "p", "adjusted p", "scenarios", "A better", "B better"]
    shown = list(comparison.columns)
    if comparison.overall is not None and comparison.overall.column == AVERAGE:
        shown.append(comparison.overall)
    rows = [
        [
            column_title(column.column, len(comparison.columns)),
            f"{100 * column.a:.1f}",
            f"{100 * column.b:.1f}",
            difference_text(column),
            interval_text(column, settings.alpha),
            p_text(column.difference.p),
            p_text(column.p_adjusted),
            str(column.scenarios),
            str(column.a_better),
            str(column.b_better),
        ]
        for column in shown
    ]
    return Table(header, rows, range(1, len(header)))


def _verdicts(comparison: Comparison, settings: ComparisonSettings) -> Iterator[str]:
    """Yields the columns in which each model is better, those without a significant difference, and the equal ones."""
    names = {"a": one_line(comparison.a.model), "b": one_line(comparison.b.model)}
    if comparison.a.model == comparison.b.model:  # in two runs
        names = {"a": "A", "b": "B"}
    for model in _BOTH:
        won = won_columns(comparison, model, settings.alpha)
        if won:
            yield f"{names[model]} is better at: {', '.join(f'{_title(c)} ({_lead_text(c)})' for c in won)}"
    equal = [c for c in comparison.columns if c.a_better == c.b_better == 0]
    unclear = [c for c in comparison.columns if c.winner(settings.alpha) is None and c not in equal]
    if unclear:
        reasons = (f"{_title(column)} ({insignificance_text(column, settings)})" for column in unclear)
        yield f"no significant difference: {', '.join(reasons)}"
    if equal:
        yield f"equal on every scenario: {', '.join(map(_title, equal))}"
    overall = comparison.overall
    if overall is not None and overall.column == AVERAGE:
        leader = overall.winner(settings.alpha)
        verdict = f"no significant difference ({insignificance_text(overall, settings)})"
        if leader is not None:
            verdict = f"{names[leader]} is ahead ({_lead_text(overall)})"
        elif overall.a_better == overall.b_better == 0:
            verdict = "equal on every scenario"
        yield f"on the {column_title(AVERAGE, len(comparison.columns))}: {verdict}"


def _left_out(comparison: Comparison) -> Iterator[str]:
    missing = [f"{_title(column)} {column.left_out}" for column in comparison.columns if column.left_out]
    if missing:
        yield f"scenarios with a score of only one of the two, left out: {', '.join(missing)}"


def _title(column: ColumnComparison) -> str:
    return column_title(column.column, 1)


def _model(model: ModelInRun, facts: FactsLevel) -> str:
    structured = f", facts {facts}" if facts == "structured" else ""
    return f"{one_line(model.model)} (run {one_line(model.run_id)}{structured})"


def _lead_text(column: ColumnComparison) -> str:
    """Returns the difference with a plus sign: the lead of the better model."""
    return difference_text(column).replace("-", "+", 1)
