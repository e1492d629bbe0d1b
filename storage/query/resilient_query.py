"""Questions that are answered from what can be read, and say what could not be.

A store is read while others seal and delete, and objects may be damaged.  Normal queries pay nothing for this:
only when a query fails are the objects looked at, all of them.  What is damaged is left out and named, what has been
sealed in the meantime is read where it lies now, and the question is asked again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import duckdb
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.query.duckdb_connection import connect_to
from muses_eval.storage.query.lost_objects import Lost, find_lost
from muses_eval.storage.query.store_snapshot import Sources, read_sources
from muses_eval.storage.runs.manifest import UnreadableManifestError

T = TypeVar("T")
Question = Callable[[duckdb.DuckDBPyConnection], T]

_TRIES = 4
_UNREADABLE = (
    duckdb.IOException,  # cut off, not Parquet, gone
    duckdb.HTTPException,
    duckdb.InvalidInputException,
    duckdb.SerializationException,
    duckdb.ConversionException,  # columns of another kind
    duckdb.InternalException,
    UnicodeDecodeError,  # a text in the result that is none
)
"""What damaged or vanished objects are noticed by.  Other errors are the query's own."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What came of a question."""

    value: T
    lost: tuple[Lost, ...]
    """What the answer is without."""


def answer(
    store_url: str,
    question: Question[T],
    run_id: str | None = None,
    opener: Callable[[ObjectStore, Sources], duckdb.DuckDBPyConnection] = connect_to,
) -> Answer[T]:
    """Asks over a store, or over one run of it.  *question* may be called again, over another connection.

    Raises:
        StoreError: the store cannot be read, or holds an object of a newer version, or the manifest of *run_id* does.
        duckdb.Error: the query fails for a reason of its own.
    """
    store = open_store(store_url)
    lost: tuple[Lost, ...] = ()
    tries = 0
    while True:
        try:
            sources = read_sources(store, run_id, [each.key for each in lost])
        except UnreadableManifestError as error:
            if run_id is not None:
                raise
            lost = (*lost, Lost(error.key, error.problem))
            continue
        try:
            with opener(store, sources) as connection:
                return Answer(question(connection), lost)
        except (duckdb.Error, UnicodeDecodeError) as error:
            # What DuckDB's Parquet reader cannot decode is an error of no kind.
            if not isinstance(error, _UNREADABLE) and type(error) is not duckdb.Error:
                raise
            tries += 1
            now = read_sources(store, run_id, [each.key for each in lost])
            found = find_lost(store, now)
            if tries == _TRIES or (not found and now.keys == sources.keys):
                raise
        lost = (*lost, *found)
