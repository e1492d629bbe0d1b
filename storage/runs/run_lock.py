"""The run lock: one driver works on a run at a time, and a dead driver does not keep the others out.

The lock is an object, ``claims/<run_id>.json``, that is only written by compare and swap.  Its holder increments
``beat`` every 2 s (the heartbeat).  A process on another machine that sees no heartbeat for 20 s takes the lock over.
Clocks of two machines are never compared: the heartbeat is a counter, and the process that waits for the lock measures
by its own clock how long the counter stands still.  When the holder ran on the same machine and in the same container,
its end is noticed at once.  The lock object also carries what the driver is doing and the state of the accounts that it
uses, for people, and what people ask of the driver (:mod:`muses_eval.storage.runs.run_wish`).

The lock saves work and money; the data are correct without it.  A driver that was taken for dead (suspended, or cut off
from the network) may write one more shard: writes are conditional, and readers count an episode once.
"""

import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, Literal

from muses_eval.pipeline.errors import MusesError, StoreError
from muses_eval.storage.objects.object_keys import lock_key
from muses_eval.storage.objects.object_store import MissingObjectError, ObjectStore, VersionedObject
from muses_eval.storage.runs.account_state import AccountState, read_accounts, read_links
from muses_eval.storage.runs.process_identity import ProcessIdentity, pid_namespace
from muses_eval.storage.runs.run_activity import RunActivity, read_activity

_POLL_S = 0.5
_ACCOUNTS_VALID_S = 15.0
"""Time for which reported account states are valid; a live driver reports them every second."""
Wish = Literal["pause", "stop"]


class RunLockedError(MusesError):
    """Another process works on the run."""

    def __init__(self, message: str, *, same_work: bool = False) -> None:
        super().__init__(message)
        self.same_work = same_work
        """True when the holder runs the same command: another start of the same job."""


class LockLostError(MusesError):
    """Another process took the run over while this one worked on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockRecord:
    """The content of a lock object."""

    owner: str | None
    """Random id of one acquisition, never used again; None when the lock was released."""
    work: str
    """Command that the holder runs, such as ``muses run``."""
    process: ProcessIdentity
    since: str
    """Time of the acquisition in UTC, for people only."""
    beat: int
    """Heartbeat counter."""
    accounts: tuple[AccountState, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    """Name -> address of other pages that show the run, such as Ray's dashboard."""
    activity: RunActivity | None = None
    """What the holder is doing; None when it plays no episodes."""
    wish: Wish | None = None
    """What a person asks of the holder; None: to play.  Others write it, and the holder keeps it."""

    def to_json(self) -> bytes:
        """Returns the bytes of the lock object."""
        return json.dumps(asdict(self), indent=2).encode() + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> "LockRecord | None":
        """The inverse of :meth:`to_json`; None when *data* is not a lock record.  Unknown fields are ignored."""
        try:
            value: dict[str, Any] = json.loads(data)
            known = {each.name: value[each.name] for each in fields(cls) if each.name in value}
            status = {
                "accounts": read_accounts(value.get("accounts")),
                "links": read_links(value.get("links")),
                "activity": read_activity(value.get("activity")),
                "wish": value.get("wish") if value.get("wish") in ("pause", "stop") else None,
            }
            return cls(**{**known, "process": ProcessIdentity(**value["process"]), **status})
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


@dataclass(frozen=True, slots=True)
class HeartbeatTiming:
    """Interval and timeout of heartbeats, with the clock and the sleep of the process that waits for a lock."""

    interval_s: float = 2.0
    timeout_s: float = 20.0
    """Time without a heartbeat after which the holder counts as dead."""
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


HEARTBEAT = HeartbeatTiming()
"""Timing of all processes; those that share a store must agree on it."""


