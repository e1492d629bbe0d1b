"""Notices that a vLLM server is dead.

A server is dead when its process ends, when several health checks in a row fail, or when it holds requests and makes no
progress: its own health page would stay green.  It also counts as dead when it is not ready in time after its start.
"""

import asyncio
import http.client
import json
import time
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from muses_eval.workers.vllm.server_load import ServerLoad, parse_load
from muses_eval.workers.vllm.server_process import ServerProcess

Sleep = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class HealthCheckRules:
    """The interval of health checks, and the conditions under which a server counts as dead."""

    startup_timeout_s: float = 1800.0
    """Seconds until a server must be ready: large weights are fetched and loaded in that time."""
    interval_s: float = 1.0
    """Seconds between two checks."""
    timeout_s: float = 10.0
    """Seconds for the reply to each request of a check."""
    failure_threshold: int = 3
    """Failed checks in a row after which a server is dead."""
    hang_timeout_s: float = 120.0
    """Seconds with requests in flight and without any progress, after which a server is dead."""


class HealthMonitor:
    """Checks a server at intervals until it is dead."""

    def __init__(
        self, rules: HealthCheckRules, clock: Callable[[], float] = time.monotonic, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._rules, self._clock, self._sleep = rules, clock, sleep

    async def watch(self, server: ServerProcess, url: str, on_healthy: Callable[[ServerLoad], None]) -> str:
        """Returns the reason when the server is dead.

        Args:
            server: the process, which has just been started.
            url: base URL of the server, without a version.
            on_healthy: called after every successful check; the first one means that the server is ready.
        """
        rules, started, failures, ready = self._rules, self._clock(), 0, False
        hang = HangDetector()
        while server.running:
            load = await asyncio.to_thread(check_health, url, rules.timeout_s)
            failures = 0 if load else failures + 1
            if load:
                ready = True
                on_healthy(load)
                if (stuck_s := hang.stuck_for(load, self._clock())) > rules.hang_timeout_s:
                    return f"the server held {load.in_flight} requests and did nothing for {stuck_s:.0f} s"
            elif ready and failures >= rules.failure_threshold:
                return f"the server did not answer {failures} times in a row"
            elif not ready and self._clock() - started > rules.startup_timeout_s:
                return f"the server was not ready after {rules.startup_timeout_s:.0f} s"
            await self._sleep(rules.interval_s)
        return "the server ended"


class HangDetector:
    """Measures for how long a server has had requests in flight without any progress."""

    def __init__(self) -> None:
        self._progress: float | None = None
        self._since: float | None = None

    def stuck_for(self, load: ServerLoad, now: float) -> float:
        """Returns seconds; 0 for a server that works or is idle."""
        moved = load.progress is None or load.progress != self._progress
        if moved or not load.in_flight or self._since is None:
            self._progress, self._since = load.progress, now
        return now - self._since


def check_health(url: str, timeout_s: float) -> ServerLoad | None:
    """Returns the load of the server at a base URL; None when it is not healthy or does not reply."""
    try:
        _get(f"{url}/health", timeout_s)
        server_load = json.loads(_get(f"{url}/load", timeout_s))["server_load"]
        return parse_load(int(server_load), _get(f"{url}/metrics", timeout_s))
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
        return None


def _get(url: str, timeout_s: float) -> str:
    # Without proxies: servers of a fleet are reached directly.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=timeout_s) as response:
        text: str = response.read().decode(errors="replace")
        return text
