"""Finds the run that a user names, and queries a store; damaged objects are named on stderr."""

import sys
from typing import TYPE_CHECKING, TypeVar

from muses_eval.pipeline.errors import StoreError
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.manifest import RunManifest, find_manifest
from muses_eval.storage.runs.resolve_run import resolve_run

if TYPE_CHECKING:
    from muses_eval.storage.query.lost_objects import LostObject
    from muses_eval.storage.query.resilient_query import Query

T = TypeVar("T")


def find_run(store_url: str, wanted: str) -> RunManifest:
    """Returns the manifest of a run.

    *wanted*: an id, the beginning of one, or a run's name.

    Raises:
        NoSuchRunError: the run does not exist; the message names runs with similar ids.
        AmbiguousRunError: several runs have this name, or ids that begin with it.
    """
    store = open_store(store_url)
    return find_manifest(store, resolve_run(store, wanted))


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
    for lost in found.lost:
        print_lost(lost)
    return found.value


def print_lost(lost: "LostObject") -> None:
    """Names a damaged object on stderr."""
    print(f"muses: damaged and left out: {lost}", file=sys.stderr)  # noqa: T201 - the command line talks
