"""The effect of a harness as text tables, Markdown, CSV, LaTeX or JSON.

Tables are in percentage points; CSV and JSON are in 0-1.
"""

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Literal

from muses_eval.dashboards.tables.comparison import (
    CORRECTIONS,
    column_record,
    insignificance_text,
    method_notes,
    settings_record,
)
from muses_eval.dashboards.tables.harness_latex import harness_latex
from muses_eval.dashboards.tables.score_format import (
    column_title,
    difference_text,
    interval_text,
    p_text,
    share_text,
)
from muses_eval.dashboards.tables.screen import PLAIN, Screen
from muses_eval.dashboards.tables.text_table import Table, one_line, render_blocks
from muses_eval.pipeline.text.count_text import count_text
from muses_eval.storage.analysis.compare import ColumnComparison, ComparisonSettings
from muses_eval.storage.analysis.harness_effect import HarnessEffect, HarnessReport, UsageComparison

Format = Literal["table", "md", "csv", "latex", "json"]

_MEASURES = {"cost_usd": "${:.4g}", "tokens": "{:.0f}", "calls": "{:.3g}", "seconds": "{:.3g}"}
"""Fields of an episode's usage, and how a table shows them."""
_FINDINGS = ("better at", "worse at", "no significant difference", "equal on every scenario")


def harness_record(report: HarnessReport) -> dict[str, Any]:
    """Returns the report as JSON values; ``a`` of a column is the agent, ``b`` its model alone."""
    return {
        "run_id": report.run_id,
        **settings_record(report.settings),
        "protocols": list(report.protocols),
        "effects": [_effect_record(effect, report.settings) for effect in report.effects],
        "missing": list(report.missing),
        "cautions": list(report.cautions),
    }


def render_harness_effects(report: HarnessReport, form: Format, screen: Screen = PLAIN) -> str:
    """Returns the differences of scores, then cost, tokens, calls and time."""
    match form:
        case "json":
            return json.dumps(harness_record(report), indent=2)
        case "csv":
            return _csv(report)
        case "latex":
            return harness_latex(report)
        case "table" | "md":
            tables = [_scores_table(report), _usage_table(report)] if report.effects else []
            blocks: list[Table | list[str]] = [*tables, [*_notes(report)]]
            return "\n\n".join(render_blocks(form, block, screen=screen) for block in blocks)


def _effect_record(effect: HarnessEffect, settings: ComparisonSettings) -> dict[str, Any]:
    overall = effect.comparison.overall
    return {
        **_names(effect),
        "overall": None if overall is None else column_record(overall, settings),
        "columns": [column_record(column, settings) for column in effect.comparison.columns],
        "usage": [{**asdict(usage), "ratio": asdict(usage.ratios)} for usage in effect.usage],
    }


def _names(effect: HarnessEffect) -> dict[str, str]:
    return {
        "model": effect.comparison.a.model,
        "base_model": effect.base_model,
        "agent": effect.agent,
        "facts": effect.facts,
    }


def harness_lines(report: HarnessReport) -> list[dict[str, Any]]:
    """Returns one line per agent and column, with the usage in the family of the column."""
    return [
        {
            "run_id": report.run_id,
            "scoring": report.settings.scoring,
            **_names(effect),
            **_score_fields(column_record(column, report.settings)),
            **_usage_fields(effect.usage_beside(column)),
        }
        for effect in report.effects
        for column in effect.columns
    ]


def _csv(report: HarnessReport) -> str:
    lines = harness_lines(report)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(lines[0]) if lines else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue().rstrip("\n")


def _score_fields(record: dict[str, Any]) -> dict[str, Any]:
    same = ("difference", "se", "df", "low", "high", "p", "p_adjusted", "scenarios", "pairs", "left_out")
    head = {"column": record["column"], "agent_mean": record["a"], "chat_mean": record["b"]}
    return {**head, **{name: record[name] for name in same}}


