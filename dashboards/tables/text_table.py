"""Text tables for terminals and Markdown, and text that is safe to print."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

from muses_eval.dashboards.tables.cell_width import cell_width
from muses_eval.dashboards.tables.narrow_table import GAP, NO_NARROWING, Narrowing, lay_out
from muses_eval.dashboards.tables.screen import PLAIN, Screen
from muses_eval.dashboards.tables.spoofing import spoofing_positions

_STANDARD_ERROR = re.compile(r"± *[0-9.]+")
_ESCAPES = str.maketrans({"\\": "\\\\", "|": "\\|", "<": "&lt;"})


@dataclass(frozen=True, slots=True)
class Table:
    """A table that can be rendered as text or as Markdown."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: range
    """Indices of the columns that are aligned to the right."""


def render_blocks(form: Literal["table", "md"], *blocks: Table | Sequence[str], screen: Screen = PLAIN) -> str:
    """Returns tables and lines below one another; in Markdown, lines are items of a list.

    *screen*: where text is shown.
    """
    if form == "md":
        return "\n\n".join(
            markdown_table(block.header, block.rows, block.numeric)
            if isinstance(block, Table)
            else "\n".join(f"- {line}" for line in block)
            for block in blocks
        )
    return "\n".join(
        text_table(block.header, block.rows, block.numeric, screen)
        if isinstance(block, Table)
        else "\n".join(screen.remarks(block))
        for block in blocks
    )


def text_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    numeric: Collection[int] = (),
    screen: Screen = PLAIN,
    narrowing: Narrowing = NO_NARROWING,
) -> str:
    """Returns a table with columns two spaces apart; *numeric* columns (by index) are aligned to the right.

    When the table is wider than *screen*, its cells are wrapped; when that is not enough, columns are left out, and a
    line below the table names them.
    """
    cells = [list(map(one_line, row)) for row in (header, *rows)]
    lines: tuple[tuple[tuple[str, ...], ...], ...]
    widths = [max(map(cell_width, column)) for column in zip(*cells, strict=True)]
    total = sum(widths) + GAP * (len(widths) - 1)
    if screen.width is None or total <= screen.width:
        kept, lines = tuple(range(len(widths))), tuple(tuple((cell,) for cell in row) for row in cells)
    else:
        layout = lay_out(cells, numeric, screen.width, narrowing)
        kept, lines = layout.kept, layout.rows
        widths = [max(cell_width(line) for row in lines for line in row[i]) for i in range(len(kept))]
    right = [index in numeric for index in kept]
    shown = [_lines_of(row, widths, right) for row in lines]
    rule = (" " * GAP).join("─" * width for width in widths)
    text = [*map(screen.bold, shown[0]), screen.dim(rule)]
    text += [_STANDARD_ERROR.sub(lambda found: screen.dim(found[0]), line) for row in shown[1:] for line in row]
    left_out = [cells[0][index] for index in range(len(cells[0])) if index not in kept]
    if left_out:
        text += screen.remarks([f"left out, since the terminal is narrow: {', '.join(left_out)}"])
    return "\n".join(text)


def _lines_of(row: Sequence[Sequence[str]], widths: Sequence[int], right: Sequence[bool]) -> list[str]:
    """Returns the lines of a row, whose cells may have several lines."""
    lines = zip_longest(*row, fillvalue="")
    gap = " " * GAP
    return [gap.join(map(_pad, line, widths, right)).rstrip() for line in lines]


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], numeric: Collection[int] = ()) -> str:
    """Returns a GitHub-flavoured Markdown table; no cell can end itself or open an HTML tag."""
    rule = ["---:" if index in numeric else "---" for index in range(len(header))]
    shown = [[one_line(cell).translate(_ESCAPES) for cell in row] for row in (header, rule, *rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in shown)


def printable(text: str) -> str:
    """Returns *text* safe to print in a terminal or a page.

    Control characters, except for line breaks and tabs, and invisible characters that no script or emoji needs become
    U+FFFD (:mod:`spoofing`).
    """
    if text.isascii() and text.isprintable():
        return text
    spoofing = spoofing_positions(text)
    return "".join("\ufffd" if i in spoofing else c for i, c in enumerate(text)) if spoofing else text


def one_line(text: str) -> str:
    """Returns :func:`printable` text in one line."""
    return " ".join(printable(text).split())


def _pad(cell: str, width: int, right: bool) -> str:
    space = " " * (width - cell_width(cell))
    return space + cell if right else cell + space
