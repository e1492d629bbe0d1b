"""The traces as Polars frames, for those who prefer frames to SQL: the same Parquet files, read lazily."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from storage.layout import trace_keys
from storage.objects import ObjectStore, S3Store, open_store
from storage.schema import SCHEMA

if TYPE_CHECKING:
    import polars as pl


def scan(store_url: str) -> "pl.LazyFrame":
    """The store's episodes, one row each: of several attempts a scored one, or else the last.

    It holds the files that are there now; scan again to see later ones.
    """
    import polars as pl

    store = open_store(store_url)
    rows = scan_objects(store, list(map(str, trace_keys(store))))
    newest_first = rows.sort(pl.col("outcome") == "scored", "attempt", descending=True, maintain_order=True)
    return newest_first.unique(["run_id", "episode_id"], keep="first", maintain_order=True)


def scan_objects(store: ObjectStore, keys: Sequence[str]) -> "pl.LazyFrame":
    """The rows of these objects as they are."""
    import polars as pl

    if not keys:
        return pl.DataFrame(SCHEMA.empty_table()).lazy()
    options = s3_options(store) if isinstance(store, S3Store) else None
    uris = [store.uri(key) for key in keys]
    return pl.scan_parquet(uris, storage_options=options, hive_partitioning=False, glob=False)


def s3_options(store: S3Store) -> dict[str, str]:
    """What Polars calls the settings that boto3 found."""
    access = store.access()
    options = {
        "aws_endpoint_url": access.endpoint,
        "aws_region": access.region,
        "aws_access_key_id": access.key_id,
        "aws_secret_access_key": access.secret,
        "aws_virtual_hosted_style_request": "false",
    }
    if access.token is not None:
        options["aws_session_token"] = access.token
    if access.endpoint.startswith("http://"):
        options["aws_allow_http"] = "true"
    return options
