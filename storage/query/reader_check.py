"""Checks that DuckDB and Polars can read a store.

They have HTTP clients of their own: a certificate authority, a proxy or a setting that boto3 uses may not reach them.
Then a run is played and paid before its leaderboard fails.
"""

import secrets

import duckdb
from muses_eval.pipeline.errors import StoreError
from muses_eval.storage.objects.object_store import CHECK_PREFIX, ObjectStore
from muses_eval.storage.objects.s3_store import S3Store
from muses_eval.storage.query.duckdb_connection import connect_to
from muses_eval.storage.query.polars_frames import scan_objects
from muses_eval.storage.query.store_snapshot import StoreSnapshot
from muses_eval.storage.schema.parquet_schema import schema_template


def check_rerouted_readers(store: ObjectStore) -> None:
    """Checks the readers of a store with a certificate authority or a proxy of its own; others need no check.

    Raises:
        StoreError: an engine cannot read the object that was just written.
    """
    if isinstance(store, S3Store):
        settings = store.client_settings()
        if settings.ca_bundle is not None or settings.proxy is not None:
            check_readers(store)


def check_readers(store: ObjectStore) -> None:
    """Writes an object without rows, reads it with both engines, and removes it.

    Raises:
        StoreError: an engine cannot read the object that was just written.
    """
    from polars.exceptions import PolarsError

    key = f"{CHECK_PREFIX}{secrets.token_hex(8)}.parquet"
    store.put_if_absent(key, schema_template("traces").read_bytes())
    try:
        with connect_to(store, StoreSnapshot((key,), (), (), ())) as connection:
            connection.execute("SELECT count(*) FROM settled")
        scan_objects(store, [key]).collect()
    except duckdb.Error as error:
        raise _unreadable(store, "DuckDB", error) from error
    except (PolarsError, OSError) as error:
        raise _unreadable(store, "Polars", error) from error
    finally:
        store.delete(key)


def _unreadable(store: ObjectStore, engine: str, error: Exception) -> StoreError:
    reason = str(error).partition("\n")[0]
    return StoreError(
        f"store {store.url}: boto3 writes and reads it, but {engine} does not: {reason}; a private certificate "
        "authority belongs into AWS_CA_BUNDLE, as a PEM file, and a proxy into HTTPS_PROXY. Polars refuses a server's "
        "certificate that is an authority itself, as `openssl req -x509` makes it: add basicConstraints=CA:FALSE"
    )
