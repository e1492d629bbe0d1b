"""A limit bounds what is in flight, loses no slot, and is shared by those who share an account."""

import asyncio

import pytest

from pipeline.specs import Endpoint, Limits
from workers.limits import AccountLimits, ConcurrencyLimit


async def _wait_for_turns(rounds: int = 5) -> None:
    """Lets every other task run as far as it can."""
    for _ in range(rounds):
        await asyncio.sleep(0)


class Worker:
    """Holds a slot until it is told to leave."""

    def __init__(self, limit: ConcurrencyLimit) -> None:
        self.inside = False
        self._leave = asyncio.Event()
        self.task = asyncio.ensure_future(self._work(limit))

    async def _work(self, limit: ConcurrencyLimit) -> None:
        async with limit.slot(0):
            self.inside = True
            await self._leave.wait()
        self.inside = False

    async def leave(self) -> None:
        self._leave.set()
        await self.task


def test_bounds_what_is_in_flight_in_order() -> None:
    """Three slots: the fourth waits, and those who wait enter in the order in which they came."""

    async def scenario() -> None:
        limit = ConcurrencyLimit(3)
        workers = [Worker(limit) for _ in range(6)]
        await _wait_for_turns()
        assert [worker.inside for worker in workers] == [True, True, True, False, False, False]
        await workers[1].leave()
        await _wait_for_turns()
        assert [worker.inside for worker in workers] == [True, False, True, True, False, False]
        for worker in workers:
            await worker.leave()
        assert limit.in_flight == 0

    asyncio.run(scenario())


def test_late_comers_do_not_overtake() -> None:
    """A slot that is freed goes to the one who waits, even when a newcomer asks in the same moment."""

    async def scenario() -> None:
        limit = ConcurrencyLimit(1)
        holder, waiter = Worker(limit), Worker(limit)
        await _wait_for_turns()
        leaving = asyncio.ensure_future(holder.leave())
        newcomer = Worker(limit)
        await leaving
        await _wait_for_turns()
        assert (waiter.inside, newcomer.inside) == (True, False)
        await waiter.leave()
        await newcomer.leave()

    asyncio.run(scenario())


def test_a_failing_try_gives_its_slot_back() -> None:
    """However the try ends."""

    async def scenario() -> None:
        limit = ConcurrencyLimit(1)
        with pytest.raises(RuntimeError, match="broken"):
            async with limit.slot(0):
                raise RuntimeError("broken")
        assert limit.in_flight == 0

    asyncio.run(scenario())


def test_a_cancelled_waiter_leaves_the_queue() -> None:
    """Cancelled while it waits: the next one in the queue gets the slot."""

    async def scenario() -> None:
        limit = ConcurrencyLimit(1)
        holder, cancelled, patient = Worker(limit), Worker(limit), Worker(limit)
        await _wait_for_turns()
        cancelled.task.cancel()
        await _wait_for_turns()
        assert cancelled.task.cancelled()
        await holder.leave()
        await _wait_for_turns()
        assert patient.inside
        await patient.leave()
        async with limit.slot(0):
            assert limit.in_flight == 1

    asyncio.run(scenario())


def test_a_slot_handed_to_a_cancelled_waiter_is_not_lost() -> None:
    """Cancelled between being given the slot and waking up: the slot goes on to the next one."""

    async def scenario() -> None:
        limit = ConcurrencyLimit(1)
        async with limit.slot(0):
            cancelled, patient = Worker(limit), Worker(limit)
            await _wait_for_turns()
        cancelled.task.cancel()
        await _wait_for_turns()
        assert cancelled.task.cancelled()
        assert (cancelled.inside, patient.inside, limit.in_flight) == (False, True, 1)
        await patient.leave()
        assert limit.in_flight == 0

    asyncio.run(scenario())


def test_outlives_an_event_loop() -> None:
    """A process may run one loop after another, with waiting in each."""
    limit = ConcurrencyLimit(1)

    async def contended() -> None:
        first, second = Worker(limit), Worker(limit)
        await _wait_for_turns()
        assert (first.inside, second.inside) == (True, False)
        await first.leave()
        await second.leave()

    asyncio.run(contended())
    asyncio.run(contended())
    assert limit.in_flight == 0


def test_shrinks_for_the_tries_to_come() -> None:
    """Lowered in mid-flight: nobody is thrown out, nobody enters until there is room under the new bound."""

    async def scenario() -> None:
        limit = ConcurrencyLimit(2)
        workers = [Worker(limit) for _ in range(3)]
        await _wait_for_turns()
        limit.lower_to(1)
        await workers[0].leave()
        await _wait_for_turns()
        assert [worker.inside for worker in workers] == [False, True, False]
        await workers[1].leave()
        await _wait_for_turns()
        assert [worker.inside for worker in workers] == [False, False, True]
        await workers[2].leave()

    asyncio.run(scenario())


def test_one_limit_an_account() -> None:
    """Address and key name make the account; models of one account share the smallest of their limits."""
    limits = AccountLimits()
    big = Endpoint(("http://one/v1",), "KEY", limits=Limits(concurrency=64))
    small = Endpoint(("http://one/v1",), "KEY", limits=Limits(concurrency=8), timeout_s=5.0)
    shared = limits.limit(big)
    assert limits.limit(small) is shared
    assert limits.limit(big).most == 8
    assert limits.limit(Endpoint(("http://one/v1",), "OTHER_KEY")) is not shared
    assert limits.limit(Endpoint(("http://two/v1",), "KEY")) is not shared


def test_refuses_a_limit_that_lets_nothing_through() -> None:
    """Zero would be a run that never starts."""
    with pytest.raises(ValueError, match="at least 1, got 0"):
        ConcurrencyLimit(0)
