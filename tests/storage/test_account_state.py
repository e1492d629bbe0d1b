"""Account states and links in a lock record: readers see them, and they are removed with the lock."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from muses_eval.storage.objects.object_keys import lock_key
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.account_state import AccountState
from muses_eval.storage.runs.process_identity import ProcessIdentity
from muses_eval.storage.runs.run_lock import HEARTBEAT, LockRecord, hold_run_lock

FAST = replace(HEARTBEAT, interval_s=0.005)
ACCOUNT = AccountState(
    name="api.example/v1",
    calls_per_s=12.5,
    tokens_per_s=900.0,
    refused_share=0.25,
    failed_share=0.0,
    requests_per_minute=1200.0,
    tokens_per_minute=None,
    concurrency=8.0,
    in_flight=7.0,
    waiting=3.0,
    paused_s=0.0,
    problem="429",
)
RECORD = LockRecord(owner="them", work="muses run", process=ProcessIdentity("there", 1, None, None), since="", beat=0)


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(str(tmp_path))


def stored(store: ObjectStore, wanted: Callable[[LockRecord], bool] = lambda _: True) -> LockRecord:
    """Returns the lock record once it satisfies *wanted*."""
    while True:
        record = LockRecord.from_json(store.get(lock_key("r")))
        assert record
        if wanted(record):
            return record


def test_the_status_is_stored_with_the_next_heartbeat_and_removed_with_the_lock(store: ObjectStore) -> None:
    with hold_run_lock(store, "r", "muses run", FAST) as lock:
        lock.report_accounts((ACCOUNT,))
        lock.add_link("Prefect", "http://127.0.0.1:4200/runs/flow-run/1")
        lock.add_link("Ray", "http://127.0.0.1:8265")
        record = stored(store, lambda record: bool(record.accounts) and len(record.links) == 2)
        assert record.accounts == (ACCOUNT,)
        assert record.links["Ray"] == "http://127.0.0.1:8265"
    assert (stored(store).accounts, stored(store).links) == ((), {})


def test_an_old_status_is_removed(store: ObjectStore) -> None:
    now = [0.0]
    with hold_run_lock(store, "r", "muses run", replace(FAST, clock=lambda: now[0])) as lock:
        lock.report_accounts((ACCOUNT,))
        stored(store, lambda record: bool(record.accounts))
        now[0] = 60.0
        stored(store, lambda record: not record.accounts)
        lock.report_accounts((ACCOUNT,))
        stored(store, lambda record: bool(record.accounts))


@pytest.mark.parametrize(
    "status",
    [
        {"accounts": 5},
        {"accounts": [{"name": "x"}]},
        {"accounts": [{**json.loads(RECORD.to_json()), "name": "x", "calls_per_s": "fast"}]},
        {"accounts": ["x"]},
        {"accounts": None, "links": ["x"]},
        {"links": {"x": 5}},
    ],
)
def test_a_malformed_status_is_ignored(status: dict[str, object]) -> None:
    data = json.dumps({**json.loads(RECORD.to_json()), **status}).encode()
    assert LockRecord.from_json(data) == RECORD


def test_a_record_without_status_is_read() -> None:
    value = json.loads(RECORD.to_json())
    del value["accounts"], value["links"]
    assert LockRecord.from_json(json.dumps(value).encode()) == RECORD
