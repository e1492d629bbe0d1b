"""The stored episodes: as SQL views, and as a lazy frame."""

from typing import TYPE_CHECKING

from muses_eval.flows.api.source import Source, locate

if TYPE_CHECKING:
    import polars as pl
    from duckdb import DuckDBPyConnection


def connect(store: Source = None, *, run: str | None = None) -> "DuckDBPyConnection":
    """Opens a DuckDB connection with the views over a store, or over one run of it.

    The views are those of docs/traces.md: ``episodes``, ``scores``, ``messages``, ``calls``, ``runs``, ``usage``,
    ``leaderboard`` and more.  ``connection.sql("...")`` returns a relation, whose ``.pl()`` and ``.df()`` are frames.
    The connection sees the objects that exist when it is opened.

    Args:
        store: a folder, ``s3://bucket/prefix`` or a report; None for the store of the commands.
        run: id of a run; None for all runs of a store.

    Raises:
        StoreError: the store cannot be listed, or a manifest or an object in it cannot be read.
        duckdb.Error: raised by queries that are wrong, or that meet a damaged object.
    """
    from muses_eval.storage import connect as open_connection

    place = locate(store, run)
    return open_connection(place.store, place.run_id)


def scan(store: Source = None, *, run: str | None = None) -> "pl.LazyFrame":
    """Returns the episodes of a store, or of one run of it, as a Polars LazyFrame.

    One row per episode with the columns of docs/traces.md: of several attempts the scored one, or else the last, with
    the newest version of its scores.  Nothing is read before ``collect()``, and then only the columns that are used.

    Args:
        store: a folder, ``s3://bucket/prefix`` or a report; None for the store of the commands.
        run: id of a run; None for all runs of a store.

    Raises:
        StoreError: the store cannot be listed, or a manifest in it cannot be read.
        polars.exceptions.PolarsError: raised by ``collect()`` when an object is damaged.
    """
    from muses_eval.storage import scan as open_scan

    place = locate(store, run)
    return open_scan(place.store, place.run_id)
