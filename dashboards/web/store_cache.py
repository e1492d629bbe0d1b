"""Query results and DuckDB connections of one store, cached until the store changes.

One cache serves many requests from several threads.  An entry is valid as long as the set of objects that it depends on
is the same: those of the whole store, or those of one run, so that a run in progress does not invalidate the entries of
other runs.  Concurrent requests for the same entry compute it once.  Damaged objects are skipped;
:meth:`StoreCache.lost` lists them.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import duckdb
from muses_eval.dashboards.web.page import NoSuchPageError
from muses_eval.pipeline.errors import StoreError
from muses_eval.pipeline.hashing import digest
from muses_eval.pipeline.protocols import ProtocolName
from muses_eval.storage.objects.inventory import classify
from muses_eval.storage.objects.object_keys import LOCKS, RESCORED, RUNS, SEALED, TRACES, parse_lock_key
from muses_eval.storage.objects.object_store import MissingObjectError
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.objects.s3_store import S3Store
from muses_eval.storage.query.duckdb_connection import connect_to, connect_to_store, renew_keys
from muses_eval.storage.query.lost_objects import LostObject
from muses_eval.storage.query.resilient_query import resilient_query
from muses_eval.storage.query.store_snapshot import read_snapshot
from muses_eval.storage.runs.account_state import AccountState
from muses_eval.storage.runs.manifest import NoSuchRunError, RunManifest, UnreadableManifestError, readable_manifests
from muses_eval.storage.runs.run_activity import RunActivity
from muses_eval.storage.runs.run_lock import LockRecord, Wish

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

T = TypeVar("T")
Name = tuple[object, ...]
"""Name of an entry within its scope: a run, or the whole store."""

REFRESH_INTERVAL_S = 5.0
"""Seconds between two listings of the store."""
MAX_ENTRIES = 500
"""Maximum number of cached entries; the least recently used one is evicted first."""
_PARTS = (RUNS, TRACES, SEALED, RESCORED)
_LINK_SCHEMES = ("http://", "https://")


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run, as the pages list it."""

    run_id: str
    state: str
    created_at: datetime
    """UTC."""
    dataset: str
    users: str
    protocol: ProtocolName
    planned: int
    models: tuple[str, ...]
    """Names of the planned models, sorted; a model with an agent has a name of its own."""
    has_agents: bool
    """True when the run evaluates agents other than the models alone."""
    manifest: RunManifest = field(compare=False)

    @property
    def builtin(self) -> frozenset[str]:
        """Names of the run's built-in agents."""
        identities = self.manifest.models.items()
        return frozenset(name for name, identity in identities if identity.get("provider") == "scripted")

    @classmethod
    def of(cls, manifest: RunManifest) -> "RunSummary":
        """Summarizes the run's manifest."""
        return cls(
            run_id=manifest.run_id,
            state=manifest.state,
            created_at=manifest.created_at,
            dataset=manifest.dataset,
            users=manifest.users,
            protocol=manifest.protocol,
            planned=sum(manifest.planned.values()),
            models=tuple(sorted({model for model, _ in manifest.planned})),
            has_agents=manifest.has_agents,
            manifest=manifest,
        )


@dataclass(frozen=True, slots=True)
class RunInProgress:
    """A run whose lock is held."""

    run_id: str
    command: str
    host: str
    since: str
    silent_s: float
    """Seconds since the last change of the holder's heartbeat that this process observed."""
    accounts: tuple[AccountState, ...] = ()
    """State of the provider accounts that the run calls, as its holder reports it."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Name -> http or https URL of a page about the run in another tool."""
    activity: RunActivity | None = None
    """What its holder is doing; None when it plays no episodes, such as while its executor starts."""
    wish: Wish | None = None
    """What a person has asked of the holder; None: to play."""


class _Key(NamedTuple):
    """Key of a cached entry."""

    run_id: str | None
    """The run that the entry depends on; None for the whole store."""
    version: str
    name: Name


