"""Runs a server that never outlives its owner.  As a script: ``process_supervisor.py GRACE_S COMMAND...``.

owner -> waiter -> guardian -> server and whatever it starts; from the waiter on it is one process group.  The owner
holds the other end of the guardian's stdin.  When that closes, however the owner went, the guardian asks the server
to stop and kills the whole group after GRACE_S seconds.  When the server ends by itself, its left-overs are killed too.

The waiter is there because Ray kills an actor's own children at once; the guardian must live on to clean up.  Should
the guardian be killed, the kernel asks the server to stop.

A script of its own, with nothing but the standard library, so that it starts within some tens of milliseconds.
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
_LEFT_OVERS_S = 0.2
"""For what the server's own children say last."""
_PR_SET_PDEATHSIG = 1


def main(grace_s: float, command: list[str]) -> int:
    guardian = os.fork()
    if guardian:
        _, status = os.waitpid(guardian, 0)
        return os.waitstatus_to_exitcode(status) & 0xFF
    return _guard(grace_s, command)


def _guard(grace_s: float, command: list[str]) -> int:
    try:
        # The process has one thread yet, so a function between fork and exec is safe.
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_end_with_parent)  # noqa: PLW1509
    except OSError as error:
        _say(f"cannot start {command[0]}: {error}")
        return CANNOT_START

    def end(_signal: int, _frame: FrameType | None) -> None:
        server.terminate()
        # A server waits for its clients without limit, so this is never left out.
        threading.Timer(grace_s, _kill_group).start()

    signal.signal(signal.SIGTERM, end)
    threading.Thread(target=_outlast_owner, daemon=True).start()
    code = server.wait()
    _say(f"the server ended with code {code}")
    time.sleep(_LEFT_OVERS_S)
    _kill_group()
    return 0


def _say(text: str) -> None:
    """Into the server's own log."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _outlast_owner() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _kill_group() -> None:
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    os._exit(main(float(sys.argv[1]), sys.argv[2:]))
