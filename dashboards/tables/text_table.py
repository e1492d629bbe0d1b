"""Tables for terminals and for Markdown."""

import unicodedata
from collections.abc import Collection, Sequence

_ESCAPES = str.maketrans({"\\": "\\\\", "|": "\\|", "<": "&lt;"})


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], numeric: Collection[int] = ()) -> str:
    """Columns of equal width, two spaces apart; the *numeric* ones (by index) to the right."""
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
    """A GitHub-flavoured Markdown table; no cell can end itself or open a tag."""
    rule = ["---:" if index in numeric else "---" for index in range(len(header))]
    shown = [[one_line(cell).translate(_ESCAPES) for cell in row] for row in (header, rule, *rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in shown)


def printable(text: str) -> str:
    """*text* without the control characters with which it could rule a terminal; line breaks and tabs stay."""
    return "".join(c if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs") else "\ufffd" for c in text)


def one_line(text: str) -> str:
    """:func:`printable` text without line breaks, for a place that is one line long."""
    return " ".join(printable(text).split())


def _width(cell: str) -> int:
    return sum(_columns(character) for character in cell)


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):  # drawn over the character before
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _pad(cell: str, width: int, *, right: bool) -> str:
    space = " " * (width - _width(cell))
    return space + cell if right else cell + space
