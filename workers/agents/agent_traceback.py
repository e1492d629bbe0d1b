"""The traceback of an agent's exception, with the agent's own frames only."""

from pathlib import Path
from traceback import TracebackException

_OURS = str(Path(__file__).parents[1])
"""Folder of the code that runs agents and calls models."""
_MOST_FRAMES = 40


def agent_traceback(error: BaseException, folder: Path | None = None) -> str:
    """Returns the traceback of an exception as Python prints it.

    Args:
        error: raised by the code of an agent.
        folder: folder of this code, to which paths are relative; None when the code is installed.
    """
    found = TracebackException.from_exception(error, limit=-_MOST_FRAMES)
    _shorten(found, folder)
    return "".join(found.format()).rstrip()


def _shorten(found: TracebackException, folder: Path | None) -> None:
    own = [frame for frame in found.stack if not frame.filename.startswith(_OURS)]
    for frame in own:
        path = Path(frame.filename)
        if folder is not None and path.is_relative_to(folder):
            frame.filename = str(path.relative_to(folder))
    found.stack[:] = own
    for further in (found.__cause__, found.__context__, *(found.exceptions or ())):
        if further is not None:
            _shorten(further, folder)
