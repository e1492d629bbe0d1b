"""The leaderboard as text: a table for people, Markdown, LaTeX, CSV, and JSON for programs.

With the paper's rows beside ours every row says where it comes from.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, Literal

from muses_eval.dashboards.tables.paper_table2 import Line, latex_table, measured, published
from muses_eval.dashboards.tables.text_table import markdown_table, one_line, text_table
from muses_eval.pipeline.leaderboard_columns import COLUMNS
from muses_eval.storage.analysis.leaderboard import LeaderboardRow
from muses_eval.storage.analysis.mean_estimate import MeanEstimate

Format = Literal["table", "md", "csv", "json", "latex"]

_NESTED = ("outcomes", "bounds")
_PAPER_NOTE = "source paper: copied from table 2 of the Muses-Bench paper (its official scenarios), not measured here"


def leaderboard_records(rows: Sequence[LeaderboardRow], *, with_paper: bool = False) -> list[dict[str, Any]]:
    """The rows as JSON values: means and standard errors in 0-1, null where nothing was scored."""
    ours = [
        {
            "source": "ours",
            **_flat(asdict(row)),
            "bounds": {column: bounds._asdict() for column, bounds in row.bounds.items()},
        }
        for row in rows
    ]
    return ours + ([_published_record(line) for line in published()] if with_paper else [])


def render_leaderboard(rows: Sequence[LeaderboardRow], form: Format, *, with_paper: bool = False) -> str:
    """The rows in one format; tables show percentages with their standard errors, as the paper's table 2 does."""
    match form:
        case "json":
            return json.dumps(leaderboard_records(rows, with_paper=with_paper), indent=2)
        case "csv":
            return _csv(leaderboard_records(rows, with_paper=with_paper))
        case "latex":
            return latex_table(_lines(rows, with_paper=with_paper))
        case "md":
            return "\n".join((markdown_table(*_cells(rows, with_paper=with_paper)), "", *_notes(rows, with_paper)))
        case "table":
            return "\n".join((text_table(*_cells(rows, with_paper=with_paper)), *_notes(rows, with_paper)))


def _published_record(line: Line) -> dict[str, Any]:
    """The same keys as ours; null for what the paper does not say."""
    record: dict[str, Any] = {"source": line.source}
    record |= _flat(dict.fromkeys(field.name for field in fields(LeaderboardRow)) | {"estimates": line.estimates})
    record |= {"scoring": "published", "model": line.model, "avg_columns": len(COLUMNS)}
    record |= {"outcomes": {}, "bounds": {}, "ranked": False}
    return record


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record with two entries per column, mean and standard error, where the row holds its estimates."""
    flat: dict[str, Any] = {}
    for key, value in record.items():
        if key != "estimates":
            flat.setdefault(key, value)
            continue
        for column, estimate in value.items():
            flat[column], flat[f"{column}_se"] = estimate or (None, None)
    return flat


def _lines(rows: Sequence[LeaderboardRow], *, with_paper: bool) -> list[Line]:
    """Our rows in their order; with the paper's, all by their averages."""
    if not with_paper:
        return measured(rows)
    lines = measured(rows, beside_paper=True) + published()
    return sorted(lines, key=lambda line: -(average.mean if (average := line.estimates["avg"]) else -1.0))


def _csv(records: Sequence[dict[str, Any]]) -> str:
    flat = [
        {key: json.dumps(value) if key in _NESTED else value for key, value in record.items()} for record in records
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(flat[0]) if flat else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue().rstrip("\n")


def _cells(rows: Sequence[LeaderboardRow], *, with_paper: bool) -> tuple[list[str], list[list[str]], range]:
    """Header, body and the indices of the numeric columns; columns without any episode are left out."""
    lines = _lines(rows, with_paper=with_paper)
    shown = [
        column
        for column in COLUMNS
        if any(line.estimates[column] or (line.row and column in line.row.bounds) for line in lines)
    ]
    of_all = "" if len(shown) == len(COLUMNS) else f" of {len(shown)}"
    source = ["source"] if with_paper else []
    header = ["", "model", *source, *(COLUMNS[column].title for column in shown), f"avg{of_all}"]
    header += ["episodes", "coverage", "cost"]
    body = [
        [
            "–" if line.row is None or line.row.rank is None else str(line.row.rank),
            line.model if line.role is None else f"{line.model} ({line.role})",
            *([line.source] if with_paper else []),
            *(_percent(line.estimates[column]) for column in (*shown, "avg")),
            *_extent(line.row),
        ]
        for line in lines
    ]
    return header, body, range(2 + len(source), len(header))


def _extent(row: LeaderboardRow | None) -> tuple[str, str, str]:
    """How much was played, and for how much money."""
    if row is None:
        return "", "", ""
    return (
        f"{row.episodes}/{'?' if row.planned is None else row.planned}",
        "?" if row.coverage is None else f"{100 * row.coverage:.3g} %",
        "?" if row.cost_usd is None else f"${row.cost_usd:.2f}",
    )


def _percent(estimate: MeanEstimate | None) -> str:
    if estimate is None:
        return "–"
    error = "" if estimate.se is None else f" ± {100 * estimate.se:.1f}"
    return f"{100 * estimate.mean:.1f}{error}"


def _notes(rows: Sequence[LeaderboardRow], with_paper: bool) -> list[str]:
    """What the numbers are, and what is missing from them."""
    if not rows:
        return ["nothing has been played"]
    runs = ", ".join(dict.fromkeys(one_line(row.run_id) for row in rows))
    notes = [f"run {runs} · {rows[0].scoring} scoring · mean ± standard error in %, the scenario is the unit"]
    if with_paper:
        notes.append(_PAPER_NOTE)
    for row in rows:
        if with_paper and row.avg is not None and row.avg_columns < len(COLUMNS):
            notes.append(f"{one_line(row.model)}: no average, since it has {row.avg_columns} of {len(COLUMNS)} columns")
        if not row.bounds:
            continue
        failed = ", ".join(f"{count} {name}" for name, count in row.outcomes.items() if count and name != "scored")
        spans = ", ".join(
            f"{COLUMNS[column].title} {100 * bound.low:.1f}–{100 * bound.high:.1f}"
            for column, bound in row.bounds.items()
        )
        what = (failed or "episodes missing") + ("" if row.ranked else ", not ranked")
        notes.append(f"{one_line(row.model)}: {what}; with all episodes it would lie in {spans}")
    return notes
