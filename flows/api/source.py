"""The source of the functions: a store, or one run of it."""

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypeVar, Union

from muses_eval.flows.settings import read_settings
from muses_eval.pipeline.errors import MusesError
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.manifest import NoSuchRunError, find_manifest
from muses_eval.storage.runs.resolve_run import resolve_run

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from muses_eval.flows.job.report import RunReport
    from muses_eval.storage.query.lost_objects import LostObject
    from muses_eval.storage.query.resilient_query import Query

T = TypeVar("T")
Source: TypeAlias = Union[str, os.PathLike[str], "RunReport", None]
"""A store (a folder, or ``s3://bucket/prefix``), or the report of a run, which names its store and the run; None for
the store of the commands: ``MUSES_STORE``, or ``.muses/store``."""


@dataclass(frozen=True, slots=True)
class Location:
    """A store, and a run of it."""

    store: str
    run_id: str | None
    """None for all runs."""


def locate(source: Source, run: str | None = None) -> Location:
    """Returns the store that *source* names, and the run: *run*, or else that of a report.

    *run*: an id, the beginning of one, or a run's name.

    Raises:
        NoSuchRunError: the store has no such run.
        AmbiguousRunError: several runs have this name, or ids that begin with it.
    """
    if source is None:
        url = read_settings().store
    else:
        url = os.fspath(source) if isinstance(source, (str, os.PathLike)) else source.store
    if run is not None:
        return Location(url, resolve_run(open_store(url), run))
    return Location(url, None if source is None or isinstance(source, (str, os.PathLike)) else source.run_id)


def query_runs(store_url: str, question: "Query[T]", run_id: str | None, on_lost: "Callable[[LostObject], None]") -> T:
    """Returns the result of a query that needs at least one run; errors of the query itself are raised unchanged.

    *on_lost* is called with each damaged object, which the result leaves out.

    Raises:
        MusesError: the store has no such run, or no run that can be read.
    """
    from muses_eval.storage.query.resilient_query import resilient_query
    from muses_eval.storage.runs.newest_run import has_runs

    def ask(connection: "DuckDBPyConnection") -> tuple[T] | None:
        return (question(connection),) if has_runs(connection) else None

    found = resilient_query(store_url, ask, run_id)
    for lost in found.lost:
        on_lost(lost)
    if found.value is not None:
        return found.value[0]
    if run_id is not None:
        find_manifest(open_store(store_url), run_id)
    if found.lost:
        raise MusesError(f"no run in the store {store_url} can be read")
    raise NoSuchRunError(store_url)


def warn_lost(lost: "LostObject") -> None:
    """Warns of a damaged object."""
    warnings.warn(f"damaged and left out: {lost}", stacklevel=4)
