"""A call gets the server of its session unless that is too busy or failing; it waits while all servers fail."""

import asyncio
from collections.abc import Sequence

import pytest
from muses_eval.pipeline.errors import FailureKind, ModelFailure
from muses_eval.workers.providers.circuit_breaker import CircuitBreakerRules
from muses_eval.workers.providers.load_balancer import LoadBalancer, fixed_servers

from tests.workers.virtual_time import clock, run

THREE = ("http://a/v1", "http://b/v1", "http://c/v1")
SESSIONS = [f"episode-{number}" for number in range(300)]
RULES = CircuitBreakerRules(failures=2, first_pause_s=1.0, longest_pause_s=8.0)


class Fleet:
    """A server discovery whose addresses a test can change."""

    def __init__(self, *urls: str) -> None:
        self.urls: Sequence[str] = urls

    async def resolve(self) -> Sequence[str]:
        return self.urls


def balancer_of(*urls: str, outage_s: float = 60.0) -> LoadBalancer:
    return LoadBalancer("tested", fixed_servers(urls), outage_s, clock, RULES)


def broken(kind: FailureKind = "transport") -> ModelFailure:
    return ModelFailure(kind, "connection refused")


async def call(balancer: LoadBalancer, session: str = "", failure: ModelFailure | None = None) -> str:
    """Makes one attempt that ends at once."""
    with await balancer.attempt(session) as attempt:
        url = attempt.start()
        attempt.record(failure)
        return url


async def break_down(balancer: LoadBalancer, count: int) -> None:
    """Makes servers fail until their breakers are open."""
    for _ in range(count * RULES.failures):
        await call(balancer, failure=broken())


def test_a_session_stays_at_its_server() -> None:
    async def job() -> None:
        balancer = balancer_of(*THREE)
        first = [await call(balancer, session) for session in SESSIONS]
        assert [await call(balancer, session) for session in SESSIONS] == first
        another = balancer_of(*reversed(THREE))
        assert [await call(another, session) for session in SESSIONS] == first
        shares = [first.count(url) for url in THREE]
        assert min(shares) > 60, shares

    run(job())


def test_when_servers_change_only_those_sessions_move_that_have_to() -> None:
    async def job() -> None:
        fleet = Fleet(*THREE)
        balancer = LoadBalancer("tested", fleet.resolve, 60.0, clock)
        before = [await call(balancer, session) for session in SESSIONS]
        fleet.urls = THREE[:2]
        without = [await call(balancer, session) for session in SESSIONS]
        moved = [old for old, new in zip(before, without, strict=True) if old != new]
        assert set(moved) == {THREE[2]}
        fleet.urls = (*THREE, "http://d/v1")
        with_fourth = [await call(balancer, session) for session in SESSIONS]
        taken = [new for old, new in zip(before, with_fourth, strict=True) if old != new]
        assert set(taken) == {"http://d/v1"}

    run(job())


def test_a_session_leaves_a_server_that_is_clearly_busier() -> None:
    async def job() -> None:
        balancer = balancer_of(*THREE)
        home = await call(balancer, "x")
        attempts = [await balancer.attempt("x") for _ in range(12)]
        urls = [attempt.start() for attempt in attempts]
        assert urls[:5] == [home] * 5
        assert urls[5] != home
        for attempt in attempts:
            attempt.record(None)
            attempt.__exit__(None, None, None)
        assert await call(balancer, "x") == home

    run(job())


def test_calls_without_a_session_go_to_the_idlest() -> None:
    async def job() -> None:
        balancer = balancer_of(*THREE)
        attempts = [await balancer.attempt() for _ in range(9)]
        assert sorted(attempt.start() for attempt in attempts) == sorted(THREE * 3)

    run(job())


def test_a_server_that_fails_is_left_and_found_again() -> None:
    """The sessions of a failed server return to it once it has recovered."""

    async def job() -> None:
        balancer = balancer_of(*THREE)
        home = await call(balancer, "x")
        for _ in range(2):
            assert await call(balancer, "x", broken()) == home
        away = await call(balancer, "x")
        assert away != home
        await asyncio.sleep(1.0)
        assert await call(balancer, "x", broken()) == home
        assert await call(balancer, "x") == away
        await asyncio.sleep(2.0)
        assert [await call(balancer, "x") for _ in range(2)] == [home, home]

    run(job())


@pytest.mark.parametrize("kind", ["rate_limit", "auth", "internal"])
def test_a_refusal_is_an_answer(kind: FailureKind) -> None:
    async def job() -> None:
        balancer = balancer_of(THREE[0], outage_s=0.0)
        for _ in range(20):
            await call(balancer, failure=broken(kind))

    run(job())


