"""The result of a sweep, one line per run, model and family, as a table, as Markdown and as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from muses_eval.dashboards.tables.score_format import share_text
from muses_eval.dashboards.tables.screen import PLAIN, Screen
from muses_eval.dashboards.tables.text_table import markdown_table, text_table
from muses_eval.pipeline.protocols import ProtocolName
from muses_eval.storage.runs.cell_results import CellResult


@dataclass(frozen=True, slots=True)
class SweepRow:
    """One cell of one run."""

    run: str
    """Parameter values of its run, as text."""
    protocol: ProtocolName
    cell: CellResult
    complete: bool


def sweep_record(line: SweepRow) -> dict[str, Any]:
    """Returns the row as JSON values."""
    cell = line.cell
    return {
        "run": line.run,
        "run_id": cell.run_id,
        "protocol": line.protocol,
        "model": cell.model,
        "family": cell.family,
        "episodes": {"planned": cell.planned, **cell.outcomes},
        "coverage": cell.coverage,
        "unusable_share": cell.unusable_share,
        "complete": line.complete,
        "cost_usd": cell.cost_usd,
    }


def render_sweep(lines: Sequence[SweepRow], form: Literal["table", "md"], screen: Screen = PLAIN) -> str:
    """Returns the rows as a table, with the protocols below; a sweep of one run has no column for the run.

    The label of a run has its protocol when the sweep varies it.
    """
    named = any(line.run for line in lines)
    unusable = any(line.cell.unusable_share for line in lines)
    header = [
        "model",
        "family",
        "scored",
        "coverage",
        *(["unusable"] if unusable else []),
        "cost",
        "cell",
        "not scored",
    ]
    cells = [_cells(line, unusable=unusable) for line in lines]
    rows = [[line.run, *row] if named else row for line, row in zip(lines, cells, strict=True)]
    header = ["run", *header] if named else header
    numeric = range(header.index("scored"), header.index("cell"))
    protocols = f"protocol {' and '.join(dict.fromkeys(line.protocol for line in lines))}"
    if form == "md":
        return f"{markdown_table(header, rows, numeric)}\n\n{protocols}"
    return "\n".join((text_table(header, rows, numeric, screen), *screen.remarks([protocols])))


def _cells(line: SweepRow, *, unusable: bool) -> list[str]:
    cell = line.cell
    missing = {name: count for name, count in cell.outcomes.items() if name != "scored"}
    missing["not played"] = cell.unplayed
    return [
        cell.model,
        cell.family,
        f"{cell.scored}/{cell.planned}",
        f"{100 * cell.coverage:.3g} %",
        *([share_text(cell.unusable_share)] if unusable else []),
        "?" if cell.cost_usd is None else f"${cell.cost_usd:.2f}",
        "complete" if line.complete else "short",
        ", ".join(f"{count} {name}" for name, count in missing.items() if count),
    ]
