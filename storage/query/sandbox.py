"""Queries from untrusted users: they can read the views of one store and nothing else.

DuckDB has no unprivileged users, so there are three layers of defence:

* the text: one SELECT with harmless table functions only (:mod:`muses_eval.storage.query.query_check`);
* the connection: it opens the store's own objects and no other path or address, has a memory limit and no disk, and
  cannot change its settings;
* the process: each query runs in a process of its own, with resource limits, without permission to write files, and is
  killed when its time is over.  It contains a query that gets past the first two layers or crashes DuckDB.  Its
  environment contains no key; the store's credentials come with the request.  Its reply is bounded JSON
  (:mod:`muses_eval.storage.query.query_result`).

This adds a fraction of a second to each query, so pages use it for the SQL form only, not for their own queries.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, cast

import duckdb
import pyarrow as pa
from muses_eval.pipeline.errors import MusesError
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.objects.s3_store import S3Store
from muses_eval.storage.query.duckdb_connection import connect_to
from muses_eval.storage.query.query_check import refusal
from muses_eval.storage.query.query_result import (
    DEFAULT_LIMITS,
    QueryLimits,
    QueryRefusedError,
    ResultTable,
    decode_table,
    encode_table,
)
from muses_eval.storage.query.resilient_query import resilient_query
from muses_eval.storage.query.store_snapshot import StoreSnapshot
from muses_eval.storage.schema.parquet_schema import schema_template

_MEMORY_FACTOR = 2
"""Memory limit of the process, as a multiple of the query's: DuckDB does not count all memory that it holds."""
_BASE_MEMORY_MB = 256
"""Memory of the process before the query starts."""
_BATCH_ROWS = 1000
_MB = 2**20
_KEPT_VARIABLES = ("LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "TMPDIR", "TZ")
"""Environment variables that the process gets; all others may contain keys."""
_NO_OTHER_CREDENTIALS = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


def query(store_url: str, sql: str, limits: QueryLimits = DEFAULT_LIMITS) -> ResultTable:
    """Runs *sql* over the views of a store.

    Raises:
        QueryRefusedError: the query is not allowed, fails, or exceeds a limit.
        MusesError: the store cannot be read.
    """
    store = open_store(store_url)
    request = {"store_url": store.url, "sql": sql, "limits": asdict(limits), "access": _access(store)}
    data = _reply_of_process(json.dumps(request).encode(), limits)
    try:
        reply = json.loads(data)
        kind = reply["kind"]
        if kind == "table":
            return decode_table(reply)
        problem = str(reply["problem"])
    except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError):
        raise QueryRefusedError(
            f"the query's process ended without a result; it most likely needed more than the limit of"
            f" {limits.memory_mb} MB"
        ) from None
    raise MusesError(problem) if kind == "error" else QueryRefusedError(problem)


