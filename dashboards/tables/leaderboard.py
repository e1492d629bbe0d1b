"""The leaderboard as a text table, Markdown, LaTeX, CSV or JSON.

When the paper's rows are shown too, every row names its source.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, Literal

from muses_eval.dashboards.tables.latex_table import latex_table
from muses_eval.dashboards.tables.narrow_table import Narrowing
from muses_eval.dashboards.tables.paper_table2 import (
    PAPER_COLUMNS,
    PAPER_NOTES,
    PAPER_PROTOCOL,
    TableRow,
    averages_like_paper,
    measured_rows,
    published_rows,
)
from muses_eval.dashboards.tables.score_format import NO_VALUE, STRUCTURED_NOTE, mean_text, share_text
from muses_eval.dashboards.tables.screen import PLAIN, Screen
from muses_eval.dashboards.tables.text_table import markdown_table, one_line, text_table
from muses_eval.pipeline.agents.agent_spec import CHAT
from muses_eval.pipeline.leaderboard_columns import COLUMNS
from muses_eval.storage.analysis.leaderboard import LeaderboardRow

Format = Literal["table", "md", "csv", "json", "latex"]

SHORT_HEADINGS = {
    "instruct acc": "instr acc",
    "privacy": "priv.",
    "utility": "util.",
    "meeting succ": "meet. succ",
    "coverage": "cover.",
    "unusable": "unus.",
}
"""Headings on a narrow terminal."""
_NARROWING = Narrowing(SHORT_HEADINGS, drop_first=("facts", "episodes", "cost", "agent errors"))
_NESTED = ("outcomes", "bounds", "marks")
_OF_AGENTS = ("base_model", "agent", "facts", "agent_error_share")
"""Fields that a CSV of models alone leaves out."""
_TAKEN_OVER, _DRIFT = "†", "‡"
_OTHER_PROTOCOL_NOTE = (
    "rows of another protocol do not compare with those of the paper, because their prompts and turns are different"
)


def leaderboard_records(rows: Sequence[LeaderboardRow], *, with_paper: bool = False) -> list[dict[str, Any]]:
    """Returns the rows as JSON values: means and standard errors in 0-1, null when nothing was scored."""
    ours = [
        {
            "source": "ours",
            **_flat(asdict(row)),
            "bounds": {column: bounds._asdict() for column, bounds in row.bounds.items()},
        }
        for row in rows
    ]
    return ours + ([_published_record(row) for row in published_rows()] if with_paper else [])


def render_leaderboard(
    rows: Sequence[LeaderboardRow], form: Format, *, with_paper: bool = False, screen: Screen = PLAIN
) -> str:
    """Returns the rows in one format; tables show percentages with standard errors, like the paper's table 2.

    *screen*: where a text table is shown.
    """
    match form:
        case "json":
            return json.dumps(leaderboard_records(rows, with_paper=with_paper), indent=2)
        case "csv":
            return _csv(leaderboard_records(rows, with_paper=with_paper))
        case "latex":
            return latex_table(_table_rows(rows, with_paper=with_paper))
        case "md":
            return "\n".join((markdown_table(*_cells(rows, with_paper=with_paper)), "", *_notes(rows, with_paper)))
        case "table":
            table = text_table(*_cells(rows, with_paper=with_paper), screen, _NARROWING)
            return "\n".join((table, *screen.remarks(_notes(rows, with_paper))))


def _published_record(row: TableRow) -> dict[str, Any]:
    """Returns a record with the same keys as ours; null for values that the paper does not have."""
    record: dict[str, Any] = {"source": row.source}
    record |= _flat(dict.fromkeys(field.name for field in fields(LeaderboardRow)) | {"estimates": row.estimates})
    record |= {"scoring": "published", "protocol": row.protocol, "model": row.model, "avg_columns": len(PAPER_COLUMNS)}
    record |= {"base_model": row.model, "agent": row.agent, "facts": row.facts}
    record |= {"outcomes": {}, "bounds": {}, "marks": {}, "ranked": False, "averaging": "released"}
    return record


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the record with two entries per column, mean and standard error, in place of ``estimates``."""
    flat: dict[str, Any] = {}
    for key, value in record.items():
        if key != "estimates":
            flat.setdefault(key, value)
            continue
        for column, estimate in value.items():
            flat[column], flat[f"{column}_se"] = estimate or (None, None)
    return flat


