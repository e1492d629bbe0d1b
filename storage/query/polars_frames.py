"""Traces as Polars frames: the same Parquet files as in SQL, read lazily."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pyarrow as pa
from muses_eval.pipeline.loopback import names_proxy
from muses_eval.storage.objects.object_keys import RescoredKey
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.objects.s3_store import S3Settings, S3Store
from muses_eval.storage.query.store_snapshot import read_snapshot
from muses_eval.storage.schema.parquet_schema import EARLIER_VALUES, RESCORED_SCHEMA, SCHEMA

if TYPE_CHECKING:
    import polars as pl


def scan(store_url: str, run_id: str | None = None) -> "pl.LazyFrame":
    """Returns the episodes of a store, or of one run, one row each: of several attempts a scored one, or else the last.

    The scores have the newest ``scorer_version``.  The frame covers the files that exist now; scan again to see later
    ones.
    """
    import polars as pl

    store = open_store(store_url)
    snapshot = read_snapshot(store, run_id)
    settled, attempts = (scan_objects(store, keys) for keys in (snapshot.settled, snapshot.unsettled))
    episodes = settled
    if snapshot.unsettled:
        order = (pl.col("outcome") == "scored", "attempt", "shard")
        newest_first = attempts.sort(*order, descending=[True, True, False], maintain_order=True)
        counted = newest_first.unique(["run_id", "episode_id"], keep="first", maintain_order=True)
        episodes = pl.concat([settled, counted])
    return _with_newest_scores(episodes, newest_scores(store, snapshot.rescored)) if snapshot.rescored else episodes


def newest_scores(store: ObjectStore, keys: Sequence[RescoredKey | str]) -> "pl.LazyFrame":
    """Returns for rescored episodes the newest version of their scores; of one version, a row with evidence."""
    import polars as pl

    rows = scan_objects(store, list(map(str, keys)), RESCORED_SCHEMA)
    newest_first = rows.sort("scorer_version", pl.col("evidence").is_not_null(), descending=True)
    return newest_first.unique(["run_id", "episode_id"], keep="first", maintain_order=True)


def scan_objects(
    store: ObjectStore, keys: Sequence[str], schema: pa.Schema = SCHEMA, object_column: str | None = None
) -> "pl.LazyFrame":
    """Returns the rows of these objects, with the columns of *schema*.

    *object_column*: name of an additional column with the URI of the object of each row.
    """
    import polars as pl

    if not keys:
        empty = pl.DataFrame(schema.empty_table()).lazy()
        return empty if object_column is None else empty.with_columns(pl.lit("").alias(object_column))
    options = s3_options(store) if isinstance(store, S3Store) else None
    uris = [store.uri(key) for key in keys]
    frame = pl.scan_parquet(
        uris,
        storage_options=options,
        hive_partitioning=False,
        glob=False,
        include_file_paths=object_column,
        # Fields that an older version of the schema lacks are NULL.
        schema=pl.DataFrame(schema.empty_table()).schema,
        cast_options=pl.ScanCastOptions(missing_struct_fields="insert"),
        missing_columns="insert",
    )
    if "protocol" not in schema.names:
        return frame
    later = [pl.col(name).fill_null(pl.lit(value)) for name, value in EARLIER_VALUES.items()]
    return frame.with_columns(pl.col("base_model").fill_null(pl.col("model")), *later)


def _with_newest_scores(episodes: "pl.LazyFrame", rescored: "pl.LazyFrame") -> "pl.LazyFrame":
    import polars as pl

    changed = ("scores", "scorer_version", "evidence")
    joined = episodes.join(rescored, on=["run_id", "episode_id"], how="left", suffix="_new", maintain_order="left")
    adds = pl.col("evidence").is_null() & pl.col("evidence_new").is_not_null()
    version, new_version = pl.col("scorer_version"), pl.col("scorer_version_new")
    newer = (pl.col("outcome") == "scored") & ((new_version > version) | ((new_version == version) & adds))
    values = [pl.when(newer).then(f"{name}_new").otherwise(name).alias(name) for name in changed]
    return joined.with_columns(values).drop(f"{name}_new" for name in changed)


def s3_options(store: S3Store) -> dict[str, str]:
    """Returns the settings that boto3 uses under the names that Polars expects."""
    settings = store.client_settings()
    options = {
        "aws_endpoint_url": settings.endpoint,
        "aws_region": settings.region,
        "aws_access_key_id": settings.key_id,
        "aws_secret_access_key": settings.secret,
        "aws_virtual_hosted_style_request": "false",
    }
    if settings.token is not None:
        options["aws_session_token"] = settings.token
    if settings.endpoint.startswith("http://"):
        options["aws_allow_http"] = "true"
    return options | _route(settings)


def _route(settings: S3Settings) -> dict[str, str]:
    """Returns the options of the proxy and of the certificate authorities, which Polars adds to the system's."""
    if settings.proxy is None and settings.ca_bundle is None and not names_proxy(os.environ):
        return {}
    if settings.proxy is not None:
        route = {"proxy_url": settings.proxy.url_with_login}
    else:  # without one, Polars would read the environment, and it takes certificates only together with a proxy
        route = {"proxy_url": "http://unused.invalid", "proxy_excludes": urlsplit(settings.endpoint).hostname or ""}
    if settings.ca_bundle is not None:
        route["proxy_ca_certificate"] = settings.ca_bundle.read_text(encoding="utf-8")
    return route
