"""SQL over a store: an in-memory DuckDB whose views read the Parquet files in place.

:data:`VIEWS` lists the views (``views/*.sql``); installed families add theirs.  ``traces`` has the rows as they are
stored, every attempt of an episode (``settled`` the rows of sealed runs, ``unsettled`` all others), ``rescored`` the
scores that were computed later, and ``episodes`` each planned episode once, with the newest version of its scores.  A
connection sees the objects that existed when it was opened.  Foreign files are ignored; the views of an empty store are
empty.
"""

import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import duckdb
import pyarrow as pa
from muses_eval.pipeline.episode.evidence import Evidence
from muses_eval.pipeline.episode.unusable_replies import UNUSABLE_KINDS
from muses_eval.pipeline.errors import StoreError
from muses_eval.pipeline.families.family_package import installed_families
from muses_eval.pipeline.leaderboard_columns import COLUMNS
from muses_eval.storage.objects.object_keys import RescoredKey, SealedKey, ShardKey
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.objects.s3_store import S3Store
from muses_eval.storage.query.store_snapshot import StoreSnapshot, read_snapshot
from muses_eval.storage.runs.manifest import RunManifest
from muses_eval.storage.schema.parquet_schema import (
    EARLIER_PROTOCOL,
    RESCORED_SCHEMA,
    SCHEMA,
    SINCE_EVIDENCE,
    SINCE_UNUSABLE,
    schema_template,
)

VIEWS = (
    "episodes",
    "scores",
    "score_versions",
    "messages",
    "calls",
    "events",
    "evidence",
    "runs",
    "usage",
    "leaderboard_cells",
    "leaderboard",
    "privacy_by_round",
    "conflict_gap",
    "meeting_disclosure",
    "by_attack_and_template",
    "by_num_users",
    "harness_effect",
)
_BASE_VIEWS = ("traces", "leaderboard_columns")
_MACROS = (
    "mean_and_standard_error",
    "column_averages",
    "counted_attempts",
    "episode_scores",
    "left_out",
    "unusable_replies",
)

_OF_AGENTS = ("base_model", "agent", "facts")
_UNUSABLE = f"STRUCT({', '.join(f'{kind} INTEGER' for kind in UNUSABLE_KINDS)})"
_EVIDENCE = ", ".join(f"{field.name} {'INTEGER' if field.name == 'turn' else 'VARCHAR'}" for field in fields(Evidence))
_EARLIER: Mapping[str, str] = {
    "protocol": f"'{EARLIER_PROTOCOL}'",
    "base_model": "model",
    "agent": "'chat'",
    "facts": "'prose'",
    "events": '[]::STRUCT(turn INTEGER, step INTEGER, kind VARCHAR, "text" VARCHAR)[]',
    "unusable": f"NULL::{_UNUSABLE}",
    "evidence": f"NULL::STRUCT({_EVIDENCE})[]",
}
"""Column -> expression of its value in rows of files that lack the column (``parquet_schema.LATER_COLUMNS``)."""

_LOG = logging.getLogger(__name__)

_PLANNED = pa.struct([("model", pa.string()), ("family", pa.string()), ("episodes", pa.int64())])
_MANIFEST_FIELDS: list[tuple[str, pa.DataType]] = [
    ("run_id", pa.string()),
    ("state", pa.string()),
    ("created_at", pa.timestamp("us", tz="UTC")),
    ("dataset", pa.string()),
    ("dataset_version", pa.string()),
    ("planned", pa.list_(_PLANNED)),
    ("users", pa.string()),
    ("protocol", pa.string()),
    ("templates", pa.list_(pa.string())),
    ("models", pa.string()),
    ("versions", pa.string()),
    ("made_with", pa.string()),
    ("commit", pa.string()),
    ("dirty", pa.bool_()),
    ("schema_version", pa.int32()),
    ("config", pa.string()),
    ("cells", pa.string()),
    ("night", pa.string()),
]
_MANIFESTS = pa.schema(_MANIFEST_FIELDS)


def connect(store_url: str, run_id: str | None = None) -> duckdb.DuckDBPyConnection:
    """Returns a connection with the views over a store, or over one run of it.

    Queries raise ``duckdb.Error``; :mod:`muses_eval.storage.query.resilient_query` reads past damaged objects.

    Raises:
        StoreError: the store cannot be listed, or a manifest or an object in it cannot be read.
    """
    return connect_to_store(open_store(store_url), run_id)


def connect_to_store(store: ObjectStore, run_id: str | None = None) -> duckdb.DuckDBPyConnection:
    """As :func:`connect`, with an open store, whose credentials are not looked for again."""
    try:
        return connect_to(store, read_snapshot(store, run_id))
    except duckdb.IOException as error:
        reason = str(error).partition("\n")[0]
        raise StoreError(
            f"store {store.url}: {reason}; it may have been sealed just now: try again, or `muses store verify`"
        ) from error


