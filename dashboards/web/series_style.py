"""How a series is drawn: colour, marker and dash, so that none depends on colour alone.

The colours of both themes keep a distance of at least 25 (CIE Lab) from one another as people with and without a colour
deficiency see them (simulation of Machado, Oliveira and Fernandes 2009), and a contrast of 3 to the background.
"""

from dataclasses import dataclass

COLOURS = ("#3991e1", "#743a03", "#004039", "#c38604", "#530974", "#522bd0")
"""Colours of series on white; the stylesheet has those of both themes as ``--s0`` to ``--s5``."""
GREY = len(COLOURS)
"""Number of the colour that built-in agents have, ``--s6``."""
GREY_COLOUR = "#8a8d94"
SHAPES = 6
DASHES = ("", "6 3", "2 3", "9 3 2 3", "12 4", "4 2 1 2")


@dataclass(frozen=True, slots=True)
class SeriesStyle:
    """Style of one series."""

    colour: int
    """Index in :data:`COLOURS`, or :data:`GREY`."""
    shape: int
    """Number of the marker's shape, 0 to SHAPES - 1."""
    dash: int
    """Index in :data:`DASHES`."""

    @classmethod
    def numbered(cls, number: int, *, grey: bool = False) -> "SeriesStyle":
        """Returns the style of a number: the first 36 differ, and neighbours differ in colour, shape and dash."""
        colour, turn = number % len(COLOURS), number // len(COLOURS)
        shape = (colour + turn) % SHAPES
        return cls(GREY if grey else colour, shape, shape)

    @property
    def stroke(self) -> str:
        """CSS classes of a line in this style."""
        return f"s{self.colour} d{self.dash}"
