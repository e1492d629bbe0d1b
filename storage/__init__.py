"""Objects, tables, numbers: traces as Parquet in a folder or on S3, and SQL over them.

storage.connect(store)   DuckDB with the views of docs/traces.md
storage.scan(store)      a Polars LazyFrame, a row an episode
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from muses_eval.storage.query.duckdb_connection import connect
    from muses_eval.storage.query.polars_frames import scan

__all__ = ["connect", "scan"]


def __getattr__(name: str) -> object:
    """Found when first used: DuckDB and Polars take a while to import."""
    if name == "connect":
        from muses_eval.storage.query.duckdb_connection import connect

        return connect
    if name == "scan":
        from muses_eval.storage.query.polars_frames import scan

        return scan
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
