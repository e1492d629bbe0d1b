"""The standard streams of a command, which may be closed, full, or unable to show a character."""

import contextlib
import io
import os
import sys


def prepare_streams() -> None:
    """Opens closed streams on /dev/null, and makes stdout replace characters that it cannot encode.

    A closed stream leaves its number free, and the next file that is opened, such as a shard, would take it.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    sys.stdout = sys.stdout or _open(1)
    sys.stderr = sys.stderr or _open(2)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def flush_or_discard() -> None:
    """Writes what stdout still holds, or discards it when stdout accepts no more; the interpreter ends quietly."""
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open(number: int) -> io.TextIOWrapper:
    return open(number, "w", encoding="utf-8", closefd=False)