def connect_to(store: ObjectStore, snapshot: StoreSnapshot) -> duckdb.DuckDBPyConnection:
    """Returns a connection with the views over the objects of a snapshot."""
    connection = duckdb.connect(":memory:", config=_settings())
    connection.execute("SET TimeZone = 'UTC'")
    if connection.execute("SELECT current_setting('enable_progress_bar')").fetchall() == [(True,)]:
        # Only then, because in a notebook without ipywidgets the bar is off, and DuckDB refuses to set it at all.
        connection.execute("SET enable_progress_bar = false")
    if isinstance(store, S3Store) and snapshot.keys:
        _configure_s3(connection, store)
    views = (("settled", snapshot.settled), ("unsettled", snapshot.unsettled), ("rescored", snapshot.rescored))
    for name, _ in views:
        _create_row_view(connection, name, [_objects(store, name, ())])
    connection.register("manifests_now", _manifests_table(snapshot.manifests))
    connection.execute("CREATE TABLE manifests AS FROM manifests_now")
    connection.unregister("manifests_now")
    # Two texts, so that a store in which nothing was rescored pays for no join.
    for name in ("with_newest_scores" if snapshot.rescored else "without_rescoring", *_MACROS):
        connection.execute(sql_text("macros", name))
    for name in (*_BASE_VIEWS, *VIEWS):
        connection.execute(_with_columns(sql_text("views", name)))
    _create_family_views(connection)
    # Last, because DuckDB looks for every file of a view whenever it creates another view over it.
    for name, keys in views:
        if keys:
            _create_row_view(connection, name, _row_sources(store, name, keys, snapshot.manifests))
    return connection


def family_views() -> Mapping[str, str]:
    """Returns name -> SELECT statement of the views that families of installed packages add."""
    packages = installed_families().objects.values()
    return {name: text for package in packages for name, text in package.views.items()}


def _create_family_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Creates the views of installed families; one that DuckDB refuses is left out with a warning."""
    for name, text in family_views().items():
        try:
            connection.execute(f"CREATE VIEW {name} AS {text}")
        except duckdb.Error as error:
            _LOG.warning("the view %s of an installed family is left out: %s", name, error)


def sql_text(folder: Literal["macros", "views"], name: str) -> str:
    """Returns the text of one SQL file beside this module."""
    return (files("muses_eval.storage.query") / folder / f"{name}.sql").read_text(encoding="utf-8")


def _with_columns(text: str) -> str:
    """Fills the leaderboard's columns into the text of a view."""
    rows = (f"({_quoted([column.name, column.family, column.metric])})" for column in COLUMNS.values())
    figures = (
        f"any_value({figure}) FILTER (name = {_quoted([name])}) AS {name}{suffix}"
        for name in COLUMNS
        for figure, suffix in (("mean", ""), ("se", "_se"))
    )
    return text.replace("{column_rows}", ", ".join(rows)).replace("{column_figures}", ", ".join(figures))


def _settings() -> dict[str, str | bool | int | float | list[str]]:
    return {
        "threads": max(2, os.cpu_count() or 1),
        # All extensions are installed packages; DuckDB downloads none.
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }


def _create_row_view(connection: duckdb.DuckDBPyConnection, name: str, sources: Iterable[str]) -> None:
    connection.execute(f"CREATE OR REPLACE VIEW {name} AS {' UNION ALL '.join(sources)}")


def _row_sources(store: ObjectStore, name: str, keys: Sequence[str], manifests: Sequence[RunManifest]) -> Iterator[str]:
    """Yields the queries whose rows together are the stored rows of these objects.

    Files of older versions lack some columns, and DuckDB reads a column only when every file has it.  Such a column
    is not read but set when it has one value in the whole run.
    """
    set_columns, schema = (_set_columns, SCHEMA) if name != "rescored" else (_set_rescored_columns, RESCORED_SCHEMA)
    by_run = {manifest.run_id: set_columns(manifest) for manifest in manifests}
    by_columns: dict[tuple[str, ...] | None, list[str]] = {}
    for key in keys:
        parsed = ShardKey.parse(key) or SealedKey.parse(key) or RescoredKey.parse(key)
        by_columns.setdefault(None if parsed is None else by_run.get(parsed.run_id), []).append(key)
    for columns, objects in by_columns.items():
        if columns is None:  # DuckDB opens each file once more to find its columns
            read = {column: f"coalesce({column}, {value}) AS {column}" for column, value in _EARLIER.items()}
            listed = ", ".join(read.get(column, column) for column in schema.names)
            yield f"SELECT {listed} {_objects(store, name, objects, by_name=True)}"
        elif columns:
            values = ", ".join(f"{_EARLIER[column]} AS {column}" for column in columns)
            yield f"SELECT * REPLACE ({values}) {_objects(store, name, objects)}"
        else:
            yield _objects(store, name, objects)


