"""What pages read: the store's tables, remembered until the store changes.

One shelf serves many requests from several threads.  What took long, the views over the store among it, is kept under
its name as long as the store's objects are the same.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pipeline.hashing import digest
from storage.layout import RUNS
from storage.objects import open_store
from storage.sql import connect

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

T = TypeVar("T")

LOOK_AGAIN_S = 5.0
"""How long the store is taken to be unchanged."""
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

    @contextmanager
    def connection(self, run_id: str | None = None) -> "Iterator[DuckDBPyConnection]":
        """A connection of one page's own, over the store or one run of it.

        Raises:
            StoreError: the store cannot be read.
        """
        views = self.remember(("connection", run_id), lambda: connect(self.store_url, run_id))
        with views.cursor() as connection:  # of the same database: listing the store once is enough
            yield connection

    def remember(self, name: tuple[object, ...], make: Callable[[], T]) -> T:
        """What *make* returns, made once for each state of the store; *name* says what it is."""
        key = (self.version(), *name)
        with self._lock:
            if key in self._kept:
                return cast("T", self._kept[key])
        made = make()
        with self._lock:
            self._kept = {kept: value for kept, value in self._kept.items() if kept[0] == key[0]}
            self._kept[key] = made
        return made

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

    def runs(self) -> tuple[RunLine, ...]:
        """All runs, the newest first."""
        return self.remember(("runs",), self._runs)

    def _runs(self) -> tuple[RunLine, ...]:
        query = """
            SELECT run_id, state, created_at, dataset, users, list_sum(list_transform(planned, lambda p: p.episodes))
            FROM runs ORDER BY created_at DESC, run_id DESC
        """
        with self.connection() as connection:
            return tuple(
                RunLine(run_id, state, created_at, dataset, users, int(planned or 0))
                for run_id, state, created_at, dataset, users, planned in connection.execute(query).fetchall()
            )
