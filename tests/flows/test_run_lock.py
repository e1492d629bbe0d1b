"""The run lock on an event loop: a task that loses the lock is cancelled, and one that stops waiting leaves no lock."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from muses_eval.flows.job.async_run_lock import hold_run_lock_async
from muses_eval.storage.objects.object_keys import lock_key
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.process_identity import ProcessIdentity
from muses_eval.storage.runs.run_lock import HEARTBEAT, LockLostError, LockRecord, RunLockedError, hold_run_lock

FAST = replace(HEARTBEAT, interval_s=0.01)
THEIRS = LockRecord(
    owner="them", work="muses run", process=ProcessIdentity("elsewhere", 1, None, None), since="", beat=0
)


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(str(tmp_path))


def owner(store: ObjectStore) -> str | None:
    record = LockRecord.from_json(store.get(lock_key("r")))
    assert record
    return record.owner


def test_the_lock_is_held_and_released(store: ObjectStore) -> None:
    """No other process gets the lock meanwhile, and it is released when the block fails."""

    async def work() -> None:
        async with hold_run_lock_async(store, "r", "muses run", FAST):
            with pytest.raises(RunLockedError):
                await asyncio.to_thread(hold_run_lock(store, "r", "muses run", FAST).__enter__)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(work())
    assert owner(store) is None


def test_a_task_that_loses_the_lock_is_cancelled(store: ObjectStore) -> None:
    """The task raises an error and does not stay cancelled; the other process keeps the lock."""

    async def work() -> str:
        try:
            async with hold_run_lock_async(store, "r", "muses run", FAST):
                while not store.replace(lock_key("r"), THEIRS.to_json(), store.read(lock_key("r")).tag):
                    pass
                await asyncio.sleep(3600)
        except LockLostError as error:
            await asyncio.sleep(0)
            return str(error)
        return ""

    assert "another process has taken over the run 'r'" in asyncio.run(work())
    assert owner(store) == "them"


def test_a_task_cancelled_from_outside(store: ObjectStore) -> None:
    """The task stays cancelled, and the lock is released."""

    async def work() -> None:
        async with hold_run_lock_async(store, "r", "muses run", FAST):
            await asyncio.sleep(3600)

    async def cancelled() -> None:
        task = asyncio.create_task(work())
        while not list(store.list(lock_key("r"))):  # noqa: ASYNC110 - a store sends no notifications
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert owner(store) is None


def test_a_task_cancelled_while_it_waits_leaves_no_lock(store: ObjectStore) -> None:
    """A task cancelled while it waits for the holder stops at once and leaves no lock."""
    store.put_if_absent(lock_key("r"), THEIRS.to_json())

    async def cancelled() -> None:
        task = asyncio.create_task(hold_run_lock_async(store, "r", "muses run", FAST).__aenter__())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert owner(store) == "them"