def _usage_fields(usage: UsageComparison | None) -> dict[str, Any]:
    fields: dict[str, Any] = {"episodes": usage and usage.episodes}
    for name in _MEASURES:
        fields[f"agent_{name}"] = usage and getattr(usage.agent, name)
        fields[f"chat_{name}"] = usage and getattr(usage.chat, name)
    return {**fields, "agent_error_share": usage and usage.agent_error_share}


def _scores_table(report: HarnessReport) -> Table:
    alpha = report.settings.alpha
    level = f"{100 * (1 - alpha):g} % interval"
    header = ["model", "agent", "facts", "column", "chat", "with agent", "difference", level, "p", "adjusted p"]
    rows = [
        [
            effect.base_model,
            effect.agent,
            effect.facts,
            column_title(column.column, len(effect.comparison.columns)),
            f"{100 * column.b:.1f}",
            f"{100 * column.a:.1f}",
            difference_text(column),
            interval_text(column, alpha),
            p_text(column.difference.p),
            p_text(column.p_adjusted),
            str(column.scenarios),
        ]
        for effect in report.effects
        for column in effect.columns
    ]
    return Table([*header, "scenarios"], rows, range(4, len(header) + 1))


def _usage_table(report: HarnessReport) -> Table:
    header = ["model", "agent", "facts", "family", "episodes", "cost", "tokens", "calls", "seconds", "agent errors"]
    rows = [
        [
            effect.base_model,
            effect.agent,
            effect.facts,
            usage.family or "all",
            str(usage.episodes),
            *usage_texts(usage),
            share_text(usage.agent_error_share),
        ]
        for effect in report.effects
        for usage in _shown_usage(effect)
    ]
    return Table(header, rows, range(4, len(header)))


def _shown_usage(effect: HarnessEffect) -> Sequence[UsageComparison]:
    """Returns the usage of each family; of one family alone, not the equal sum as well."""
    return effect.usage[:1] if len(effect.usage) == 2 else effect.usage


def usage_texts(usage: UsageComparison) -> list[str]:
    """Returns a text such as "120 → 360 (×3)" for the cost, the tokens, the calls and the seconds of an episode."""
    return [_change(usage, name, form) for name, form in _MEASURES.items()]


def _change(usage: UsageComparison, measure: str, form: str) -> str:
    figures = [getattr(usage.chat, measure), getattr(usage.agent, measure)]
    before, after = ("?" if figure is None else form.format(figure) for figure in figures)
    factor = getattr(usage.ratios, measure)
    return f"{before} → {after}" if factor is None else f"{before} → {after} (×{factor:.3g})"


def _notes(report: HarnessReport) -> Iterator[str]:
    settings = report.settings
    yield f"run {one_line(report.run_id)} · differences: agent minus chat, the model alone"
    yield from (_verdict(effect, settings) for effect in report.effects)
    yield from map(one_line, report.missing)
    if not report.effects:
        return
    over = f"over all agents and columns; for the average over {count_text(len(report.effects), 'agent')}"
    yield from method_notes(settings, report.protocols, f"{CORRECTIONS[settings.correction]} {over}", report.cautions)
    yield "cost, tokens, calls, seconds: means per episode that both have scored, without calls of simulated users"


def _verdict(effect: HarnessEffect, settings: ComparisonSettings) -> str:
    """Returns in which columns the agent is better or worse than its model alone, and where neither is shown."""
    groups = defaultdict[str, list[str]](list)
    for column in effect.comparison.columns:
        what, text = _finding(column, settings)
        groups[what].append(f"{column_title(column.column, 1)}{text}")
    shown = "; ".join(f"{what}: {', '.join(groups[what])}" for what in _FINDINGS if what in groups)
    return f"{one_line(effect.comparison.a.model)}: {shown}"


def _finding(column: ColumnComparison, settings: ComparisonSettings) -> tuple[str, str]:
    """Returns one of :data:`_FINDINGS`, and the difference in brackets."""
    better, worse, unclear, equal = _FINDINGS
    winner = column.winner(settings.alpha)
    if winner is not None:
        return better if winner == "a" else worse, f" ({difference_text(column)})"
    if column.a_better == column.b_better == 0:
        return equal, ""
    return unclear, f" ({insignificance_text(column, settings)})"
