"""What pages read: the store's tables, remembered until the store changes.

One shelf serves many requests from several threads.  What took long, the views over the store among it, is kept under
its name as long as the store's objects are the same; what is of one run, as long as those of this run are, so that a
run that is being played costs the others nothing.  Who asks for what somebody else is making waits for it.  Damaged
objects are read past; :meth:`Shelf.lost` names them.
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
from muses_eval.storage.objects.inventory import classify
from muses_eval.storage.objects.object_keys import CLAIMS, RESCORED, RUNS, SEALED, TRACES, parse_claim_key
from muses_eval.storage.objects.object_store import MissingObjectError
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.query.duckdb_connection import connect, connect_to
from muses_eval.storage.query.lost_objects import Lost
from muses_eval.storage.query.resilient_query import answer
from muses_eval.storage.query.store_snapshot import read_sources
from muses_eval.storage.runs.account_state import AccountState
from muses_eval.storage.runs.manifest import NoSuchRunError, RunManifest, UnreadableManifestError, readable_manifests
from muses_eval.storage.runs.run_lock import Claim

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

T = TypeVar("T")
Name = tuple[object, ...]

LOOK_AGAIN_S = 5.0
"""How long the store is taken to be unchanged."""
MOST_KEPT = 500
"""Results that are remembered at a time; the one that was asked for longest ago goes first."""
_PARTS = (RUNS, TRACES, SEALED, RESCORED)
_LINK_SCHEMES = ("http://", "https://")


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run as the pages list it."""

    run_id: str
    state: str
    created_at: datetime
    """UTC."""
    dataset: str
    users: str
    planned: int
    models: tuple[str, ...]
    """Planned ones, sorted."""
    manifest: RunManifest = field(compare=False)

    @classmethod
    def of(cls, manifest: RunManifest) -> "RunLine":
        """What its manifest says."""
        return cls(
            run_id=manifest.run_id,
            state=manifest.state,
            created_at=manifest.created_at,
            dataset=manifest.dataset,
            users=manifest.users,
            planned=sum(manifest.planned.values()),
            models=tuple(sorted({model for model, _ in manifest.planned})),
            manifest=manifest,
        )


@dataclass(frozen=True, slots=True)
class Work:
    """A run that somebody has claimed."""

    run_id: str
    command: str
    host: str
    since: str
    still_s: float
    """How long its holder has given no sign of life, as far as this server has watched."""
    accounts: tuple[AccountState, ...] = ()
    """How the accounts stand that it calls; none while it calls none, or says nothing."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Name -> address of its pages elsewhere, by http or https."""


class _Key(NamedTuple):
    """Key of a remembered value."""

    run_id: str | None
    """None: of the whole store."""
    version: str
    name: Name


