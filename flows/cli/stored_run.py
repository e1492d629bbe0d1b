"""The run that a command is asked about, found by its id, and what can be read of it."""

import difflib
import sys
from typing import TYPE_CHECKING, TypeVar

from pipeline.errors import MusesError, StoreError
from storage.layout import RUNS, parse_manifest_key
from storage.manifest import RunManifest, read_manifest
from storage.objects import MissingObjectError, ObjectStore, open_store

if TYPE_CHECKING:
    from storage.answer import Question

T = TypeVar("T")
_NEAREST = 5


def stored_run(store_url: str, run_id: str) -> RunManifest:
    """Its manifest.

    Raises:
        MusesError: there is no such run; the message lists those with a similar name.
    """
    store = open_store(store_url)
    try:
        return read_manifest(store, run_id)
    except MissingObjectError as error:
        raise MusesError(_no_run(store, run_id)) from error


def read_runs(store_url: str, question: "Question[T]", run_id: str | None = None) -> T:
    """What comes of a question to one run, or to all; what is damaged is left out and named on stderr.

    Raises:
        StoreError: the store cannot be read.
    """
    import duckdb

    from storage.answer import answer

    try:
        found = answer(store_url, question, run_id)
    except duckdb.Error as error:
        raise StoreError(f"store {store_url}: cannot be read: {error}") from error
    for lost in found.lost:
        print(f"muses: damaged and left out: {lost}", file=sys.stderr)  # noqa: T201 - the command line talks
    return found.value


def _no_run(store: ObjectStore, run_id: str) -> str:
    names = (parse_manifest_key(info.key) for info in store.list(RUNS))
    there = [name for name in names if name is not None]
    if not there:
        return f"there is no run in the store {store.url}; `muses run` makes one, --store names another store"
    near = difflib.get_close_matches(run_id, there, _NEAREST) or there[-_NEAREST:]
    others = " and others" if len(there) > len(near) else ""
    return f"the store {store.url} has no run {run_id!r}; it has {', '.join(near)}{others}"
