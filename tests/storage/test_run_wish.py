"""A wish in the lock of a run: the holder keeps it over its heartbeats, and it ends with the lock."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from muses_eval.storage.objects.object_keys import lock_key
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.process_identity import ProcessIdentity
from muses_eval.storage.runs.run_activity import RunActivity
from muses_eval.storage.runs.run_lock import LockRecord, acquire_run_lock, hold_run_lock
from muses_eval.storage.runs.run_wish import NotPlayedError, send_command

from tests.storage.test_account_state import FAST, RECORD, stored
from tests.storage.test_run_lock import Watch

ACTIVITY = RunActivity(playing=3, left_s=60.0)


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(str(tmp_path))


def test_the_holder_sees_a_wish_and_keeps_it(store: ObjectStore) -> None:
    with hold_run_lock(store, "r", "muses run", FAST) as lock:
        lock.report_activity(ACTIVITY)
        assert stored(store, lambda record: record.activity is not None).activity == ACTIVITY
        assert send_command(store, "r", "pause").wish == "pause"
        until(lambda: lock.wish == "pause")
        beat = stored(store).beat
        assert stored(store, lambda record: record.beat > beat + 1).wish == "pause"
        send_command(store, "r", "resume")
        until(lambda: lock.wish is None)
        send_command(store, "r", "stop")
        until(lambda: lock.wish == "stop")
    assert (stored(store).wish, stored(store).activity) == (None, None)
    with hold_run_lock(store, "r", "muses run", FAST) as lock:
        assert lock.wish is None


def until(true: Callable[[], bool]) -> None:
    while not true():
        pass


GONE = replace(ProcessIdentity.this(), started="1")


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (None, "no process plays the run 'r'"),
        (replace(RECORD, owner=None, activity=ACTIVITY), "no process plays the run 'r'"),
        (replace(RECORD, process=GONE, activity=ACTIVITY), "no process plays the run 'r'"),
        (replace(RECORD, work="muses store seal"), "held by `muses store seal` on there, which does not play"),
    ],
)
def test_only_a_run_that_is_played_can_be_steered(store: ObjectStore, record: LockRecord | None, problem: str) -> None:
    if record is not None:
        store.put_if_absent(lock_key("r"), record.to_json())
    with pytest.raises(NotPlayedError, match=problem):
        send_command(store, "r", "stop")


def test_a_wish_is_no_sign_of_life(store: ObjectStore) -> None:
    """A process that waits for a dead holder gets the lock, although a person writes into the lock object meanwhile."""
    store.put_if_absent(lock_key("r"), replace(RECORD, activity=ACTIVITY).to_json())
    watch = Watch()
    watch.then = lambda: None if watch.now > 1 else send_command(store, "r", "pause") and None
    acquire_run_lock(store, "r", "muses run", watch.heartbeat()).release()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"activity": {"playing": "x", "left_s": None}, "wish": "sing"}, RECORD),
        ({"activity": 5, "of a later version": 1}, RECORD),
        ({"activity": {"playing": 3, "left_s": 60}, "wish": "stop"}, replace(RECORD, activity=ACTIVITY, wish="stop")),
    ],
)
def test_malformed_and_unknown_fields_are_ignored(changes: dict[str, object], expected: LockRecord) -> None:
    data = json.dumps({**json.loads(RECORD.to_json()), **changes}).encode()
    assert LockRecord.from_json(data) == expected
