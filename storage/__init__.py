"""Storage of evaluation results: Parquet objects in a folder or on S3, and SQL over them.

muses_eval.storage.connect(store)   a DuckDB connection with the views of docs/traces.md
muses_eval.storage.scan(store)      a Polars LazyFrame with one row per episode
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from muses_eval.storage.query.duckdb_connection import connect
    from muses_eval.storage.query.polars_frames import scan

__all__ = ["connect", "scan"]


def __getattr__(name: str) -> object:
    """Imports on first use, because DuckDB and Polars are slow to import."""
    if name == "connect":
        from muses_eval.storage.query.duckdb_connection import connect

        return connect
    if name == "scan":
        from muses_eval.storage.query.polars_frames import scan

        return scan
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
