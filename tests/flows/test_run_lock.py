"""Holding a run on an event loop: who loses it is cancelled, and who gives up watching leaves nothing behind."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from muses_eval.flows.job.run_lock import hold_run_lock
from muses_eval.storage.objects.object_keys import claim_key
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.run_lock import PACE, Claim, ClaimLostError, Process, RunHeldError, claimed

FAST = replace(PACE, beat_every_s=0.01)
THEIRS = Claim(owner="them", work="muses run", process=Process("elsewhere", 1, None, None), since="", beat=0)


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(str(tmp_path))


def owner(store: ObjectStore) -> str | None:
    claim = Claim.from_json(store.get(claim_key("r")))
    assert claim
    return claim.owner


def test_it_is_held_and_released(store: ObjectStore) -> None:
    """Nobody else gets it in between, also when the work fails."""

    async def work() -> None:
        async with hold_run_lock(store, "r", "muses run", FAST):
            with pytest.raises(RunHeldError):
                await asyncio.to_thread(claimed(store, "r", "muses run", FAST).__enter__)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(work())
    assert owner(store) is None


def test_who_loses_it_is_stopped(store: ObjectStore) -> None:
    """With an error that says so; the other keeps it, and the task itself is not left cancelled."""

    async def work() -> str:
        try:
            async with hold_run_lock(store, "r", "muses run", FAST):
                while not store.replace(claim_key("r"), THEIRS.to_json(), store.read(claim_key("r")).tag):
                    pass
                await asyncio.sleep(3600)
        except ClaimLostError as error:
            await asyncio.sleep(0)
            return str(error)
        return ""

    assert "another process has taken the run 'r' over" in asyncio.run(work())
    assert owner(store) == "them"


def test_a_signal_is_no_loss(store: ObjectStore) -> None:
    """Cancelled from outside, it stays cancelled, and the run is free."""

    async def work() -> None:
        async with hold_run_lock(store, "r", "muses run", FAST):
            await asyncio.sleep(3600)

    async def cancelled() -> None:
        task = asyncio.create_task(work())
        while not list(store.list(claim_key("r"))):  # noqa: ASYNC110 - the store tells nobody
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert owner(store) is None


def test_who_is_stopped_while_watching_leaves_no_claim(store: ObjectStore) -> None:
    """It does not wait for the other to die."""
    store.put_if_absent(claim_key("r"), THEIRS.to_json())

    async def cancelled() -> None:
        task = asyncio.create_task(hold_run_lock(store, "r", "muses run", FAST).__aenter__())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert owner(store) == "them"
