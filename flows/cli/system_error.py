"""Errors of the operating system that a user can fix: a full disk, missing permissions, a deleted folder."""

import errno
import os

_ADVICE = {
    errno.ENOSPC: "free some space; what was stored before is intact",
    errno.EDQUOT: "free some space or raise the quota; what was stored before is intact",
    errno.EACCES: "change its permissions, or name another place (MUSES_HOME, MUSES_STORE)",
    errno.EPERM: "change its permissions, or name another place (MUSES_HOME, MUSES_STORE)",
    errno.EROFS: "name a place that can be written (MUSES_HOME, MUSES_STORE)",
    errno.ENAMETOOLONG: "name a shorter path (MUSES_HOME, MUSES_STORE)",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
}
_GONE = "the working directory no longer exists; change into one that does (cd)"


def explain_system_error(error: Exception) -> str | None:
    """Returns what happened and what to do, on one line; None for an error that is not the system's."""
    if isinstance(error, FileNotFoundError) and _folder_is_gone():
        return _GONE
    if isinstance(error, RuntimeError) and str(error) == "Could not determine home directory.":  # as pathlib says it
        return "a path begins with ~, but this user has no home folder; write the path in full, or set HOME"
    if not isinstance(error, OSError) or error.errno not in _ADVICE:
        return None
    where = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
    return f"{where}{error.strerror}; {_ADVICE[error.errno]}"


def _folder_is_gone() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 - Path.cwd() is the same call
    except FileNotFoundError:
        return True
    return False
