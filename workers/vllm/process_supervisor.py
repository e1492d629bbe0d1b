"""Runs a server that never outlives its owner.  Started as a script: ``process_supervisor.py GRACE_S COMMAND...``.

The chain of processes is owner, waiter, supervisor, server, and the processes that the server starts; all but the owner
are one process group.  The owner holds the other end of the supervisor's stdin.  When that closes, for whatever reason,
the supervisor requests the server to stop and kills the whole group after GRACE_S seconds.  When the server ends by
itself, the rest of the group is killed too.

The waiter exists because Ray kills an actor's direct children at once, while the supervisor must live on to clean up.
When the supervisor is killed, the kernel sends SIGTERM to the server.

It is a separate script that imports the standard library only, so that it starts within some tens of milliseconds.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from types import FrameType

CANNOT_START = 127
_LAST_OUTPUT_S = 0.2
"""Seconds for the last output of the server's own children."""
_PR_SET_PDEATHSIG = 1


def main(grace_s: float, command: list[str]) -> int:
    supervisor = os.fork()
    if supervisor:
        _, status = os.waitpid(supervisor, 0)
        return os.waitstatus_to_exitcode(status) & 0xFF
    return _supervise(grace_s, command)


def _supervise(grace_s: float, command: list[str]) -> int:
    try:
        # The process still has a single thread, so a function between fork and exec is safe.
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_stop_with_parent)  # noqa: PLW1509
    except OSError as error:
        _log(f"cannot start {command[0]}: {error}")
        return CANNOT_START

    def end(_signal: int, _frame: FrameType | None) -> None:
        server.terminate()
        # Always needed: a server waits for its clients without limit.
        threading.Timer(grace_s, _kill_group).start()

    signal.signal(signal.SIGTERM, end)
    threading.Thread(target=_stop_with_owner, daemon=True).start()
    code = server.wait()
    _log(f"the server ended with code {code}")
    time.sleep(_LAST_OUTPUT_S)
    _kill_group()
    return 0


def _log(text: str) -> None:
    """Writes to the server's own log."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _stop_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _stop_with_owner() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _kill_group() -> None:
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    os._exit(main(float(sys.argv[1]), sys.argv[2:]))
