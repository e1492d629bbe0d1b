"""Keeps one vLLM server up: starts it, watches it, ends it when it is dead or hung, and starts it again.

A server is ready when it says so; it is given up when its process ends, when its health page fails several times in
a row, or when it holds requests and gets nothing done (its own health page would stay green).  Between two starts the
waits grow.  A plain object on an event loop; ``muses_eval.workers.vllm.fleet`` makes it a Ray actor.
"""

import asyncio
import http.client
import json
import os
import time
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from muses_eval.workers.vllm.server_load import Load, Pulse, read_load
from muses_eval.workers.vllm.server_process import OwnedServer, ServerPlan, command_line, environment, free_port

Sleep = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server is waited for, in seconds."""

    start_s: float = 1800.0
    """Until it is ready: large weights are fetched and loaded in that time."""
    look_s: float = 1.0
    """Between two looks at it."""
    answer_s: float = 10.0
    """For a page of its own."""
    misses: int = 3
    """Looks in a row without an answer, and it is given up."""
    hang_s: float = 120.0
    """With requests and without any progress, and it is given up."""
    first_wait_s: float = 1.0
    """Before it is started again; doubles with every life that was shorter than ``longest_wait_s``."""
    longest_wait_s: float = 60.0


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """Status of a replica."""

    url: str | None = None
    """Where it answers, up to and including the version; None: it does not."""
    starts: int = 0
    was_ready: bool = False
    """Whether any of its servers ever was."""
    trouble: str | None = None
    """How the last server came to its end, with its own last words."""
    load: Load = Load()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a replica lives."""

    host: str
    """The address to listen on."""
    logs: Path
    """A folder for what its servers write."""


class Replica:
    """One server after the other, each on a port of its own.

    Args:
        plan: what is started.
        place: where.
        patience: with a server.
    """

    def __init__(
        self,
        plan: ServerPlan,
        place: Place,
        patience: Patience,
        clock: Callable[[], float] = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._plan, self._host, self._patience = plan, place.host, patience
        self._log = place.logs / f"server-{os.getpid()}.log"
        self._clock, self._sleep = clock, sleep
        self._status = ReplicaStatus()
        self._server: OwnedServer | None = None
        self._keeping: asyncio.Task[None] | None = None

    def status(self) -> ReplicaStatus:
        """How it stands.  The first question starts it."""
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep())
        elif self._keeping.done() and not self._keeping.cancelled():
            self._keeping.result()  # raises an unexpected error
        return self._status

    async def stop(self) -> None:
        """Ends the server and does not start another one."""
        if self._keeping is None:
            self._keeping = asyncio.create_task(asyncio.sleep(0))
        self._keeping.cancel()
        await asyncio.gather(self._keeping, return_exceptions=True)
        self._status = replace(self._status, url=None)
        if self._server:
            await self._server.stop()

    async def _keep(self) -> None:
        wait_s = self._patience.first_wait_s
        while True:
            began = self._clock()
            trouble = await self._live()
            self._status = replace(self._status, url=None, trouble=trouble, load=Load())
            if self._clock() - began > self._patience.longest_wait_s:
                wait_s = self._patience.first_wait_s
            await self._sleep(wait_s)
            wait_s = min(2 * wait_s, self._patience.longest_wait_s)

    async def _live(self) -> str:
        """One server from its start to its end.  Returns why it ended."""
        port = free_port(self._host)
        server = OwnedServer(command_line(self._plan, self._host, port), environment(self._plan, os.environ), self._log)
        self._server = server
        server.start()
        self._status = replace(self._status, starts=self._status.starts + 1)
        try:
            why = await self._watch(server, f"http://{self._host}:{port}")
        finally:
            self._status = replace(self._status, url=None)
        await server.stop()
        return f"{why}; the last lines of {self._log} are\n{server.last_words()}"

    async def _watch(self, server: OwnedServer, root: str) -> str:
        began, misses, pulse = self._clock(), 0, Pulse()
        while server.running:
            load = await asyncio.to_thread(look, root, self._patience.answer_s)
            ready = self._status.url is not None
            misses = 0 if load else misses + 1
            if load:
                self._status = replace(self._status, url=f"{root}/v1", was_ready=True, load=load)
                if (stuck_s := pulse.stuck_for(load, self._clock())) > self._patience.hang_s:
                    return f"the server held {load.in_flight} requests and did nothing for {stuck_s:.0f} s"
            elif ready and misses >= self._patience.misses:
                return f"the server did not answer {misses} times in a row"
            elif not ready and self._clock() - began > self._patience.start_s:
                return f"the server was not ready after {self._patience.start_s:.0f} s"
            await self._sleep(self._patience.look_s)
        return "the server ended"


def look(root: str, timeout_s: float) -> Load | None:
    """What the server at *root* says of itself; None: nothing good."""
    try:
        _page(f"{root}/health", timeout_s)
        server_load = json.loads(_page(f"{root}/load", timeout_s))["server_load"]
        return read_load(int(server_load), _page(f"{root}/metrics", timeout_s))
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
        return None


def _page(url: str, timeout_s: float) -> str:
    # Without proxies: a server of ours is never behind one.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=timeout_s) as answer:
        text: str = answer.read().decode(errors="replace")
        return text
