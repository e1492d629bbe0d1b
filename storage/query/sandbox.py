"""Queries from untrusted users: they can read the views of one store and nothing else.

DuckDB has no unprivileged users, so there are three layers of defence:

* the text: one statement that DuckDB's own parser classifies as a SELECT, with harmless table functions only.  Some
  functions that a SELECT can call write files (``enable_logging``) or read memory (``arrow_scan``) despite all locks;
* the connection: it opens the store's own objects and no other path or address, has a memory limit and no disk, and
  cannot change its settings;
* the process: each query runs in a process of its own, with resource limits, without permission to write files, and is
  killed when its time is over.  It contains a query that gets past the first two layers or crashes DuckDB.

This adds a fraction of a second to each query, so pages use it for the SQL form only, not for their own queries.
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import duckdb
import pyarrow as pa
from muses_eval.pipeline.errors import MusesError
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.query.duckdb_connection import connect_to
from muses_eval.storage.query.resilient_query import resilient_query
from muses_eval.storage.query.store_snapshot import StoreSnapshot
from muses_eval.storage.schema.parquet_schema import schema_template

_HARMLESS_FUNCTIONS = frozenset({"generate_series", "json_each", "json_tree", "range", "unnest"})
_MEMORY_FACTOR = 2
"""Memory limit of the process, as a multiple of the query's: DuckDB does not count all memory that it holds."""
_BASE_MEMORY_MB = 256
"""Memory of the process before the query starts."""
_BATCH_ROWS = 1000
_MB = 2**20


class QueryRefusedError(MusesError):
    """The query is not allowed, is wrong, or exceeds a limit."""


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """Limits of one query."""

    seconds: float = 30.0
    """Seconds from the start of its process to its end."""
    memory_mb: int = 1024
    rows: int = 10_000
    result_mb: int = 16


@dataclass(frozen=True, slots=True)
class ResultTable:
    """Result of a query."""

    columns: tuple[str, ...]
    """Names of the columns; several may have the same name."""
    rows: tuple[tuple[Any, ...], ...]
    truncated: bool
    """True when there were more rows than the limits allow."""
    lost: tuple[str, ...]
    """Descriptions of damaged objects that the result does not include."""


def query(store_url: str, sql: str, limits: QueryLimits = QueryLimits()) -> ResultTable:
    """Runs *sql* over the views of a store.

    Raises:
        QueryRefusedError: the query is not allowed, fails, or exceeds a limit.
        MusesError: the store cannot be read.
    """
    request = json.dumps({"store_url": store_url, "sql": sql, "limits": asdict(limits)}).encode()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            [sys.executable, "-B", "-P", "-m", "muses_eval.storage.query.sandbox"],
            input=request,
            capture_output=True,
            env=environment,
            timeout=limits.seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise QueryRefusedError(
            f"the query took longer than {limits.seconds:g} s and was stopped; ask for fewer rows, or for one run"
        ) from None
    return _parse_reply(done, limits)


def _parse_reply(done: "subprocess.CompletedProcess[bytes]", limits: QueryLimits) -> ResultTable:
    head_line, _, data = done.stdout.partition(b"\n")
    try:
        facts = json.loads(head_line)
    except ValueError:
        raise QueryRefusedError(
            f"the query's process ended without a result (exit status {done.returncode}); it most likely needed more"
            f" than the limit of {limits.memory_mb} MB"
        ) from None
    if facts["kind"] == "refused":
        raise QueryRefusedError(facts["problem"])
    if facts["kind"] == "error":
        raise MusesError(facts["problem"])
    table = pa.ipc.open_stream(data).read_all()
    columns = (column.to_pylist() for column in table.columns)
    rows = tuple(zip(*columns, strict=True))
    return ResultTable(tuple(table.column_names), rows, facts["truncated"], tuple(facts["lost"]))


def refusal(connection: duckdb.DuckDBPyConnection, sql: str) -> str | None:
    """Returns the reason to refuse a text, or None when it may run.  Does not execute it."""
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        return str(error)
    kinds = [statement.type.name for statement in statements]
    if kinds != ["SELECT"]:
        found = ", ".join(kinds) or "nothing"
        return f"only one SELECT is allowed (also FROM, WITH, VALUES, DESCRIBE and SUMMARIZE); this is {found}"
    (serialized,) = connection.execute("SELECT json_serialize_sql($1)", [sql]).fetchone() or ("{}",)
    tree = json.loads(serialized)
    if tree.get("error", True):
        return f"only one SELECT is allowed; DuckDB rejects this one: {tree.get('error_message', 'unknown statement')}"
    foreign = sorted({name for name in _table_functions(tree) if name not in _HARMLESS_FUNCTIONS})
    if foreign:
        allowed = ", ".join(sorted(_HARMLESS_FUNCTIONS))
        return f"{', '.join(foreign)}: not allowed in FROM; allowed functions are {allowed}"
    if _calls(tree, "current_setting"):
        return "current_setting: not allowed, because settings contain the password of a proxy"
    return None


def _calls(node: object, name: str) -> bool:
    """Returns True when an expression at any depth calls the function *name*."""
    if isinstance(node, dict):
        found = node.get("class") == "FUNCTION" and str(node.get("function_name")).lower() == name
        return found or _calls(list(node.values()), name)
    return isinstance(node, list) and any(_calls(inner, name) for inner in node)


def _table_functions(node: object) -> Iterator[str]:
    """Yields the names of all functions in the place of a table, at any depth."""
    if isinstance(node, dict):
        if node.get("type") == "TABLE_FUNCTION":
            yield str(node["function"].get("function_name", "?")).lower()
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            yield from _table_functions(inner)


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
    """Runs one query: reads a JSON request from stdin, writes a line of JSON and an Arrow stream to stdout."""
    request = json.loads(sys.stdin.buffer.read())
    limits = QueryLimits(**request["limits"])
    _limit_resources(limits)
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
        data, truncated = found.value
        _reply({"kind": "table", "truncated": truncated, "lost": list(map(str, found.lost))}, data)


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


def _run(connection: duckdb.DuckDBPyConnection, sql: str, limits: QueryLimits) -> tuple[bytes, bool]:
    problem = refusal(connection, sql)
    if problem is not None:
        raise QueryRefusedError(problem)
    reader = connection.execute(sql).to_arrow_reader(_BATCH_ROWS)  # rows are fetched as they are read
    sink, rows, truncated = pa.BufferOutputStream(), 0, False
    with pa.ipc.new_stream(sink, reader.schema) as stream:
        for batch in _batches(reader):
            kept = batch.slice(0, limits.rows - rows)
            fits = sink.tell() + kept.nbytes <= limits.result_mb * _MB
            truncated = not fits or kept.num_rows < batch.num_rows
            if fits:
                stream.write_batch(kept)
            if truncated:
                break
            rows += kept.num_rows
    return sink.getvalue().to_pybytes(), truncated


def _batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """Yields the batches; turns Arrow's errors back into DuckDB's, which they are from the second batch on."""
    try:
        yield from reader
    except (pa.ArrowException, OSError) as error:
        kind = duckdb.OutOfMemoryException if "Out of Memory" in str(error) else duckdb.InvalidInputException
        raise kind(str(error)) from error


def _reply(facts: Mapping[str, object], data: bytes = b"") -> None:
    sys.stdout.buffer.write(json.dumps(facts).encode() + b"\n" + data)


if __name__ == "__main__":
    _main()
