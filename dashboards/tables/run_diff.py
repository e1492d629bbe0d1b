"""The differences between two runs as text and as JSON: configurations by group, common episodes, comparisons."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from muses_eval.dashboards.tables.comparison import comparison_record, render_comparison
from muses_eval.dashboards.tables.screen import PLAIN, Screen
from muses_eval.dashboards.tables.text_table import one_line, text_table
from muses_eval.pipeline.hashing import canonical
from muses_eval.pipeline.text.count_text import count_text
from muses_eval.storage.analysis.compare import ComparisonReport
from muses_eval.storage.analysis.run_diff import Change, CommonEpisodes, RunDiff

_TITLES = {
    "dataset": "dataset",
    "plan": "what is played",
    "models": "models",
    "agents": "agents",
    "sampling": "sampling",
    "users": "simulated users",
    "scorers": "scorers",
    "engines": "engines",
    "serving": "serving",
    "endpoints": "endpoints",
    "limits": "limits",
    "prices": "prices",
    "execution": "execution",
    "code": "code",
    "packages": "packages",
}


def diff_record(diff: RunDiff) -> dict[str, Any]:
    """Returns the differences as JSON values."""
    return {
        "a": diff.a,
        "b": diff.b,
        "changes": [
            {"group": change.group, "what": change.what, "a": change.a, "b": change.b} for change in diff.changes
        ],
        "unknown": list(diff.unknown),
        "common_episodes": [
            {
                "model": common.model,
                "episodes": common.episodes,
                "outcomes_changed": common.outcomes_changed,
                "scores_changed": common.scores_changed,
            }
            for common in diff.common
        ],
        "comparisons": [comparison_record(report) for report in diff.comparisons],
    }


def render_diff(diff: RunDiff, screen: Screen = PLAIN) -> str:
    """Returns the differences of configurations, what is not recorded, and the differences of results."""
    blocks = [f"A  {one_line(diff.a)}\nB  {one_line(diff.b)}", _configuration(diff), _common(diff)]
    blocks += [render_comparison(report, "table", screen) for report in diff.comparisons if _differs(report)]
    return "\n\n".join(blocks)


def _configuration(diff: RunDiff) -> str:
    lines = [line for group, found in groupby(diff.changes, key=lambda c: c.group) for line in _group(group, found)]
    lines = lines or ["same configuration: none of the recorded facts has changed"]
    for run in diff.unknown:
        lines.append(f"not recorded in {one_line(run)}, which is older: limits, prices, engines, scorers, platform")
    return "\n".join(lines)


def _group(group: str, changes: Iterator[Change]) -> Iterator[str]:
    yield _TITLES[group]
    for change in changes:
        yield f"  {one_line(change.what)}: {_shown(change, change.a)} → {_shown(change, change.b)}"


def _shown(change: Change, value: object) -> str:
    if value is None:
        return "missing" if change.group == "models" else "none"
    return one_line(value if isinstance(value, str) else canonical(value).decode())


def _common(diff: RunDiff) -> str:
    if not diff.common:
        return "no episode is in both runs: their scenarios, models, sampling, users or protocols differ"
    if not any(common.outcomes_changed or common.scores_changed for common in diff.common):
        total = sum(common.episodes for common in diff.common)
        verb = "is" if total == 1 else "are"
        return f"{count_text(total, 'episode')} {verb} in both runs, with the same outcomes and the same scores"
    header = ["episodes in both runs", "n", "other outcome", "other scores"]
    return text_table(header, [_row(common) for common in diff.common], range(1, 4))


def _differs(report: ComparisonReport) -> bool:
    return any(column.a_better or column.b_better for column in report.comparison.columns)


def _row(common: CommonEpisodes) -> list[str]:
    return [common.model, str(common.episodes), str(common.outcomes_changed), str(common.scores_changed)]
