"""What pages read: the store's tables, remembered until the store changes.

One shelf serves many requests from several threads.  What took long, the views over the store among it, is kept under
its name as long as the store's objects are the same.  Damaged objects are read past; :meth:`Shelf.lost` names them.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

import duckdb

from pipeline.errors import StoreError
from pipeline.hashing import digest
from storage.answer import answer
from storage.claims import Claim
from storage.layout import CLAIMS, RUNS, parse_claim_key
from storage.objects import MissingObjectError, open_store
from storage.sources import read_sources
from storage.sql import connect, connect_to

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

T = TypeVar("T")

LOOK_AGAIN_S = 5.0
"""How long the store is taken to be unchanged."""
MOST_KEPT = 500
"""Results that are remembered at a time; the one that was asked for longest ago goes first."""
_PARTS = (RUNS, "traces/", "sealed/", "rescored/")


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


@dataclass(frozen=True, slots=True)
class Work:
    """A run that somebody has claimed."""

    run_id: str
    command: str
    host: str
    since: str
    still_s: float
    """How long its holder has given no sign of life, as far as this server has watched."""


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
        self._version = ""
        self._kept: dict[tuple[object, ...], Any] = {}
        self._beats: dict[str, tuple[Claim, float]] = {}

    def ask(self, question: "Callable[[DuckDBPyConnection], T]", run_id: str | None = None) -> T:
        """What *question* returns, asked over the store or over one run of it; it may be asked more than once.

        Raises:
            StoreError: the store cannot be read.
        """
        views = self.remember(("views", run_id), lambda: connect(self.store_url, run_id))
        try:
            with views.cursor() as connection:  # of the same database: listing the store once is enough
                return question(connection)
        except duckdb.Error:
            return self._ask_past_damage(question, run_id)

    def lost(self, run_id: str | None = None) -> tuple[str, ...]:
        """The damaged objects that answers on this run, or on the whole store, have been without so far."""
        with self._lock:
            return cast("tuple[str, ...]", self._kept.get((self._version, "lost", run_id), ()))

    def remember(self, name: tuple[object, ...], make: Callable[[], T]) -> T:
        """What *make* returns, made once for each state of the store; *name* says what it is."""
        version = self.version()
        with self._lock, suppress(KeyError):
            found = self._kept.pop((version, *name))
            self._kept[version, *name] = found  # the last that was asked for
            return cast("T", found)
        made = make()
        self._keep(version, name, made)
        return made

    def recall(self, name: tuple[object, ...]) -> Any:  # noqa: ANN401 - whatever was remembered
        """What is remembered under this name; None: nothing."""
        return self._kept.get((self.version(), *name))

    def version(self) -> str:
        """Changes when an object comes or goes."""
        with self._lock:
            if self._clock() - self._looked_at < LOOK_AGAIN_S:
                return self._version
        store = open_store(self.store_url)
        found = digest([(info.key, info.size) for part in _PARTS for info in store.list(part)])
        with self._lock:
            self._version, self._looked_at = found, self._clock()
        return found

    def _keep(self, version: str, name: tuple[object, ...], value: object) -> None:
        with self._lock:
            kept = [(key, old) for key, old in self._kept.items() if key[0] == version and key[1:] != name]
            self._kept = dict([*kept[-MOST_KEPT + 1 :], ((version, *name), value)])

    def _ask_past_damage(self, question: "Callable[[DuckDBPyConnection], T]", run_id: str | None) -> T:
        """As :meth:`ask`; finds out what is damaged, so that the next questions do without it."""
        version = self.version()
        try:
            found = answer(self.store_url, question, run_id)
        except duckdb.Error as error:
            reason = str(error).partition("\n")[0]
            raise StoreError(f"store {self.store_url}: {reason}; `muses store verify` says what is damaged") from error
        if found.lost:
            store = open_store(self.store_url)
            sources = read_sources(store, run_id, [each.key for each in found.lost])
            self._keep(version, ("views", run_id), connect_to(store, sources))
            self._keep(version, ("lost", run_id), tuple(map(str, found.lost)))
        return found.value

    def works(self) -> list[Work]:
        """Who works on what now; never remembered."""
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
                since = since if before == claim else now
                self._beats[run_id] = (claim, since)
            found.append(Work(run_id, claim.work, claim.process.host, claim.since, now - since))
        return found

    def runs(self) -> tuple[RunLine, ...]:
        """All runs, the newest first."""
        return self.remember(("runs",), self._runs)

    def _runs(self) -> tuple[RunLine, ...]:
        query = """
            SELECT run_id, state, created_at, dataset, users, list_sum(list_transform(planned, lambda p: p.episodes))
            FROM runs ORDER BY created_at DESC, run_id DESC
        """
        found = self.ask(lambda connection: connection.execute(query).fetchall())
        return tuple(
            RunLine(run_id, state, created_at, dataset, users, int(planned or 0))
            for run_id, state, created_at, dataset, users, planned in found
        )
