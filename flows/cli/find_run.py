"""Finds a run by its id, and queries one run or all runs of a store."""

import sys
from typing import TYPE_CHECKING, TypeVar

from muses_eval.pipeline.errors import MusesError, StoreError
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.manifest import NoSuchRunError, RunManifest, find_manifest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from duckdb import DuckDBPyConnection
    from muses_eval.storage.query.lost_objects import LostObject
    from muses_eval.storage.query.resilient_query import Query

T = TypeVar("T")


def find_run(store_url: str, run_id: str) -> RunManifest:
    """Returns the manifest of a run.

    Raises:
        NoSuchRunError: the run does not exist; the message names runs with similar ids.
    """
    return find_manifest(open_store(store_url), run_id)


def query_store(store_url: str, question: "Query[T]", run_id: str | None = None) -> T:
    """Returns the result of a query of one run, or of all runs; damaged objects are skipped and named on stderr.

    Raises:
        StoreError: the store cannot be read.
    """
    import duckdb
    from muses_eval.storage.query.resilient_query import resilient_query

    try:
        found = resilient_query(store_url, question, run_id)
    except duckdb.Error as error:
        raise StoreError(f"store {store_url}: cannot be read: {error}") from error
    _print_lost(found.lost)
    return found.value


def query_runs(store_url: str, question: "Query[T]", run_id: str | None = None) -> T:
    """Returns the result of a query that needs at least one run; errors of the query itself are raised unchanged.

    Raises:
        MusesError: the store has no such run, or no run that can be read.
    """
    from muses_eval.storage.query.resilient_query import resilient_query
    from muses_eval.storage.runs.newest_run import newest_run

    def ask(connection: "DuckDBPyConnection") -> tuple[T] | None:
        return None if newest_run(connection) is None else (question(connection),)

    found = resilient_query(store_url, ask, run_id)
    _print_lost(found.lost)
    if found.value is not None:
        return found.value[0]
    if run_id is not None:
        find_run(store_url, run_id)
    if found.lost:
        raise MusesError(f"no run in the store {store_url} can be read")
    raise NoSuchRunError(store_url)


def _print_lost(lost: "Iterable[LostObject]") -> None:
    for each in lost:
        print(f"muses: damaged and left out: {each}", file=sys.stderr)  # noqa: T201 - the command line talks
