"""Queries that read past damaged objects and name them.

Other processes compact and delete while a store is read, and objects may be damaged.  A query that succeeds costs
nothing extra.  When a query fails, all objects are checked: damaged ones are left out and reported, objects that were
compacted in the meantime are read from where they are now, and the query runs again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import duckdb
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.query.duckdb_connection import connect_to
from muses_eval.storage.query.lost_objects import LostObject, find_lost_objects
from muses_eval.storage.query.store_snapshot import StoreSnapshot, read_snapshot
from muses_eval.storage.runs.manifest import UnreadableManifestError

T = TypeVar("T")
Query = Callable[[duckdb.DuckDBPyConnection], T]

_MAX_ATTEMPTS = 4
_READ_ERRORS = (
    duckdb.IOException,  # truncated, not Parquet, deleted
    duckdb.HTTPException,
    duckdb.InvalidInputException,
    duckdb.SerializationException,
    duckdb.ConversionException,  # columns of another type
    duckdb.InternalException,
    UnicodeDecodeError,  # a text in the result that is not UTF-8
)
"""Errors that a damaged or deleted object can cause.  Other errors are caused by the query itself."""


@dataclass(frozen=True, slots=True)
class QueryResult(Generic[T]):
    """The result of a query, and the objects that it does not include."""

    value: T
    lost: tuple[LostObject, ...]
    """Damaged objects that were left out."""


def resilient_query(
    store_url: str,
    query: Query[T],
    run_id: str | None = None,
    opener: Callable[[ObjectStore, StoreSnapshot], duckdb.DuckDBPyConnection] = connect_to,
) -> QueryResult[T]:
    """Runs a query over a store, or over one run of it.

    *query* may be called several times, each time with a new connection.

    Raises:
        StoreError: the store cannot be read, or an object in it, or the manifest of *run_id*, has a newer version.
        duckdb.Error: the query itself is wrong.
    """
    store = open_store(store_url)
    lost: tuple[LostObject, ...] = ()
    attempts = 0
    while True:
        try:
            snapshot = read_snapshot(store, run_id, [each.key for each in lost])
        except UnreadableManifestError as error:
            if run_id is not None:
                raise
            lost = (*lost, LostObject(error.key, error.problem))
            continue
        try:
            with opener(store, snapshot) as connection:
                return QueryResult(query(connection), lost)
        except (duckdb.Error, UnicodeDecodeError) as error:
            # DuckDB's Parquet reader raises the base class for what it cannot decode.
            if not isinstance(error, _READ_ERRORS) and type(error) is not duckdb.Error:
                raise
            attempts += 1
            now = read_snapshot(store, run_id, [each.key for each in lost])
            found = find_lost_objects(store, now)
            if attempts == _MAX_ATTEMPTS or (not found and now.keys == snapshot.keys):
                raise
        lost = (*lost, *found)
