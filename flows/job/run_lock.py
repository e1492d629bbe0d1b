"""Holding a run: one driver at a time, and one that has lost it stops.

This is for jobs on an event loop; others use :func:`muses_eval.storage.runs.run_lock.claimed`.
"""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from muses_eval.pipeline.errors import MusesError
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.runs.run_lock import PACE, HeldClaim, Pace, RunHeldError, take


@asynccontextmanager
async def hold_run_lock(store: ObjectStore, run_id: str, work: str, pace: Pace = PACE) -> AsyncIterator[HeldClaim]:
    """Holds the run lock until the end of the block.

    Raises:
        RunHeldError: somebody has it.
        ClaimLostError: somebody has taken it over; what was going on in here has been cancelled.
    """
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None  # noqa: S101 - a coroutine runs in a task
    claim = await _taken(store, run_id, work, pace)

    def stop() -> None:
        loop.call_soon_threadsafe(task.cancel)

    claim.when_lost(stop)
    try:
        yield claim
    except asyncio.CancelledError:
        if not claim.is_lost:
            raise
        task.uncancel()
        raise claim.error() from None
    finally:
        await asyncio.to_thread(claim.release)


async def _taken(store: ObjectStore, run_id: str, work: str, pace: Pace) -> HeldClaim:
    """The claim.  Cancelled while it watches another holder, it stops watching and leaves no claim behind."""
    given_up = threading.Event()

    def pause(seconds: float) -> None:
        if given_up.wait(seconds):
            raise RunHeldError(f"given up while the run {run_id!r} was held by somebody else")

    taking = asyncio.create_task(asyncio.to_thread(take, store, run_id, work, replace(pace, sleep=pause)))
    try:
        return await asyncio.shield(taking)
    except asyncio.CancelledError:
        given_up.set()
        with suppress(MusesError):
            await asyncio.to_thread((await taking).release)
        raise
