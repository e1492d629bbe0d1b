"""The width of text on a terminal."""

import unicodedata


def cell_width(cell: str) -> int:
    """Returns the number of columns that a text without control characters takes."""
    return sum(map(columns_of, cell))


def columns_of(character: str) -> int:
    """Returns 2 for a wide character, 0 for one that is drawn over the previous one or joins two, else 1."""
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
