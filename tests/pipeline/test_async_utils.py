"""``gather_all`` returns all results in order, or raises the first failure and leaves no task running."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from muses_eval.pipeline.async_utils import gather_all
from muses_eval.pipeline.errors import ModelFailure


def run(job: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(job)


def test_results_are_in_the_order_of_the_coroutines() -> None:
    """The order of completion does not matter."""

    async def job() -> list[int]:
        gate = asyncio.Event()

        async def late() -> int:
            await gate.wait()
            return 1

        async def early() -> int:
            gate.set()
            return 2

        return await gather_all((late(), early()))

    assert run(job()) == [1, 2]


def test_nothing_to_wait_for() -> None:
    assert run(gather_all(())) == []


def test_the_first_failure_is_raised_as_it_is_and_the_others_are_ended() -> None:
    """The failure is not wrapped in a group, and every other coroutine has ended before the caller gets it."""
    ended = []

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # even when the cancellation takes a moment
            ended.append(True)

    async def fail() -> None:
        raise ModelFailure("timeout", "no answer")

    async def job() -> None:
        with pytest.raises(ModelFailure, match="no answer"):
            await gather_all((hang(), fail(), hang()))
        assert ended == [True, True]

    run(job())


def test_a_cancelled_caller_cancels_all() -> None:
    ended = []

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def job() -> None:
        waiting = asyncio.create_task(gather_all((hang(), hang())))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert ended == [True, True]

    run(job())
