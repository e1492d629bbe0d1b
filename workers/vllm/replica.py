"""Keeps one vLLM server running: starts it, and starts a new one when it is dead.

The waits between two starts grow.  A plain object on an event loop; ``muses_eval.workers.vllm.replica_actor`` makes it
a Ray actor.
"""

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from muses_eval.workers.vllm.health_check import HealthCheckRules, HealthMonitor, Sleep
from muses_eval.workers.vllm.server_command import ServerSpec, command_line, environment
from muses_eval.workers.vllm.server_load import ServerLoad
from muses_eval.workers.vllm.server_process import ServerProcess, free_port


@dataclass(frozen=True, slots=True)
class RestartBackoff:
    """Waits before a server is started again."""

    first_s: float = 1.0
    """Seconds before the first restart; doubled after every life that was shorter than ``longest_s``."""
    longest_s: float = 60.0


@dataclass(frozen=True, slots=True)
class ReplicaSettings:
    """Rules by which a replica checks and restarts its server."""

    health: HealthCheckRules = HealthCheckRules()
    backoff: RestartBackoff = RestartBackoff()


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """Status of a replica."""

    url: str | None = None
    """Base URL of the server, up to and including the version; None while it is not ready."""
    starts: int = 0
    """Number of servers started so far."""
    was_ready: bool = False
    """True when any of its servers was ever ready."""
    failure: str | None = None
    """Reason for the end of the last server, with the end of its log."""
    load: ServerLoad = ServerLoad()


@dataclass(frozen=True, slots=True)
class ReplicaLocation:
    """The address and the log folder of a replica."""

    host: str
    """Address to listen on."""
    logs: Path
    """Folder for the logs of its servers."""


class Replica:
    """One server after the other, each on a port of its own.

    Args:
        server: the server to start.
        location: where it listens and writes its log.
        settings: how the server is checked and restarted.
        clock: seconds; only differences matter.
        sleep: waits for some seconds.
    """

    def __init__(
        self,
        server: ServerSpec,
        location: ReplicaLocation,
        settings: ReplicaSettings,
        clock: Callable[[], float] = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._server, self._host, self._backoff = server, location.host, settings.backoff
        self._log = location.logs / f"server-{os.getpid()}.log"
        self._clock, self._sleep = clock, sleep
        self._monitor = HealthMonitor(settings.health, clock, sleep)
        self._status = ReplicaStatus()
        self._process: ServerProcess | None = None
        self._running: asyncio.Task[None] | None = None

    def status(self) -> ReplicaStatus:
        """Returns the present status.  The first call starts the replica."""
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        elif self._running.done() and not self._running.cancelled():
            self._running.result()  # raises an unexpected error
        return self._status

    async def stop(self) -> None:
        """Ends the server and starts no other one."""
        if self._running is None:
            self._running = asyncio.create_task(asyncio.sleep(0))
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        self._status = replace(self._status, url=None)
        if self._process:
            await self._process.stop()

    async def _run(self) -> None:
        wait_s = self._backoff.first_s
        while True:
            started = self._clock()
            failure = await self._run_server()
            self._status = replace(self._status, url=None, failure=failure, load=ServerLoad())
            if self._clock() - started > self._backoff.longest_s:
                wait_s = self._backoff.first_s
            await self._sleep(wait_s)
            wait_s = min(2 * wait_s, self._backoff.longest_s)

    async def _run_server(self) -> str:
        """Runs one server from its start to its end.  Returns the reason for the end."""
        port = free_port(self._host)
        process = ServerProcess(
            command_line(self._server, self._host, port), environment(self._server, os.environ), self._log
        )
        self._process = process
        process.start()
        self._status = replace(self._status, starts=self._status.starts + 1)
        url = f"http://{self._host}:{port}"

        def on_healthy(load: ServerLoad) -> None:
            self._status = replace(self._status, url=f"{url}/v1", was_ready=True, load=load)

        try:
            reason = await self._monitor.watch(process, url, on_healthy)
        finally:
            self._status = replace(self._status, url=None)
        await process.stop()
        return f"{reason}; the last lines of {self._log} are\n{process.log_summary()}"
