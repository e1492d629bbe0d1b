"""A replica on real processes: whatever happens to its server, a new one is started, and two never run at a time."""

import asyncio
import json
import os
import signal
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from muses_eval.workers.vllm import server_process
from muses_eval.workers.vllm.health_check import HealthCheckRules
from muses_eval.workers.vllm.replica import (
    Replica,
    ReplicaLocation,
    ReplicaSettings,
    ReplicaStatus,
    RestartBackoff,
)
from muses_eval.workers.vllm.server_command import ServerSpec

from tests.stand_in_vllm import alive, stand_in, until

HEALTH = HealthCheckRules(startup_timeout_s=60, interval_s=0.02, failure_threshold=2, hang_timeout_s=0.3)
BACKOFF = RestartBackoff(first_s=0.01)
SETTINGS = ReplicaSettings(HEALTH, BACKOFF)


@dataclass
class Pids:
    """Process IDs observed by a test."""

    seen: set[int] = field(default_factory=set)


@pytest.fixture(autouse=True)
def pids(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pids]:
    """Yields the observed process IDs; afterwards, no process is alive."""
    monkeypatch.setattr(server_process, "GRACE_S", 0.5)
    books = Pids()
    yield books
    until(lambda: not any(map(alive, books.seen)))


async def when(replica: Replica, holds: Callable[[ReplicaStatus], object]) -> ReplicaStatus:
    async with asyncio.timeout(30):
        while not holds(status := replica.status()):  # noqa: ASYNC110 - other processes change it
            await asyncio.sleep(0.02)
    return status


def facts(status: ReplicaStatus) -> dict:
    with urllib.request.urlopen(f"{status.url.removesuffix('/v1')}/facts") as answer:
        return json.load(answer)


def play(
    folder: Path,
    pids: Pids,
    story: Callable[[Replica], Awaitable[None]],
    settings: ReplicaSettings = SETTINGS,
    **args: object,
) -> None:
    async def job() -> None:
        server = ServerSpec(stand_in(folder), "m", json.dumps(args), cores=(1,))
        replica = Replica(server, ReplicaLocation("127.0.0.1", folder), settings)
        try:
            await story(replica)
        finally:
            await replica.stop()

    asyncio.run(job())


async def ready(replica: Replica, pids: Pids, after: int = 0) -> tuple[ReplicaStatus, dict]:
    """Waits for a server that answers and that was started after so many others."""
    status = await when(replica, lambda status: status.url and status.starts > after)
    found = await asyncio.to_thread(facts, status)
    pids.seen |= set(found["pids"])
    return status, found


def test_the_first_question_starts_a_server(tmp_path: Path, pids: Pids) -> None:
    async def story(replica: Replica) -> None:
        assert replica.status() == ReplicaStatus()
        status, found = await ready(replica, pids)
        assert (status.starts, status.was_ready) == (1, True)
        assert status.failure is None
        assert found["cores"] == "1"
        assert found["model"] == "m"

    play(tmp_path, pids, story)


def test_a_killed_server_comes_back(tmp_path: Path, pids: Pids) -> None:
    """A new server starts on another port, after every process of the killed one has ended."""

    async def story(replica: Replica) -> None:
        before, found = await ready(replica, pids)
        os.kill(found["pids"][0], signal.SIGKILL)
        after, _ = await ready(replica, pids, before.starts)
        assert after.starts == 2
        assert after.url != before.url
        assert "the server ended with code -9" in after.failure
        assert not any(map(alive, found["pids"]))

    play(tmp_path, pids, story)


def test_a_frozen_server_comes_back(tmp_path: Path, pids: Pids) -> None:
    """A frozen server still accepts connections, so only a timeout can detect it."""

    async def story(replica: Replica) -> None:
        before, found = await ready(replica, pids)
        os.kill(found["pids"][0], signal.SIGSTOP)
        after, _ = await ready(replica, pids, before.starts)
        assert after.failure.startswith("the server did not answer 2 times in a row")

    play(tmp_path, pids, story, ReplicaSettings(replace(HEALTH, timeout_s=1.0), BACKOFF))


def test_a_server_that_gets_nothing_done_comes_back(tmp_path: Path, pids: Pids) -> None:
    """A server without progress is replaced although its health page reports success."""

    async def story(replica: Replica) -> None:
        status = await when(replica, lambda status: status.url and status.starts > 1)
        assert status.failure.startswith("the server held 1 requests and did nothing for ")

    play(tmp_path, pids, story, mishap="stuck")


def test_a_server_that_does_not_start(tmp_path: Path, pids: Pids) -> None:
    """The server is started again, and the status has the end of its log."""

    async def story(replica: Replica) -> None:
        status = await when(replica, lambda status: status.starts == 3)
        assert not status.was_ready
        assert "ValueError: the KV cache has no room" in status.failure
        assert "RuntimeError: the engine did not start" in status.failure

    play(tmp_path, pids, story, mishap="no start")


def test_a_server_that_is_never_ready(tmp_path: Path, pids: Pids) -> None:
    async def story(replica: Replica) -> None:
        status = await when(replica, lambda status: status.failure)
        assert status.failure.startswith("the server was not ready after 0 s")

    play(tmp_path, pids, story, ReplicaSettings(replace(HEALTH, startup_timeout_s=0.0), RestartBackoff(first_s=60.0)))


def test_waits_grow_while_nothing_lives_long(tmp_path: Path) -> None:
    """The waits grow while servers fail early; a long enough lifetime resets them."""
    waits, now = [], [0.0]

    class Enough(Exception):
        pass

    async def sleep(seconds: float) -> None:
        if seconds == HEALTH.interval_s:
            await asyncio.sleep(0.01)
            now[0] += 10.0 * (len(waits) == 5)  # the sixth lifetime is long enough
            return
        waits.append(seconds)
        if len(waits) == 7:
            raise Enough

    async def job() -> None:
        server = ServerSpec(stand_in(tmp_path), "m", '{"mishap": "no start"}')
        settings = ReplicaSettings(HEALTH, RestartBackoff(first_s=1.0, longest_s=8.0))
        replica = Replica(server, ReplicaLocation("127.0.0.1", tmp_path), settings, clock=lambda: now[0], sleep=sleep)
        with pytest.raises(Enough):
            await when(replica, lambda _: False)
        await replica.stop()

    asyncio.run(job())
    assert waits == [1, 2, 4, 8, 8, 1, 2]


def test_a_replica_may_be_stopped_before_it_was_started(tmp_path: Path) -> None:
    async def job() -> None:
        replica = Replica(ServerSpec("py", "m", "{}"), ReplicaLocation("127.0.0.1", tmp_path), SETTINGS)
        await replica.stop()
        await replica.stop()
        assert replica.status() == ReplicaStatus()

    asyncio.run(job())
