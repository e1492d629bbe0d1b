"""The run lock: a second driver is refused, a dead one blocks no other, and clocks of machines are never compared."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from muses_eval.pipeline.errors import StoreError
from muses_eval.storage.objects.object_keys import lock_key
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.process_identity import ProcessIdentity
from muses_eval.storage.runs.run_lock import (
    HEARTBEAT,
    HeartbeatTiming,
    LockLostError,
    LockRecord,
    RunLock,
    RunLockedError,
    acquire_run_lock,
    hold_run_lock,
)

ELSEWHERE = ProcessIdentity(host="elsewhere", pid=1, room="another machine", started="1")
NEVER = replace(HEARTBEAT, interval_s=3600)
"""Timing of a holder that sends no heartbeats."""


class Watch:
    """The clock of a process that waits for a lock: it jumps when the process sleeps, and *then* is called."""

    def __init__(self) -> None:
        self.now, self.then = 0.0, lambda: None

    def heartbeat(self) -> HeartbeatTiming:
        return replace(NEVER, clock=lambda: self.now, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.then()


def stored(store: ObjectStore) -> LockRecord:
    record = LockRecord.from_json(store.get(lock_key("run-a")))
    assert record is not None
    return record


def put(store: ObjectStore, record: LockRecord) -> None:
    """Writes a lock record as a process of another machine would."""
    if not store.put_if_absent(lock_key("run-a"), record.to_json()):
        assert store.replace(lock_key("run-a"), record.to_json(), store.read(lock_key("run-a")).tag)


def next_heartbeat(record: LockRecord) -> LockRecord:
    return replace(record, beat=record.beat + 1)


FOREIGN = LockRecord(owner="them", work="muses run", process=ELSEWHERE, since="2026-01-02T03:04:05+00:00", beat=7)


def test_one_after_the_other(store: ObjectStore) -> None:
    """A released lock is free at once."""
    with hold_run_lock(store, "run-a", "muses run"):
        assert stored(store).owner
    assert stored(store).owner is None
    with hold_run_lock(store, "run-a", "muses run"), hold_run_lock(store, "run-b", "muses run"):
        assert stored(store).owner


def test_the_error_names_a_live_holder(store: ObjectStore) -> None:
    """The error is raised at the holder's first heartbeat, and names its command, host, process and start."""
    put(store, FOREIGN)
    watch = Watch()
    watch.then = lambda: put(store, next_heartbeat(stored(store)))
    expected = r"run 'run-a' is held by `muses run` on elsewhere \(process 1, since 2026-01-02T03:04:05"
    with pytest.raises(RunLockedError, match=expected):
        acquire_run_lock(store, "run-a", "muses run", watch.heartbeat())
    assert watch.now < HEARTBEAT.timeout_s
    assert stored(store).owner == "them"


def test_a_dead_holder_elsewhere(store: ObjectStore) -> None:
    """The lock is acquired after the timeout, measured by the clock of the waiting process."""
    put(store, replace(FOREIGN, since="2999-01-01T00:00:00+00:00"))
    watch = Watch()
    lock = acquire_run_lock(store, "run-a", "muses run", watch.heartbeat())
    assert HEARTBEAT.timeout_s <= watch.now < HEARTBEAT.timeout_s + 2
    assert stored(store).process == ProcessIdentity.this()
    lock.release()


def test_two_processes_wait_for_the_same_dead_holder(store: ObjectStore) -> None:
    """One process acquires the lock; the other sees that the object has changed."""
    put(store, FOREIGN)
    first, second = Watch(), Watch()
    taken: list[RunLock] = []

    def meanwhile() -> None:
        if second.now >= 5 and not taken:
            taken.append(acquire_run_lock(store, "run-a", "muses run", first.heartbeat()))

    second.then = meanwhile
    with pytest.raises(RunLockedError, match=str(os.getpid())):
        acquire_run_lock(store, "run-a", "muses run", second.heartbeat())
    taken[0].release()


def test_a_holder_that_releases_while_another_waits(store: ObjectStore) -> None:
    """The waiting process acquires the lock at once."""
    put(store, FOREIGN)
    watch = Watch()
    watch.then = lambda: put(store, replace(FOREIGN, owner=None))
    acquire_run_lock(store, "run-a", "muses run", watch.heartbeat()).release()
    assert watch.now < HEARTBEAT.timeout_s


def ended() -> ProcessIdentity:
    """Returns a process of this machine that has just ended."""
    code = "import json; from dataclasses import asdict;"
    code += "from muses_eval.storage.runs.process_identity import ProcessIdentity;"
    code += "print(json.dumps(asdict(ProcessIdentity.this())))"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    return ProcessIdentity(**json.loads(done.stdout))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system has no /proc")
