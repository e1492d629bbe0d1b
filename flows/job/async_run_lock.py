"""The run lock for jobs on an event loop; others use :func:`muses_eval.storage.runs.run_lock.hold_run_lock`."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from muses_eval.pipeline.errors import MusesError
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.runs.run_lock import HEARTBEAT, HeartbeatTiming, RunLock, RunLockedError, acquire_run_lock


@asynccontextmanager
async def hold_run_lock_async(
    store: ObjectStore, run_id: str, work: str, heartbeat: HeartbeatTiming = HEARTBEAT
) -> AsyncIterator[RunLock]:
    """Holds the run lock until the end of the block.

    Raises:
        RunLockedError: a live process holds the lock.
        LockLostError: another process has taken the run over; the block has been cancelled.
    """
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None  # noqa: S101 - a coroutine runs in a task
    lock = await _acquire(store, run_id, work, heartbeat)

    def stop() -> None:
        loop.call_soon_threadsafe(task.cancel)

    lock.on_lost(stop)
    try:
        yield lock
    except asyncio.CancelledError:
        if not lock.is_lost:
            raise
        task.uncancel()
        raise lock.lost_error() from None
    finally:
        await asyncio.to_thread(lock.release)


async def _acquire(store: ObjectStore, run_id: str, work: str, heartbeat: HeartbeatTiming) -> RunLock:
    """Acquires the lock in a thread.  When it is cancelled, it stops waiting and releases a lock acquired meanwhile."""
    given_up = threading.Event()

    def pause(seconds: float) -> None:
        if given_up.wait(seconds):
            raise RunLockedError(f"given up while the run {run_id!r} was held by another process")

    acquiring = asyncio.create_task(
        asyncio.to_thread(acquire_run_lock, store, run_id, work, replace(heartbeat, sleep=pause))
    )
    try:
        return await asyncio.shield(acquiring)
    except asyncio.CancelledError:
        given_up.set()
        with suppress(MusesError):
            await asyncio.to_thread((await acquiring).release)
        raise