def _set_columns(manifest: RunManifest) -> tuple[str, ...] | None:
    """Returns the columns that have the same value in all rows of a run, that of older versions.

    None when only some of the run's objects can have the newest columns.
    """
    if manifest.oldest_schema_version < SINCE_EVIDENCE <= manifest.schema_version:
        return None
    protocol = ("protocol",) if manifest.protocol == EARLIER_PROTOCOL else ()
    of_agents = () if manifest.has_agents else _OF_AGENTS
    if manifest.oldest_schema_version >= SINCE_UNUSABLE:
        evidence = () if manifest.oldest_schema_version >= SINCE_EVIDENCE else ("evidence",)
        return (*protocol, *of_agents, *evidence)
    return (*protocol, *of_agents, *(() if manifest.has_agents else ("events",)), "unusable", "evidence")


def _set_rescored_columns(manifest: RunManifest) -> tuple[str, ...] | None:
    """As :func:`_set_columns`; rescored parts outlive a change of the run's schema version."""
    return ("evidence",) if manifest.schema_version < SINCE_EVIDENCE else None


def _objects(store: ObjectStore, name: str, keys: Sequence[str], *, by_name: bool = False) -> str:
    """Returns a FROM clause with the rows of these objects and the columns of the current schema."""
    # DuckDB takes the columns from the first file, here an empty template, and opens the others only to read them.
    listed = _quoted([str(schema_template("rescored" if name == "rescored" else "traces")), *map(store.uri, keys)])
    union = ", union_by_name = true" if by_name else ""
    # The path repeats run, model and family; without the option DuckDB would use the model's slug as its name.
    return f"FROM read_parquet([{listed}], hive_partitioning = false{union})"


def _quoted(texts: Iterable[str]) -> str:
    return ", ".join("'" + text.replace("'", "''") + "'" for text in texts)


def _configure_s3(connection: duckdb.DuckDBPyConnection, store: S3Store) -> None:
    """Loads DuckDB's S3 reader from its Python package and gives it the credentials that boto3 uses."""
    connection.execute(f"LOAD {_quoted([str(_httpfs())])}")
    # The extension copies AWS_* variables into settings, which any query can read.
    for setting in ("s3_access_key_id", "s3_secret_access_key", "s3_session_token"):
        connection.execute(f"SET {setting} = ''")
    settings = store.client_settings()
    proxy = settings.proxy
    for setting, value in (
        ("http_proxy", "" if proxy is None else proxy.url),  # without it, DuckDB would read the environment
        ("http_proxy_username", "" if proxy is None else proxy.user or ""),
        ("http_proxy_password", "" if proxy is None else proxy.password),
        ("ca_cert_file", str(settings.ca_bundle or "")),
    ):
        connection.execute(f"SET {setting} = {_quoted([value])}")
    renew_keys(connection, store)


def renew_keys(connection: duckdb.DuckDBPyConnection, store: S3Store) -> None:
    """Gives a connection the credentials that boto3 has now: those of a role expire, and boto3 renews its own.

    Raises:
        StoreError: there are no credentials.
    """
    settings = store.client_settings()
    scheme, _, host = settings.endpoint.partition("://")
    connection.execute(
        "CREATE OR REPLACE SECRET store (TYPE s3, URL_STYLE 'path', SCOPE $scope, ENDPOINT $endpoint, USE_SSL $use_ssl,"
        " REGION $region, KEY_ID $key_id, SECRET $secret, SESSION_TOKEN $token)",
        {
            "scope": f"s3://{store.bucket}",
            "endpoint": host.rstrip("/"),
            "use_ssl": scheme == "https",
            "region": settings.region,
            "key_id": settings.key_id,
            "secret": settings.secret,
            "token": settings.token or "",
        },
    )


def _httpfs() -> Path:
    package = find_spec("duckdb_extension_httpfs")
    folders = [] if package is None else list(package.submodule_search_locations or ())
    for folder in folders:
        path = Path(folder, "extensions", f"v{duckdb.__version__}", "httpfs.duckdb_extension")
        if path.is_file():
            return path
    raise StoreError(
        f"SQL over S3 needs DuckDB's httpfs extension for DuckDB {duckdb.__version__};"
        f" pip install duckdb-extension-httpfs=={duckdb.__version__}"
    )


def _manifests_table(manifests: Iterable[RunManifest]) -> pa.Table:
    rows = [
        {
            "run_id": manifest.run_id,
            "state": manifest.state,
            "created_at": manifest.created_at.astimezone(UTC),
            "dataset": manifest.dataset,
            "dataset_version": manifest.dataset_version,
            "planned": [
                {"model": model, "family": family, "episodes": count}
                for (model, family), count in manifest.planned.items()
            ],
            "users": manifest.users,
            "protocol": manifest.protocol,
            "templates": list(manifest.templates),
            "models": json.dumps(manifest.models),
            "versions": json.dumps(manifest.versions),
            "made_with": json.dumps(manifest.made_with),
            "commit": manifest.commit,
            "dirty": manifest.dirty,
            "schema_version": manifest.schema_version,
            "config": json.dumps(manifest.config),
            "cells": json.dumps([asdict(cell) for cell in manifest.cells]),
            "night": None if manifest.night is None else json.dumps(manifest.night),
        }
        for manifest in manifests
    ]
    return pa.Table.from_pylist(rows, schema=_MANIFESTS)
