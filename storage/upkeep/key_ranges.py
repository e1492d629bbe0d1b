"""Key ranges: a run's episodes, divided into parts that are small enough to be sorted one at a time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Cell = tuple[str, str]
"""Family and model."""


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Neighbouring episodes that are sorted together: those of some cells, or a range of ids within one cell."""

    cells: tuple[Cell, ...]
    low: str
    """Smallest episode id, inclusive."""
    high: str | None
    """Largest episode id, exclusive; None for no upper bound."""
    objects: tuple[str, ...]
    """Keys of the objects that contain any of these episodes."""


def split_key_ranges(counts: Mapping[Cell, Mapping[str, int]], most_rows: int) -> Iterator[KeyRange]:
    """Yields key ranges of about *most_rows* rows, in order: small cells together, a large cell by ranges of its ids.

    *counts* is cell -> object -> number of the cell's rows in that object.
    """
    gathered: list[Cell] = []

    def key_range(low: str = "", high: str | None = None) -> KeyRange:
        objects = {key for cell in gathered for key in counts[cell]}
        return KeyRange(tuple(gathered), low, high, tuple(sorted(objects)))

    gathered_rows = 0
    for cell in sorted(counts):
        rows = sum(counts[cell].values())
        if gathered and gathered_rows + rows > most_rows:
            yield key_range()
            gathered, gathered_rows = [], 0
        gathered, gathered_rows = [*gathered, cell], gathered_rows + rows
        if rows > most_rows:
            # Episode ids are hashes, so ranges of equal width contain about equally many.
            parts = -(-rows // most_rows)
            bounds = ["", *(f"{part * 16**8 // parts:08x}" for part in range(1, parts))]
            for low, high in zip(bounds, [*bounds[1:], None], strict=True):
                yield key_range(low, high)
            gathered, gathered_rows = [], 0
    if gathered:
        yield key_range()
