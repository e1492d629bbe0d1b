"""Text tables for terminals and Markdown, and text that is safe to print."""

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

_ESCAPES = str.maketrans({"\\": "\\\\", "|": "\\|", "<": "&lt;"})


@dataclass(frozen=True, slots=True)
class Table:
    """A table that can be rendered as text or as Markdown."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: range
    """Indices of the columns that are aligned to the right."""


def render_blocks(form: Literal["table", "md"], *blocks: Table | Sequence[str]) -> str:
    """Returns tables and lines below one another; in Markdown, lines are items of a list."""
    if form == "md":
        return "\n\n".join(
            markdown_table(block.header, block.rows, block.numeric)
            if isinstance(block, Table)
            else "\n".join(f"- {line}" for line in block)
            for block in blocks
        )
    return "\n".join(
        text_table(block.header, block.rows, block.numeric) if isinstance(block, Table) else "\n".join(block)
        for block in blocks
    )


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], numeric: Collection[int] = ()) -> str:
    """Returns a table with columns two spaces apart; *numeric* columns (by index) are aligned to the right."""
    cells = [list(map(one_line, row)) for row in (header, *rows)]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(
            _pad(cell, width, right=i in numeric) for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    ]
    rule = "  ".join("─" * width for width in widths)
    return "\n".join(line.rstrip() for line in (lines[0], rule, *lines[1:]))


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], numeric: Collection[int] = ()) -> str:
    """Returns a GitHub-flavoured Markdown table; no cell can end itself or open an HTML tag."""
    rule = ["---:" if index in numeric else "---" for index in range(len(header))]
    shown = [[one_line(cell).translate(_ESCAPES) for cell in row] for row in (header, rule, *rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in shown)


def printable(text: str) -> str:
    """Returns *text* with control characters replaced, except for line breaks and tabs; safe to print in a terminal."""
    return "".join(c if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs") else "\ufffd" for c in text)


def one_line(text: str) -> str:
    """Returns :func:`printable` text in one line."""
    return " ".join(printable(text).split())


def _width(cell: str) -> int:
    return sum(_columns(character) for character in cell)


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):  # drawn over the previous character
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _pad(cell: str, width: int, *, right: bool) -> str:
    space = " " * (width - _width(cell))
    return space + cell if right else cell + space
