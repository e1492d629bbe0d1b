"""Width and colours of the output of a command."""

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

_BOLD, _DIM, _END = "\x1b[1m", "\x1b[2m", "\x1b[0m"


@dataclass(frozen=True, slots=True)
class Screen:
    """An output for text."""

    width: int | None = None
    """Number of columns; None for an output without a limit, such as a file."""
    color: bool = False

    def bold(self, text: str) -> str:
        return f"{_BOLD}{text}{_END}" if self.color and text else text

    def dim(self, text: str) -> str:
        return f"{_DIM}{text}{_END}" if self.color and text else text

    def remarks(self, lines: Iterable[str]) -> list[str]:
        """Returns the lines below a table, wrapped to the width; what continues a line is indented."""
        if self.width is None:
            return [self.dim(line) for line in lines]
        wrapped = (textwrap.wrap(line, max(self.width, 20), subsequent_indent="  ") or [""] for line in lines)
        return [self.dim(part) for parts in wrapped for part in parts]


PLAIN = Screen()
"""A file or a pipe."""
