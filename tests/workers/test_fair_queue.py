"""A free resource goes to the group that holds the fewest, in order within a group, and none is ever lost."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from muses_eval.workers.play.fair_queue import FairQueue


def queue_of(*resources: object) -> FairQueue[object]:
    queue: FairQueue[object] = FairQueue()
    for resource in resources:
        queue.add(resource)
    return queue


@asynccontextmanager
async def held(queue: FairQueue[object], group: str) -> AsyncIterator[None]:
    taken = await queue.acquire(group)
    try:
        yield
    finally:
        queue.release(group)
        queue.add(taken)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await work()

    asyncio.run(main())


def test_a_late_group_does_not_wait_behind_a_long_queue() -> None:
    async def work() -> None:
        queue, order, going = queue_of(1, 2), [], asyncio.Event()

        async def shard(group: str) -> None:
            async with held(queue, group):
                order.append(group)
                await going.wait()

        api = [asyncio.create_task(shard("api")) for _ in range(20)]
        await settle()
        gpu = [asyncio.create_task(shard("gpu")) for _ in range(3)]
        await settle()
        going.set()
        await asyncio.gather(*api, *gpu)
        assert order[:2] == ["api", "api"]
        assert order[2] == "gpu"
        assert order[2:8].count("gpu") == 3
        assert len(order) == 23

    run(work)


def test_within_a_group_the_first_comes_first() -> None:
    async def work() -> None:
        queue, order = queue_of("only"), []

        async def shard(number: int) -> None:
            async with held(queue, "group"):
                order.append(number)
                await asyncio.sleep(0)

        await asyncio.gather(*(shard(number) for number in range(5)))
        assert order == [0, 1, 2, 3, 4]

    run(work)


def test_a_place_comes_back_after_an_error() -> None:
    async def work() -> None:
        queue = queue_of("only")
        with pytest.raises(ValueError, match="broke"):
            async with held(queue, "a"):
                raise ValueError("broke")
        assert await asyncio.wait_for(queue.acquire("b"), 1) == "only"

    run(work)


@pytest.mark.parametrize("handed_over", [False, True])
def test_who_is_cancelled_while_waiting_loses_no_place(handed_over: bool) -> None:
    """A cancelled request loses no resource, even when it is cancelled at the moment of the handover."""

    async def work() -> None:
        queue = queue_of("only")
        taken = await queue.acquire("a")
        waiting = asyncio.create_task(queue.acquire("b"))
        await settle()
        if handed_over:
            queue.release("a")
            queue.add(taken)
            waiting.cancel()
        else:
            waiting.cancel()
            await settle()
            queue.release("a")
            queue.add(taken)
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await asyncio.wait_for(queue.acquire("c"), 1) == "only"

    run(work)


def test_a_place_that_comes_back_later_does_not_count_for_its_group() -> None:
    """A group whose worker died gets the next free resource like any other group."""

    async def work() -> None:
        queue = queue_of(1, 2)
        await queue.acquire("a")
        second = await queue.acquire("a")
        queue.release("a")
        queue.release("a")
        third = asyncio.create_task(queue.acquire("a"))
        await settle()
        queue.add(second)
        assert await asyncio.wait_for(third, 1) == second

    run(work)


def test_of_groups_that_hold_as_many_the_one_whose_turn_was_longest_ago_is_next() -> None:
    """With more groups than resources, every group still gets its turn."""

    async def work() -> None:
        queue, order = queue_of("only"), []

        async def shard(group: str) -> None:
            async with held(queue, group):
                order.append(group)
                await asyncio.sleep(0)

        await asyncio.gather(*(shard(group) for group in "aaaabbcc"))
        assert "".join(order) == "aabcabca"

    run(work)
