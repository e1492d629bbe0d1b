"""The identity of a process that holds a run lock, and whether that process has ended.

A process ID alone is not enough: the system reuses them, and each container and each boot has its own.  An identity
therefore also contains the host, the PID namespace and the start time.
"""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process, identified in a way that stays valid after it has ended.  The fields are stored in lock files."""

    host: str
    pid: int
    room: str | None
    """Boot id and PID namespace in which *pid* is valid; None when the system does not reveal them."""
    started: str | None
    """Start time in clock ticks since boot, because process IDs are reused; None when it is unknown."""

    @classmethod
    def this(cls) -> "ProcessIdentity":
        """Returns the identity of the calling process."""
        return cls(socket.gethostname(), os.getpid(), pid_namespace(), _start_ticks(os.getpid()))

    def has_ended(self, namespace: str | None) -> bool:
        """Returns True when the process has certainly ended.

        *namespace* is the caller's (:func:`pid_namespace`).  A process of another namespace cannot be seen, and the
        result is False.
        """
        if namespace is None or self.room != namespace or self.started is None:
            return False
        return self.started != _start_ticks(self.pid) and not _is_hidden(self.pid)


def pid_namespace() -> str | None:
    """Returns the boot id and the PID namespace of this process; None when the system does not reveal them."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return None


def _is_hidden(pid: int) -> bool:
    """Returns True for a running process that /proc does not show: with hidepid, a user sees only their own."""
    try:
        (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return _is_running(pid)
    return False


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:  # it belongs to another user
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def _start_ticks(pid: int) -> str | None:
    """Returns the start time of a process; None when it does not exist, or has ended and is a zombie."""
    try:
        after_name = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if after_name[0] in ("Z", "X") else after_name[19]
