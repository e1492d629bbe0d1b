"""Lays out a table that is wider than its screen: cells are wrapped, and columns left out only when that is not enough.

A cell breaks at spaces and after a slash; ``± 2.0`` and ``12 %`` stay in one piece.  Columns of text, such as the names
of models, also break inside a word.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from muses_eval.dashboards.tables.cell_width import cell_width, columns_of

GAP = 2
"""Spaces between two columns."""
_SHORTEST_TEXT = 10
"""Width below which a column of text is not wrapped inside words."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A table whose cells have several lines."""

    kept: tuple[int, ...]
    """Indices of the columns that are shown."""
    rows: tuple[tuple[tuple[str, ...], ...], ...]
    """Row -> column -> lines; the first row is the header."""


@dataclass(frozen=True, slots=True)
class Narrowing:
    """Shorter headings of a table for a narrow screen, and the order in which its columns are left out."""

    short: Mapping[str, str] = field(default_factory=dict)
    """Heading -> shorter heading."""
    drop_first: tuple[str, ...] = ()
    """Headings of the columns that are left out first, in this order; then columns are left out from the right.  The
    first two columns always stay."""


NO_NARROWING = Narrowing()


def lay_out(
    cells: Sequence[Sequence[str]], numeric: Collection[int], width: int, narrowing: Narrowing = NO_NARROWING
) -> Layout:
    """Returns the layout of a table of one-line cells that fits into *width* columns.

    Args:
        cells: the header and the rows.
        numeric: indices of the columns that do not break inside a word.
        width: number of columns of the screen.
        narrowing: shorter headings, and the columns to leave out first.
    """
    header = list(cells[0])
    cells = [[narrowing.short.get(name, name) for name in header], *cells[1:]]
    order = [header.index(name) for name in narrowing.drop_first if name in header[2:]]
    order += [index for index in range(len(header) - 1, 1, -1) if index not in order]
    natural = [max(map(cell_width, column)) for column in zip(*cells, strict=True)]
    least = [max(_least(row[i], in_words=i not in numeric) for row in cells) for i in range(len(header))]
    kept = list(range(len(header)))
    while order and sum(least[i] + GAP for i in kept) - GAP > width:
        kept.remove(order.pop(0))
    room = width - GAP * (len(kept) - 1)
    widths = _shrunk({i: natural[i] for i in kept}, least, room)
    used = {i: max(cell_width(line) for row in cells for line in _wrapped(row[i], widths[i])) for i in kept}
    for index in (i for i in kept if i not in numeric):  # what wrapping left unused
        widths[index] = used[index] = min(natural[index], used[index] + room - sum(used.values()))
    return Layout(tuple(kept), tuple(tuple(_wrapped(row[i], widths[i]) for i in kept) for row in cells))


def _shrunk(natural: Mapping[int, int], least: Sequence[int], room: int) -> dict[int, int]:
    """Returns widths whose sum is at most *room* if that is possible; the widest columns become narrower first."""
    widths = dict(natural)
    while sum(widths.values()) > room:
        wide = [index for index in widths if widths[index] > least[index]]
        if not wide:
            break
        widths[max(wide, key=lambda index: widths[index])] -= 1
    return widths


def _pieces(cell: str) -> list[str]:
    """Returns the parts of a cell that stay together."""
    joined = cell.replace("± ", "±\0").replace(" %", "\0%")
    return [piece.replace("\0", " ") for piece in re.findall(r"[^ /]*/|[^ /]+", joined)]


def _least(cell: str, *, in_words: bool) -> int:
    longest = max(map(cell_width, _pieces(cell)), default=0)
    return min(longest, _SHORTEST_TEXT) if in_words else longest


def _wrapped(cell: str, width: int) -> tuple[str, ...]:
    """Returns the lines of a cell; a piece that is wider than *width* is broken inside."""
    if cell_width(cell) <= width:
        return (cell,)
    lines = [""]
    for piece in _pieces(cell):
        glue = "" if not lines[-1] or lines[-1].endswith("/") else " "
        if cell_width(lines[-1] + glue + piece) <= width:
            lines[-1] += glue + piece
            continue
        if lines[-1]:
            lines.append("")
        for character in piece:
            if cell_width(lines[-1]) + columns_of(character) > width:
                lines.append("")
            lines[-1] += character
    return tuple(lines)
