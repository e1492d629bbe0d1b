"""The output of an agent's code, which goes to the trace of its episode instead of the output of the process.

The context in which code runs decides whose output it is: tasks and ``asyncio.to_thread`` inherit it, a thread that the
agent starts by itself does not.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO, cast

MOST_CHARS = 4_096
"""Length at which a line is passed on before its end."""


class PrintedLines:
    """Collects printed text and passes on its lines."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._begun = ""

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._log(line)
        if len(self._begun) > MOST_CHARS:
            self.flush()
        return len(text)

    def flush(self) -> None:
        """Passes on a line that has not ended."""
        if self._begun:
            begun, self._begun = self._begun, ""
            self._log(begun)


_CURRENT: ContextVar[PrintedLines | None] = ContextVar("printed_lines", default=None)


class _AgentAwareStream:
    """A standard stream that passes text of an agent to the agent's lines, and all other text on."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return (_CURRENT.get() or self._stream).write(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if _CURRENT.get() is None:
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - everything else a stream has
        return getattr(self._stream, name)


def watch_standard_streams() -> None:
    """Replaces the standard streams of the process, once."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, _AgentAwareStream):  # None in a process without a console
            setattr(sys, name, cast("TextIO", _AgentAwareStream(stream)))


@contextmanager
def printing_to(lines: PrintedLines) -> Iterator[None]:
    """Within this context, printed text goes to *lines*."""
    token = _CURRENT.set(lines)
    try:
        yield
    finally:
        _CURRENT.reset(token)
        lines.flush()
