"""Publishes the web pages of a store as files in the store itself, below ``site/``.

A night writes the pages of its own runs, of runs that are new or have changed, and the pages about all runs.  Other
pages stay until their run is deleted.
"""

import math
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from muses_eval.dashboards.web.export import exported_files
from muses_eval.dashboards.web.page import NoSuchPageError, segment
from muses_eval.dashboards.web.pages.compare_runs import run_predecessors
from muses_eval.dashboards.web.routes import ROUTES
from muses_eval.dashboards.web.store_cache import RunSummary, StoreCache
from muses_eval.storage.objects.inventory import classify
from muses_eval.storage.objects.object_keys import RESCORED, RUNS, TRACES
from muses_eval.storage.objects.object_store import MissingObjectError, ObjectStore
from muses_eval.storage.runs.manifest import list_run_ids

SITE = "site/"
_NAMES_OF_RUNS = ("run", "first", "second")
"""Parameters of page paths that are run ids."""
_WRITERS = 8


class _Part(StoreCache):
    """A cache that holds some of the store's runs only."""

    def __init__(self, store_url: str, run_ids: Collection[str]) -> None:
        super().__init__(store_url)
        self._run_ids = frozenset(run_ids)

    def runs(self) -> tuple[RunSummary, ...]:
        return tuple(run for run in super().runs() if run.run_id in self._run_ids)


def page_of(store: ObjectStore, run_id: str) -> str:
    """Returns the address of the first page of a run, once it is published."""
    return store.uri(f"{SITE}{_front_page(run_id)}")


def publish(store: ObjectStore, run_ids: Collection[str]) -> int:
    """Writes the pages, including all pages of *run_ids*, and returns the number of files that changed.

    Raises:
        StoreError: the store cannot be read or written.
    """
    there = {info.key.removeprefix(SITE): info.modified for info in store.list(SITE)}
    runs = frozenset(list_run_ids(store))
    without = {run_id for run_id in runs if _front_page(run_id) not in there} | _changed_since(store, there)
    for path in there:
        if not _is_of(runs, path):
            store.delete(f"{SITE}{path}")
    with ThreadPoolExecutor(_WRITERS) as threads:
        written = [
            threads.submit(_write, store, f"{SITE}{path}", data)
            for path, data in _files(store.url, without | {*run_ids})
        ]
        return sum(each.result() for each in written)


def _changed_since(store: ObjectStore, pages: Mapping[str, float]) -> set[str]:
    """Returns the runs that changed after their pages were written: played, sealed or rescored."""
    changed: dict[str, float] = {}
    for folder in (RUNS, TRACES, RESCORED):
        for info in store.list(folder):
            run_id = classify(info).run_id
            if run_id is not None:
                changed[run_id] = max(changed.get(run_id, 0.0), info.modified)
    return {run_id for run_id, at in changed.items() if at > pages.get(_front_page(run_id), math.inf)}


def _front_page(run_id: str) -> str:
    return f"runs/{segment(run_id)}/index.html"


def _is_of(runs: Collection[str], path: str) -> bool:
    """Returns True when all runs of a page are among *runs*, or when the file is not a page."""
    for route in ROUTES:
        try:
            params = route.match(path)
        except NoSuchPageError:
            continue
        if params is not None:
            return all(params[name] in runs for name in _NAMES_OF_RUNS if name in params)
    return True


def _files(store_url: str, run_ids: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Yields the pages about the given runs; a page that compares a run with the one before it has both."""
    whole = StoreCache(store_url)
    before = {earlier for run_id, earlier in run_predecessors(whole.runs()) if run_id in run_ids}
    parts = {"run": _Part(store_url, run_ids), "first": _Part(store_url, {*run_ids, *before})}
    return exported_files(whole, parts)


def _write(store: ObjectStore, key: str, data: bytes) -> bool:
    """Writes an object; returns False when it already had this content."""
    while not store.put_if_absent(key, data):
        try:
            there = store.read(key)
        except MissingObjectError:  # deleted meanwhile
            continue
        if there.data == data:
            return False
        if store.replace(key, data, there.tag):
            break
    return True