def _table_rows(rows: Sequence[LeaderboardRow], *, with_paper: bool) -> list[TableRow]:
    """Returns our rows in their order; with the paper's rows, all by their averages, built-in agents last."""
    if not with_paper:
        return measured_rows(rows)
    both = measured_rows(rows, beside_paper=True) + published_rows()
    return sorted(
        both, key=lambda row: (row.role is not None, -(average.mean if (average := row.estimates["avg"]) else -1.0))
    )


def _csv(records: Sequence[dict[str, Any]]) -> str:
    left_out: tuple[str, ...] = _OF_AGENTS if all(record["agent"] == CHAT.name for record in records) else ()
    left_out += () if any(record["marks"] for record in records) else ("marks",)
    flat = [
        {key: json.dumps(value) if key in _NESTED else value for key, value in record.items() if key not in left_out}
        for record in records
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(flat[0]) if flat else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue().rstrip("\n")


def _cells(rows: Sequence[LeaderboardRow], *, with_paper: bool) -> tuple[list[str], list[list[str]], range]:
    """Returns header, body and the indices of the numeric columns; leaves out columns without any episode."""
    table_rows = _table_rows(rows, with_paper=with_paper)
    shown = [
        column
        for column in COLUMNS
        if any(row.estimates[column] or (row.measured and column in row.measured.bounds) for row in table_rows)
    ]
    of_all = "" if len(shown) == len(COLUMNS) else f" of {len(shown)}"
    differs = len({row.protocol for row in table_rows}) > 1
    agents = not all(row.is_chat for row in table_rows)
    named = [*(["agent", "facts"] if agents else [])]
    named += [*(["source"] if with_paper else []), *(["protocol"] if differs else [])]
    header = ["", "model", *named, *(COLUMNS[column].title for column in shown), f"avg{of_all}"]
    unusable = any(row.measured and row.measured.unusable_share for row in table_rows)
    header += ["episodes", "coverage", *(["unusable"] if unusable else []), "cost"]
    header += ["agent errors"] if agents else []
    body = [
        [
            NO_VALUE if row.measured is None or row.measured.rank is None else str(row.measured.rank),
            row.model if row.role is None else f"{row.model} ({row.role})",
            *((row.agent, row.facts) if agents else ()),
            *([row.source] if with_paper else []),
            *([row.protocol] if differs else []),
            *(f"{mean_text(row.estimates[column])}{_mark_text(row.measured, column)}" for column in (*shown, "avg")),
            *_extent(row.measured, unusable=unusable),
            *([share_text(row.agent_error_share)] if agents else []),
        ]
        for row in table_rows
    ]
    return header, body, range(2 + len(named), len(header))


def _mark_text(row: LeaderboardRow | None, column: str) -> str:
    mark = None if row is None else row.marks.get(column)
    if mark is None:
        return ""
    return f" {_TAKEN_OVER if mark.taken_over_from else ''}{_DRIFT if mark.drift else ''}"


def _mark_notes(rows: Sequence[LeaderboardRow]) -> Iterator[str]:
    """Yields what the marks in the table mean."""
    marks = [mark for row in rows for mark in row.marks.values()]
    if nights := sorted({mark.taken_over_from for mark in marks if mark.taken_over_from}):
        yield f"{_TAKEN_OVER} taken over: played in {', '.join(nights)}, not in this night"
    if any(mark.drift for mark in marks):
        yield f"{_DRIFT} drift: the canary scores otherwise than earlier ones; a score taken over may not hold any more"


def _extent(row: LeaderboardRow | None, *, unusable: bool) -> tuple[str, ...]:
    """Returns the cells for episodes, coverage, the share of *unusable* replies when it is shown, and cost."""
    if row is None:
        return ("", "", *([""] if unusable else []), "")
    return (
        f"{row.episodes}/{'?' if row.planned is None else row.planned}",
        "?" if row.coverage is None else f"{100 * row.coverage:.3g} %",
        *([share_text(row.unusable_share)] if unusable else []),
        "?" if row.cost_usd is None else f"${row.cost_usd:.2f}",
    )


def unusable_note(row: LeaderboardRow) -> str:
    """Returns the kinds of unusable replies with their shares, and whether they keep the row from being ranked."""
    kinds = ", ".join(f"{kind} {share_text(share)}" for kind, share in row.unusable_kinds.items())
    excess = "" if row.unusable_excess is None else f"; not ranked, because {row.unusable_excess}"
    return f"{one_line(row.model)}: unusable replies: {kinds}{excess}"


def released_averaging(rows: Sequence[LeaderboardRow]) -> str:
    """Returns how many rows the averaging of the released code leaves out, in total and by model."""
    by_model = ", ".join(f"{one_line(row.model)} {row.left_out}" for row in rows if row.left_out)
    total, episodes = sum(row.left_out for row in rows), sum(row.episodes for row in rows)
    return f"averaging: released, {total} of {episodes} rows left out" + (f" ({by_model})" if by_model else "")


def builtin_note(rows: Sequence[LeaderboardRow]) -> str:
    """Returns what the built-in agents of a run are beside its models, or by themselves; empty without any."""
    builtin = [row for row in rows if row.builtin is not None]
    if not builtin:
        return ""
    if len(builtin) == len(rows):
        return "built-in agents only: the ceiling and the floor of the scores, ranked among themselves"
    return "built-in agents are the ceiling and the floor of the scores, and are not ranked"


def _notes(rows: Sequence[LeaderboardRow], with_paper: bool) -> list[str]:
    """Returns how the numbers were computed, and what is missing from them."""
    if not rows:
        return ["no episodes have been played"]
    runs = ", ".join(dict.fromkeys(one_line(row.run_id) for row in rows))
    protocols = ", ".join(dict.fromkeys(row.protocol or "?" for row in rows))
    how = f"{rows[0].scoring} scoring · protocol {protocols}"
    notes = [f"run {runs} · {how} · mean ± standard error in %, clustered by scenario"]
    if rows[0].averaging == "released":
        notes.append(released_averaging(rows))
    if any(row.facts == "structured" for row in rows):
        notes.append(STRUCTURED_NOTE)
    notes += filter(None, [builtin_note(rows)])
    notes += _mark_notes(rows)
    if with_paper:
        notes += PAPER_NOTES
        if any(row.protocol != PAPER_PROTOCOL for row in rows):
            notes.append(_OTHER_PROTOCOL_NOTE)
    notes += map(unusable_note, filter(lambda row: row.unusable_share, rows))
    for row in rows:
        if with_paper and row.avg is not None and not averages_like_paper(row):
            other = f"over {row.avg_columns} columns, not the paper's {len(PAPER_COLUMNS)}"
            notes.append(f"{one_line(row.model)}: average not shown, because it is {other}")
        if not row.bounds:
            continue
        failed = ", ".join(f"{count} {name}" for name, count in row.outcomes.items() if count and name != "scored")
        spans = ", ".join(
            f"{COLUMNS[column].title} {100 * bound.low:.1f}–{100 * bound.high:.1f}"
            for column, bound in row.bounds.items()
        )
        what = (failed or "episodes missing") + ("" if row.ranked else ", not ranked")
        notes.append(f"{one_line(row.model)}: {what}; with all episodes its means would be within {spans}")
    return notes