def test_while_all_are_left_alone_calls_wait_for_the_first_that_is_back() -> None:
    """One call probes the server; the others start when the probe was answered."""

    async def job() -> None:
        balancer = balancer_of(THREE[0])
        await break_down(balancer, 1)
        began, looks = clock(), []

        async def late() -> float:
            with await balancer.attempt("x") as attempt:
                attempt.start()
                looks.append(clock() - began)
                await asyncio.sleep(0.5)
                attempt.record(broken() if len(looks) < 3 else None)
            return clock() - began

        async def persistent() -> None:
            while await late() < 4.5:
                pass

        await asyncio.gather(*(persistent() for _ in range(20)))
        assert looks[:3] == [1.0, 3.5, 8.0]
        assert looks[3:] == [8.5] * (len(looks) - 3)

    run(job())


def test_an_outage_that_lasts_too_long_fails_calls_at_once() -> None:
    """The first calls fail after ``outage_s``; later calls do not wait for it again."""

    async def job() -> None:
        balancer = balancer_of(THREE[0], outage_s=60.0)
        await break_down(balancer, 1)
        began = clock()

        async def stubborn() -> None:
            while True:
                await call(balancer, failure=broken("timeout"))

        probing = asyncio.create_task(stubborn())
        with pytest.raises(ModelFailure, match="tested: its server has been unavailable for 1 min") as caught:
            await stubborn()
        assert clock() - began == 60.0
        assert (caught.value.kind, caught.value.retryable) == ("timeout", True)
        assert "connection refused" in caught.value.problem
        with pytest.raises(ModelFailure, match="for 1 min"):
            await probing
        with pytest.raises(ModelFailure, match="for 1 min"):
            await call(balancer)
        await asyncio.sleep(8.0)
        assert await call(balancer) == THREE[0]
        assert await call(balancer) == THREE[0]

    run(job())


def test_without_patience_nobody_waits() -> None:
    async def job() -> None:
        balancer = balancer_of(*THREE, outage_s=0.0)
        await break_down(balancer, 3)
        began = clock()
        with pytest.raises(ModelFailure, match="its 3 servers have been unavailable"):
            await call(balancer)
        assert clock() == began

    run(job())


def test_a_new_server_ends_the_wait() -> None:
    async def job() -> None:
        fleet = Fleet(THREE[0])
        balancer = LoadBalancer("tested", fleet.resolve, 60.0, clock, RULES)
        await break_down(balancer, 3)  # three times as many failures, so the pause is long
        waiting, began = asyncio.create_task(call(balancer, "x")), clock()
        await asyncio.sleep(0.5)
        assert not waiting.done()
        fleet.urls = THREE[:2]
        assert await waiting == THREE[1]
        assert clock() - began <= 1.0

    run(job())


def test_a_cancelled_look_lets_another_one_look() -> None:
    async def job() -> None:
        balancer = balancer_of(THREE[0])
        await break_down(balancer, 1)

        async def hang() -> None:
            with await balancer.attempt() as attempt:
                attempt.start()
                await asyncio.sleep(1_000.0)

        looking = asyncio.create_task(hang())
        await asyncio.sleep(5.0)
        waiting = asyncio.create_task(call(balancer))
        await asyncio.sleep(1.0)
        assert not waiting.done()
        looking.cancel()
        assert await waiting == THREE[0]

    run(job())


def test_no_servers_at_all() -> None:
    async def job() -> None:
        with pytest.raises(ModelFailure, match="tested has no server"):
            await call(balancer_of())

    run(job())


def test_a_call_asks_where_the_servers_are_each_time() -> None:
    """The addresses are resolved for each call; failures at an old address do not count at the new one."""

    async def job() -> None:
        fleet = Fleet("http://old/v1")
        balancer = LoadBalancer("tested", fleet.resolve, 60.0, clock, RULES)
        await break_down(balancer, 1)
        fleet.urls = ("http://new/v1",)
        assert await call(balancer) == "http://new/v1"

    run(job())


def test_calls_that_were_on_their_way_make_an_outage_no_longer() -> None:
    """Failures of calls that were already in flight do not prolong the outage."""

    async def job() -> None:
        balancer = balancer_of(THREE[0])
        attempts = [await balancer.attempt("\ud800") for _ in range(50)]
        for attempt in attempts:
            with attempt:
                attempt.start()
                attempt.record(broken())
        began = clock()
        await call(balancer)
        assert clock() - began == 1.0

    run(job())