def test_a_dead_process_of_this_machine(store: ObjectStore) -> None:
    """The lock is free at once, also when the process ID has been reused."""
    gone, watch = ended(), Watch()
    for process in (gone, replace(ProcessIdentity.this(), started="1")):
        put(store, replace(FOREIGN, process=process))
        acquire_run_lock(store, "run-a", "muses run", watch.heartbeat()).release()
    assert watch.now == 0


def test_a_hidden_process_may_be_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A live process has not ended even when /proc hides it, as with hidepid."""
    here, gone = ProcessIdentity.this(), ended()
    monkeypatch.setattr("muses_eval.storage.runs.process_identity._PROC", tmp_path)
    assert not here.has_ended(here.room)
    assert gone.has_ended(gone.room)


def test_a_process_of_another_namespace_may_be_alive() -> None:
    """A process ID in another container, or from before a reboot, refers to another process."""
    here = ProcessIdentity.this()
    assert not here.has_ended(here.room)
    assert not replace(here, pid=2**22 + 1, room="another boot").has_ended(here.room)
    assert not replace(here, pid=2**22 + 1, room=None).has_ended(None)


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b"{}", b'{"owner": 1, "process": []}'])
def test_garbage_under_the_key_locks_nothing(store: ObjectStore, data: bytes) -> None:
    """An invalid lock record is overwritten."""
    store.put_if_absent(lock_key("run-a"), data)
    acquire_run_lock(store, "run-a", "muses run", Watch().heartbeat()).release()
    assert stored(store).work == "muses run"


def test_many_processes_at_once(store: ObjectStore) -> None:
    """Exactly one of many concurrent attempts acquires the lock."""
    results: list[object] = []

    def attempt() -> None:
        try:
            results.append(acquire_run_lock(store, "run-a", "muses run", replace(HEARTBEAT, interval_s=0.02)))
        except RunLockedError as error:
            results.append(error)

    threads = [threading.Thread(target=attempt) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held = [result for result in results if isinstance(result, RunLock)]
    assert (len(held), len(results)) == (1, 6)
    held[0].release()


def test_heartbeats_end_with_the_release(store: ObjectStore) -> None:
    with hold_run_lock(store, "run-a", "muses run", replace(HEARTBEAT, interval_s=0.01)):
        while stored(store).beat < 3:
            pass
    last = store.get(lock_key("run-a"))
    assert not any(thread.name == "heartbeat of run-a" for thread in threading.enumerate())
    assert store.get(lock_key("run-a")) == last


def test_a_lost_lock_is_reported(store: ObjectStore) -> None:
    """A callback and an exception report the loss; releasing the lock leaves the new holder's record unchanged."""
    lost = threading.Event()
    lock = acquire_run_lock(store, "run-a", "muses run", replace(HEARTBEAT, interval_s=0.01))
    lock.on_lost(lost.set)
    lock.check()
    while not lost.is_set():
        put_over(store)
    with pytest.raises(LockLostError, match="has taken over the run 'run-a'"):
        lock.check()
    lock.release()
    assert stored(store).owner == "them"
    late = threading.Event()
    lock.on_lost(late.set)
    assert late.is_set()


def put_over(store: ObjectStore) -> None:
    store.replace(lock_key("run-a"), FOREIGN.to_json(), store.read(lock_key("run-a")).tag)


def test_a_deleted_lock_object_is_written_again(store: ObjectStore) -> None:
    """The holder of a deleted lock object writes it again and keeps the lock."""
    with hold_run_lock(store, "run-a", "muses run", replace(HEARTBEAT, interval_s=0.01)) as lock:
        store.delete(lock_key("run-a"))
        while not list(store.list(lock_key("run-a"))):
            pass
        assert not lock.is_lost


def test_an_unreachable_store_is_no_loss(tmp_path: Path) -> None:
    """Heartbeats continue once the store is reachable again."""
    folder = tmp_path / "store"
    store = open_store(str(folder))
    with hold_run_lock(store, "run-a", "muses run", replace(HEARTBEAT, interval_s=0.01)) as lock:
        (folder / "claims").rename(tmp_path / "away")
        (folder / "claims").write_bytes(b"a file where the folder was")
        with pytest.raises(StoreError):
            store.put_if_absent("claims/x", b"")
        (folder / "claims").unlink()
        (tmp_path / "away").rename(folder / "claims")
        before = stored(store).beat
        while stored(store).beat == before:
            pass
        assert not lock.is_lost