class StoreCache:
    """Cached queries over one store.

    Args:
        store_url: URL of the store.
        clock: monotonic clock, in seconds.
    """

    def __init__(self, store_url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.store_url = store_url
        self._store = open_store(store_url)  # once, since its client looks for credentials when it is opened
        self._clock = clock
        self._lock = threading.Lock()
        self._renewing = threading.Lock()
        self._listed_at = float("-inf")
        self._versions: Mapping[str | None, str] = {}
        self._entries: dict[_Key, Any] = {}
        self._in_flight: dict[_Key, threading.Lock] = {}
        self._heartbeats: dict[str, tuple[tuple[str, int], float]] = {}

    def query(self, read: "Callable[[DuckDBPyConnection], T]", run_id: str | None = None) -> T:
        """Returns the result of *read*, called with a connection to the whole store or to one run.

        *read* may be called more than once.

        Raises:
            StoreError: the store cannot be read.
        """
        try:
            views = self.get_or_compute(("connection",), lambda: connect_to_store(self._store, run_id), run_id)
            try:
                with views.cursor() as connection:  # to the same database, so the store is listed once
                    return read(connection)
            except duckdb.IOException:
                if not isinstance(self._store, S3Store):
                    raise
                with views.cursor() as connection:
                    with self._renewing:
                        renew_keys(connection, self._store)  # they may have expired since the connection was opened
                    return read(connection)
        except (duckdb.Error, UnicodeDecodeError, UnreadableManifestError):
            return self._query_past_damage(read, run_id)

    def lost(self, run_id: str | None = None) -> tuple[str, ...]:
        """Returns the damaged objects that queries of this run, or of the whole store, have skipped so far."""
        with self._lock:
            return cast(
                "tuple[str, ...]", self._entries.get(_Key(run_id, self._versions.get(run_id, ""), ("lost",)), ())
            )

    def get_or_compute(self, name: Name, compute: Callable[[], T], run_id: str | None = None) -> T:
        """Returns the entry *name*, computed once for each version of the store, or of one run."""
        key = _Key(run_id, self.version(run_id), name)
        found = self._lookup(key)
        if found is None:
            with self._computing(key):
                found = self._lookup(key)
                if found is None:
                    found = (compute(),)
                    self._put(key, *found)
        return cast("T", found[0])

    def get(self, name: Name, run_id: str | None = None) -> Any:  # noqa: ANN401 - any entry
        """Returns the entry *name*; None when it is not cached."""
        found = self._lookup(_Key(run_id, self.version(run_id), name))
        return None if found is None else found[0]

    def version(self, run_id: str | None = None) -> str:
        """Returns a digest of the keys and sizes of the store's objects, or of those of one run."""
        with self._lock:
            if self._clock() - self._listed_at < REFRESH_INTERVAL_S:
                return self._versions.get(run_id, "")
        found = self._list_versions()
        with self._lock:
            self._versions, self._listed_at = found, self._clock()
            return found.get(run_id, "")

    def _list_versions(self) -> Mapping[str | None, str]:
        """Returns run -> version; None stands for the whole store."""
        store, objects = self._store, defaultdict[str | None, list[tuple[str, int]]](list)
        for part in _PARTS:
            for info in store.list(part):
                objects[classify(info).run_id].append((info.key, info.size))
        versions: dict[str | None, str] = {run_id: digest(found) for run_id, found in objects.items()}
        return {**versions, None: digest(sorted((run_id or "", found) for run_id, found in versions.items()))}

    def _lookup(self, key: "_Key") -> tuple[Any] | None:
        """Returns the entry as a tuple of one, since its value may be None."""
        with self._lock:
            if key not in self._entries:
                return None
            self._entries[key] = value = self._entries.pop(key)  # now the most recently used
            return (value,)

    @contextmanager
    def _computing(self, key: "_Key") -> Iterator[None]:
        with self._lock:
            lock = self._in_flight.setdefault(key, threading.Lock())
        try:
            with lock:
                yield
        finally:
            with self._lock:
                self._in_flight.pop(key, None)

    def _put(self, key: "_Key", value: object) -> None:
        with self._lock:
            current = [(old, cached) for old, cached in self._entries.items() if old != key and self._is_current(old)]
            self._entries = dict([*current[-MAX_ENTRIES + 1 :], (key, value)])

    def _is_current(self, key: "_Key") -> bool:
        return key.version == self._versions.get(key.run_id, "")

    def _query_past_damage(self, read: "Callable[[DuckDBPyConnection], T]", run_id: str | None) -> T:
        """As :meth:`query`; finds the damaged objects, so that later queries skip them."""
        version = self.version(run_id)
        try:
            found = resilient_query(self.store_url, read, run_id)
        except duckdb.Error as error:
            reason = str(error).partition("\n")[0]
            raise StoreError(
                f"store {self.store_url}: {reason}; `muses store verify` lists the damaged objects"
            ) from error
        if found.lost:
            store = self._store
            sources = read_snapshot(store, run_id, [each.key for each in found.lost])
            self._put(_Key(run_id, version, ("connection",)), connect_to(store, sources))
            self._put(_Key(run_id, version, ("lost",)), tuple(map(str, found.lost)))
        return found.value

    def runs_in_progress(self) -> list[RunInProgress]:
        """Returns the runs whose lock is held; never cached."""
        store, now, found = self._store, self._clock(), []
        for info in store.list(LOCKS):
            run_id = parse_lock_key(info.key)
            try:
                record = None if run_id is None else LockRecord.from_json(store.get(info.key))
            except MissingObjectError:
                continue
            if run_id is None or record is None or record.owner is None:
                continue
            with self._lock:
                before, since = self._heartbeats.get(run_id, (None, now))
                since = since if before == (record.owner, record.beat) else now
                self._heartbeats[run_id] = ((record.owner, record.beat), since)
            links = {name: url for name, url in record.links.items() if url.startswith(_LINK_SCHEMES)}
            found.append(
                RunInProgress(
                    run_id=run_id,
                    command=record.work,
                    host=record.process.host,
                    since=record.since,
                    silent_s=now - since,
                    accounts=record.accounts,
                    links=links,
                    activity=record.activity,
                    wish=record.wish,
                )
            )
        return found

    def runs(self) -> tuple[RunSummary, ...]:
        """Returns all runs, newest first."""
        return self.get_or_compute(("runs",), self._runs)

    def run(self, run_id: str) -> RunSummary:
        """Returns one run.

        Raises:
            NoSuchPageError: the store has no such run.
        """
        for run in self.runs():
            if run.run_id == run_id:
                return run
        existing = sorted(run.run_id for run in self.runs())
        raise NoSuchPageError(str(NoSuchRunError(self.store_url, run_id, existing)))

    def _runs(self) -> tuple[RunSummary, ...]:
        oldest_first, unreadable = readable_manifests(self._store)
        if unreadable:
            lost = tuple(str(LostObject(error.key, error.problem)) for error in unreadable)
            self._put(_Key(None, self.version(None), ("lost",)), lost)
        return tuple(RunSummary.of(manifest) for manifest in reversed(oldest_first))
