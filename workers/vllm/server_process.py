"""One vLLM server as a process that this project owns, with its log.

The server and everything it starts end with the process that started it, even if that is killed
(``muses_eval.workers.vllm.process_supervisor``).  Nothing here checks the server's health or depends on Ray.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from muses_eval.workers.vllm.server_log import summarize_log

GRACE_S = 5.0
"""Time between the request to stop and the kill."""
_KILL_S = 5.0
_TAIL_BYTES = 128 * 1024


class ServerProcess:
    """One server process with its log.

    Args:
        command: the command line to run.
        environ: the whole environment of the process.
        log: file that the process writes to; an existing file is appended to.
    """

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], log: Path) -> None:
        self._command, self._environ, self._log = list(command), dict(environ), log
        self._log_from = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        supervisor = str(Path(__file__).with_name("process_supervisor.py"))
        with self._log.open("ab") as log:
            self._log_from = log.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", supervisor, str(GRACE_S), *self._command],
                env=self._environ,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def stop(self) -> None:
        """Ends the server and everything it started; returns when they are gone.  May be called at any time."""
        process = self._process
        if process is None:
            return
        if process.stdin:
            process.stdin.close()
        try:
            await asyncio.to_thread(process.wait, GRACE_S + 1)
        except subprocess.TimeoutExpired:
            _kill_group(process.pid)
            await asyncio.to_thread(process.wait, _KILL_S)
        _kill_group(process.pid)  # when the supervisor itself was killed, other processes may be left
        self._process = None

    def log_summary(self) -> str:
        """Returns the end of the log since the last start, after the errors that it names."""
        with self._log.open("rb") as log:
            log.seek(max(self._log_from, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
            return summarize_log(log.read().decode(errors="replace"))


def free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _kill_group(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