class RunLock:
    """A lock held by this process; a thread sends its heartbeats until it is released or lost."""

    def __init__(self, store: ObjectStore, run_id: str, record: LockRecord, heartbeat: HeartbeatTiming) -> None:
        self._store, self._run_id, self._record, self._heartbeat = store, run_id, record, heartbeat
        self._released, self._lost = threading.Event(), threading.Event()
        self._on_lost: Callable[[], None] = lambda: None
        self._accounts: tuple[AccountState, ...] = ()
        self._activity: RunActivity | None = None
        self._reported_at = heartbeat.clock()
        self._mutex = threading.Lock()
        self._thread = threading.Thread(target=self._send_heartbeats, name=f"heartbeat of {run_id}", daemon=True)
        self._thread.start()

    @property
    def is_lost(self) -> bool:
        """True when another process holds the lock now."""
        return self._lost.is_set()

    @property
    def wish(self) -> Wish | None:
        """What a person asks of this process, as of the last heartbeat; None: to play."""
        with self._mutex:
            return self._record.wish

    def on_lost(self, callback: Callable[[], None]) -> None:
        """Calls *callback* once, from the heartbeat thread, when the lock is lost; at once if it is lost already."""
        with self._mutex:
            self._on_lost = callback
            if self.is_lost:
                callback()

    def check(self) -> None:
        """Raises LockLostError when the lock is lost.  For work that polls."""
        if self.is_lost:
            raise self.lost_error()

    def lost_error(self) -> LockLostError:
        """Returns the error that says that the lock is lost."""
        return LockLostError(
            f"store {self._store.url}: another process has taken over the run {self._run_id!r}, because this process"
            " sent no heartbeat. Finished episodes are stored; let the other process do the rest, or start the command"
            " again when it is done"
        )

    def report_accounts(self, accounts: tuple[AccountState, ...]) -> None:
        """Stores the state of the accounts with the next heartbeat."""
        with self._mutex:
            self._accounts, self._reported_at = accounts, self._heartbeat.clock()

    def report_activity(self, activity: RunActivity | None) -> None:
        """Stores what this process is doing with the next heartbeat; None when it plays no longer."""
        with self._mutex:
            self._activity = activity

    def add_link(self, name: str, url: str) -> None:
        """Stores the address of another page that shows the run with the next heartbeat."""
        with self._mutex:
            self._record = replace(self._record, links={**self._record.links, name: url})

    def release(self) -> None:
        """Releases the lock.  Errors of the store are ignored, because a lock without heartbeats expires."""
        self._released.set()
        self._thread.join()
        if not self.is_lost:
            try:
                self._write(replace(self._record, owner=None, accounts=(), links={}, activity=None))
            except StoreError:
                return

    def _send_heartbeats(self) -> None:
        while not self._released.wait(self._heartbeat.interval_s):
            try:
                is_ours = self._write(self._next_record())
            except StoreError:
                continue  # the store may respond at the next heartbeat; until then no other driver reaches it either
            if not is_ours:
                with self._mutex:
                    self._lost.set()
                    self._on_lost()
                return

    def _next_record(self) -> LockRecord:
        """Returns the record with the next heartbeat and the latest status."""
        with self._mutex:
            is_recent = self._heartbeat.clock() - self._reported_at < _ACCOUNTS_VALID_S
            accounts = self._accounts if is_recent else ()
            return replace(self._record, beat=self._record.beat + 1, accounts=accounts, activity=self._activity)

    def _write(self, record: LockRecord) -> bool:
        """Writes the lock object.  Returns False when the lock is no longer ours."""
        key, written = lock_key(self._run_id), False
        while not written:
            found = _read(self._store, self._run_id)
            there = None if found is None else LockRecord.from_json(found.data)
            if found is None:  # somebody deleted the object: the lock is ours unless another process is faster
                written = self._store.put_if_absent(key, record.to_json())
            elif there is not None and there.owner == self._record.owner:
                record = replace(record, wish=None if record.owner is None else there.wish)
                written = self._store.replace(key, record.to_json(), found.tag)
            else:
                return False
        with self._mutex:
            self._record = replace(record, links=self._record.links)
        return True


@contextmanager
def hold_run_lock(
    store: ObjectStore, run_id: str, work: str, heartbeat: HeartbeatTiming = HEARTBEAT
) -> Iterator[RunLock]:
    """Holds the lock of a run until the end of the block.

    Raises:
        RunLockedError: a live process holds the lock; the message names it.
    """
    lock = acquire_run_lock(store, run_id, work, heartbeat)
    try:
        yield lock
    finally:
        lock.release()


def acquire_run_lock(store: ObjectStore, run_id: str, work: str, heartbeat: HeartbeatTiming = HEARTBEAT) -> RunLock:
    """Acquires the lock of a run; waits for the heartbeat timeout when the holder may be dead.

    Raises:
        RunLockedError: a live process holds the lock; the message names it.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    ours = LockRecord(owner=secrets.token_hex(8), work=work, process=ProcessIdentity.this(), since=now, beat=0)
    key, namespace, first = lock_key(run_id), pid_namespace(), _read(store, run_id)
    first_seen_at = heartbeat.clock()
    while True:
        found = _read(store, run_id)
        record = None if found is None else LockRecord.from_json(found.data)
        if found is None:
            acquired = store.put_if_absent(key, ours.to_json())
        elif record is None or record.owner is None or record.process.has_ended(namespace):  # released, dead or garbage
            acquired = store.replace(key, ours.to_json(), found.tag)
        elif first is None or _sign_of_life(found) != _sign_of_life(first):  # it changed, so its holder is alive
            raise _locked_error(store, run_id, record, work)
        elif heartbeat.clock() - first_seen_at >= heartbeat.timeout_s:
            acquired = store.replace(key, ours.to_json(), found.tag)
        else:
            acquired = False
            heartbeat.sleep(_POLL_S)
        if acquired:
            return RunLock(store, run_id, ours, heartbeat)


def _read(store: ObjectStore, run_id: str) -> VersionedObject | None:
    try:
        return store.read(lock_key(run_id))
    except MissingObjectError:
        return None


def _sign_of_life(found: VersionedObject) -> tuple[str | None, int] | None:
    """Returns what a live holder changes; None when the object is not a lock record.  Others may write its wish."""
    record = LockRecord.from_json(found.data)
    return None if record is None else (record.owner, record.beat)


def _locked_error(store: ObjectStore, run_id: str, record: LockRecord, work: str) -> RunLockedError:
    return RunLockedError(
        f"store {store.url}: the run {run_id!r} is held by `{record.work}` on {record.process.host} (process"
        f" {record.process.pid}, since {record.since}); wait until it is done, or stop it",
        same_work=record.work == work,
    )