def process_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment of the process, without the variables that may contain keys."""
    kept = {name: environ[name] for name in _KEPT_VARIABLES if name in environ}
    path = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path if entry)
    return {**kept, **_NO_OTHER_CREDENTIALS, "PYTHONPATH": path}


def _access(store: ObjectStore) -> dict[str, str]:
    """Returns the variables with which the process reads a bucket: the current keys, for this endpoint only."""
    if not isinstance(store, S3Store):
        return {}
    settings = store.client_settings()
    proxy = None if settings.proxy is None else settings.proxy.url_with_login
    found = {
        "AWS_ACCESS_KEY_ID": settings.key_id,
        "AWS_SECRET_ACCESS_KEY": settings.secret,
        "AWS_SESSION_TOKEN": settings.token,
        "AWS_ENDPOINT_URL_S3": settings.endpoint,
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_CA_BUNDLE": None if settings.ca_bundle is None else str(settings.ca_bundle),
        "HTTP_PROXY": proxy,
        "HTTPS_PROXY": proxy,
        "MUSES_S3_BUCKET_OWNER": os.environ.get("MUSES_S3_BUCKET_OWNER"),
    }
    return {name: value for name, value in found.items() if value}


def _reply_of_process(request: bytes, limits: QueryLimits) -> bytes:
    """Returns what the process writes to stdout, at most a little more than the limit of the result.

    Raises:
        QueryRefusedError: the time is over, or the process wrote more.
    """
    most = (limits.result_mb + 1) * _MB
    over = threading.Event()
    with subprocess.Popen(
        [sys.executable, "-B", "-P", "-m", "muses_eval.storage.query.sandbox"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=process_environment(os.environ),
        cwd="/",
        start_new_session=True,
    ) as process:

        def stop() -> None:
            over.set()
            _kill(process.pid)

        timer = threading.Timer(limits.seconds, stop)
        timer.start()
        try:
            with suppress(BrokenPipeError), cast("IO[bytes]", process.stdin) as stdin:
                stdin.write(request)
            data = cast("IO[bytes]", process.stdout).read(most + 1)
        finally:
            timer.cancel()
            _kill(process.pid)
    if over.is_set():
        raise QueryRefusedError(
            f"the query took longer than {limits.seconds:g} s and was stopped; ask for fewer rows, or for one run"
        )
    if len(data) > most:
        raise QueryRefusedError(f"the result is larger than the limit of {limits.result_mb} MB; ask for less")
    return data


def _kill(group: int) -> None:
    """Kills the process and all that it has started; it has not been waited for, so its id is still its own."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def connect_locked(store: ObjectStore, snapshot: StoreSnapshot, memory_mb: int) -> duckdb.DuckDBPyConnection:
    """Returns a connection that can open the objects of a snapshot and nothing else, with locked settings."""
    connection = connect_to(store, snapshot)
    paths = [*map(store.uri, snapshot.keys), str(schema_template("traces")), str(schema_template("rescored"))]
    connection.execute("SET temp_directory = ''")
    connection.execute(f"SET memory_limit = '{memory_mb}MB'")
    connection.execute("SET allowed_paths = $1", [paths])
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _main() -> None:
    """Runs one query: reads a JSON request from stdin, writes a JSON reply to stdout."""
    request = json.loads(sys.stdin.buffer.read())
    limits = QueryLimits(**request["limits"])
    _limit_resources(limits)
    os.environ.update(request["access"])  # not in the environment with which the process started, which others can read
    try:
        found = resilient_query(
            request["store_url"],
            lambda connection: _run(connection, request["sql"], limits),
            opener=lambda store, snapshot: connect_locked(store, snapshot, limits.memory_mb),
        )
    except QueryRefusedError as error:
        _reply({"kind": "refused", "problem": str(error)})
    except (duckdb.OutOfMemoryException, MemoryError):
        _reply({"kind": "refused", "problem": f"the query needs more memory than the limit of {limits.memory_mb} MB"})
    except duckdb.Error as error:
        _reply({"kind": "refused", "problem": str(error)})
    except MusesError as error:
        _reply({"kind": "error", "problem": str(error)})
    else:
        _reply({"kind": "table", **found.value, "lost": list(map(str, found.lost))})


def _limit_resources(limits: QueryLimits) -> None:
    """Limits the resources of this process."""
    for name, limit in (
        (resource.RLIMIT_DATA, (_BASE_MEMORY_MB + _MEMORY_FACTOR * limits.memory_mb) * _MB),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        # If the client is gone, the query would otherwise use all cores for seconds.
        (resource.RLIMIT_CPU, int(limits.seconds * (os.cpu_count() or 1)) + 1),
    ):
        with suppress(ValueError):  # a lower limit is set already
            resource.setrlimit(name, (limit, limit))


def _run(connection: duckdb.DuckDBPyConnection, sql: str, limits: QueryLimits) -> dict[str, Any]:
    problem = refusal(connection, sql)
    if problem is not None:
        raise QueryRefusedError(problem)
    reader = connection.execute(sql).to_arrow_reader(_BATCH_ROWS)  # rows are fetched as they are read
    return encode_table(reader.schema, _batches(reader), limits)


def _batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """Yields the batches; turns Arrow's errors back into DuckDB's, which they are from the second batch on."""
    try:
        yield from reader
    except (pa.ArrowException, OSError) as error:
        kind = duckdb.OutOfMemoryException if "Out of Memory" in str(error) else duckdb.InvalidInputException
        raise kind(str(error)) from error


def _reply(reply: Mapping[str, object]) -> None:
    sys.stdout.buffer.write(json.dumps(reply, default=str, ensure_ascii=False).encode(errors="replace"))


if __name__ == "__main__":
    _main()