class Shelf:
    """The tables of one store.

    Args:
        store_url: which one.
        clock: seconds, for how old a look at the store is.
    """

    def __init__(self, store_url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.store_url = store_url
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._versions: Mapping[str | None, str] = {}
        self._kept: dict[_Key, Any] = {}
        self._being_made: dict[_Key, threading.Lock] = {}
        self._beats: dict[str, tuple[tuple[str, int], float]] = {}

    def ask(self, question: "Callable[[DuckDBPyConnection], T]", run_id: str | None = None) -> T:
        """What *question* returns, asked over the store or over one run of it; it may be asked more than once.

        Raises:
            StoreError: the store cannot be read.
        """
        try:
            views = self.remember(("connection",), lambda: connect(self.store_url, run_id), run_id)
            with views.cursor() as connection:  # of the same database: listing the store once is enough
                return question(connection)
        except (duckdb.Error, UnicodeDecodeError, UnreadableManifestError):
            return self._ask_past_damage(question, run_id)

    def lost(self, run_id: str | None = None) -> tuple[str, ...]:
        """The damaged objects that answers on this run, or on the whole store, have been without so far."""
        with self._lock:
            return cast("tuple[str, ...]", self._kept.get(_Key(run_id, self._versions.get(run_id, ""), ("lost",)), ()))

    def remember(self, name: Name, make: Callable[[], T], run_id: str | None = None) -> T:
        """What *make* returns, made once for each state of the store, or of one run; *name* says what it is."""
        key = _Key(run_id, self.version(run_id), name)
        found = self._found(key)
        if found is None:
            with self._alone(key):
                found = self._found(key)
                if found is None:
                    found = (make(),)
                    self._keep(key, *found)
        return cast("T", found[0])

    def recall(self, name: Name, run_id: str | None = None) -> Any:  # noqa: ANN401 - whatever was remembered
        """What is remembered under this name; None: nothing."""
        found = self._found(_Key(run_id, self.version(run_id), name))
        return None if found is None else found[0]

    def version(self, run_id: str | None = None) -> str:
        """Changes when an object comes or goes; that of a run, when one of its own does."""
        with self._lock:
            if self._clock() - self._looked_at < LOOK_AGAIN_S:
                return self._versions.get(run_id, "")
        found = self._look()
        with self._lock:
            self._versions, self._looked_at = found, self._clock()
            return found.get(run_id, "")

    def _look(self) -> Mapping[str | None, str]:
        """The versions of all runs, and of the whole store."""
        store, objects = open_store(self.store_url), defaultdict[str | None, list[tuple[str, int]]](list)
        for part in _PARTS:
            for info in store.list(part):
                objects[classify(info).run_id].append((info.key, info.size))
        versions: dict[str | None, str] = {run_id: digest(found) for run_id, found in objects.items()}
        return {**versions, None: digest(sorted((run_id or "", found) for run_id, found in versions.items()))}

    def _found(self, key: "_Key") -> tuple[Any] | None:
        """What is kept, as a tuple, since it may be None itself."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept[key] = value = self._kept.pop(key)  # the last that was asked for
            return (value,)

    @contextmanager
    def _alone(self, key: "_Key") -> Iterator[None]:
        with self._lock:
            lock = self._being_made.setdefault(key, threading.Lock())
        try:
            with lock:
                yield
        finally:
            with self._lock:
                self._being_made.pop(key, None)

    def _keep(self, key: "_Key", value: object) -> None:
        with self._lock:
            current = [(old, kept) for old, kept in self._kept.items() if old != key and self._is_current(old)]
            self._kept = dict([*current[-MOST_KEPT + 1 :], (key, value)])

    def _is_current(self, key: "_Key") -> bool:
        return key.version == self._versions.get(key.run_id, "")

    def _ask_past_damage(self, question: "Callable[[DuckDBPyConnection], T]", run_id: str | None) -> T:
        """As :meth:`ask`; finds out what is damaged, so that the next questions do without it."""
        version = self.version(run_id)
        try:
            found = answer(self.store_url, question, run_id)
        except duckdb.Error as error:
            reason = str(error).partition("\n")[0]
            raise StoreError(f"store {self.store_url}: {reason}; `muses store verify` says what is damaged") from error
        if found.lost:
            store = open_store(self.store_url)
            sources = read_sources(store, run_id, [each.key for each in found.lost])
            self._keep(_Key(run_id, version, ("connection",)), connect_to(store, sources))
            self._keep(_Key(run_id, version, ("lost",)), tuple(map(str, found.lost)))
        return found.value

    def works(self) -> list[Work]:
        """Returns the runs in progress; never cached."""
        store, now, found = open_store(self.store_url), self._clock(), []
        for info in store.list(CLAIMS):
            run_id = parse_claim_key(info.key)
            try:
                claim = None if run_id is None else Claim.from_json(store.get(info.key))
            except MissingObjectError:
                continue
            if run_id is None or claim is None or claim.owner is None:
                continue
            with self._lock:
                before, since = self._beats.get(run_id, (None, now))
                since = since if before == (claim.owner, claim.beat) else now
                self._beats[run_id] = ((claim.owner, claim.beat), since)
            links = {name: url for name, url in claim.links.items() if url.startswith(_LINK_SCHEMES)}
            found.append(Work(run_id, claim.work, claim.process.host, claim.since, now - since, claim.accounts, links))
        return found

    def runs(self) -> tuple[RunLine, ...]:
        """All runs, the newest first."""
        return self.remember(("runs",), self._runs)

    def run(self, run_id: str) -> RunLine:
        """One run.  Raises NoSuchPageError."""
        for run in self.runs():
            if run.run_id == run_id:
                return run
        there = sorted(run.run_id for run in self.runs())
        raise NoSuchPageError(str(NoSuchRunError(self.store_url, run_id, there)))

    def _runs(self) -> tuple[RunLine, ...]:
        oldest_first, unreadable = readable_manifests(open_store(self.store_url))
        if unreadable:
            lost = tuple(str(Lost(error.key, error.problem)) for error in unreadable)
            self._keep(_Key(None, self.version(None), ("lost",)), lost)
        return tuple(RunLine.of(manifest) for manifest in reversed(oldest_first))
