"""The leaderboard as text: a table for people, Markdown, CSV, and JSON for programs."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

from dashboards.text import markdown_table, text_table
from storage.leaderboard import COLUMNS, LeaderboardRow
from storage.stats import Estimate

Format = Literal["table", "md", "csv", "json"]

_TITLES = {
    "queue_f1": "queue F1",
    "instruct_accuracy": "instruct acc",
    "privacy": "privacy",
    "utility": "utility",
    "meeting_success": "meeting succ",
}
_NESTED = ("outcomes", "bounds")


def leaderboard_records(rows: Sequence[LeaderboardRow]) -> list[dict[str, Any]]:
    """The rows as JSON values: means and standard errors in 0-1, null where nothing was scored."""
    return [
        {**asdict(row), "bounds": {column: bounds._asdict() for column, bounds in row.bounds.items()}} for row in rows
    ]


def render_leaderboard(rows: Sequence[LeaderboardRow], form: Format) -> str:
    """The rows in one format; tables show percentages with their standard errors, as the paper's table 2 does."""
    match form:
        case "json":
            return json.dumps(leaderboard_records(rows), indent=2)
        case "csv":
            return _csv(rows)
        case "md":
            return "\n".join((markdown_table(*_cells(rows)), "", *_notes(rows)))
        case "table":
            return "\n".join((text_table(*_cells(rows)), *_notes(rows)))


def _csv(rows: Sequence[LeaderboardRow]) -> str:
    records = [
        {key: json.dumps(value) if key in _NESTED else value for key, value in record.items()}
        for record in leaderboard_records(rows)
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(records[0]) if records else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue().rstrip("\n")


def _cells(rows: Sequence[LeaderboardRow]) -> tuple[list[str], list[list[str]], range]:
    """Header, body and the indices of the numeric columns; columns that nobody played are left out."""
    played = [column for column in COLUMNS if any(row.estimate(column) or column in row.bounds for row in rows)]
    of_all = "" if len(played) == len(COLUMNS) else f" of {len(played)}"
    header = ["", "model", *(_TITLES[column] for column in played), f"avg{of_all}", "episodes", "coverage", "cost"]
    body = [
        [
            "–" if row.rank is None else str(row.rank),
            row.model,
            *(_percent(row.estimate(column)) for column in played),
            _percent(None if row.avg is None else Estimate(row.avg, row.avg_se)),
            f"{row.episodes}/{'?' if row.planned is None else row.planned}",
            "?" if row.coverage is None else f"{100 * row.coverage:.3g} %",
            "?" if row.cost_usd is None else f"${row.cost_usd:.2f}",
        ]
        for row in rows
    ]
    return header, body, range(2, len(header))


def _percent(estimate: Estimate | None) -> str:
    if estimate is None:
        return "–"
    error = "" if estimate.se is None else f" ± {100 * estimate.se:.1f}"
    return f"{100 * estimate.mean:.1f}{error}"


def _notes(rows: Sequence[LeaderboardRow]) -> list[str]:
    """What the numbers are, and what is missing from them."""
    if not rows:
        return ["nothing has been played"]
    runs = ", ".join(dict.fromkeys(row.run_id for row in rows))
    notes = [f"run {runs} · {rows[0].scoring} scoring · mean ± standard error in %, the scenario is the unit"]
    for row in rows:
        if not row.bounds:
            continue
        failed = ", ".join(f"{count} {name}" for name, count in row.outcomes.items() if count and name != "scored")
        spans = ", ".join(
            f"{_TITLES[column]} {100 * bound.low:.1f}–{100 * bound.high:.1f}" for column, bound in row.bounds.items()
        )
        unranked = "" if row.ranked else ", not ranked"
        notes.append(f"{row.model}: {failed or 'episodes missing'}{unranked}; with all episodes it would lie in {spans}")
    return notes
