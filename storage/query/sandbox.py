"""Queries from people whom we do not trust: they see the views of one store and nothing else.

DuckDB has no user without rights, so three walls stand one behind the other:

* the text: one statement, which DuckDB's own parser takes for a SELECT, with none but harmless table functions in it.
  Some that a SELECT can call write files (``enable_logging``) or read memory (``arrow_scan``) whatever is locked;
* the connection: it opens the store's own objects and no other path or address, has so much memory and no disk, and
  cannot change its settings;
* the process: each query runs in one of its own, which the system bounds, which can write no file, and which is killed
  when its time is over.  What breaks the first two walls, or crashes DuckDB, is then in a small room.

Reading a store takes a fraction of a second more this way: this is for a text box, not for a page's own queries.
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
from muses_eval.storage.query.resilient_query import answer
from muses_eval.storage.query.store_snapshot import Sources
from muses_eval.storage.schema.parquet_schema import head

_HARMLESS = frozenset({"generate_series", "json_each", "json_tree", "range", "unnest"})
_OVERHEAD = 2
"""The process may have as many times the memory of its queries: DuckDB does not count all that it holds."""
_STARTED_MB = 256
"""What the process has before it asks anything."""
_BATCH_ROWS = 1000
_MB = 2**20


class QueryRefusedError(MusesError):
    """The query is not answered: it asks for more than it may, is wrong, or goes over a limit."""


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """What one query may take."""

    seconds: float = 30.0
    """From the start of its process to its end."""
    memory_mb: int = 1024
    rows: int = 10_000
    result_mb: int = 16


@dataclass(frozen=True, slots=True)
class ResultTable:
    """What a query answered."""

    columns: tuple[str, ...]
    """Two may have the same name."""
    rows: tuple[tuple[Any, ...], ...]
    truncated: bool
    """Whether there were more rows than the limits allow."""
    lost: tuple[str, ...]
    """Damaged objects that the answer is without, for people."""


def query(store_url: str, sql: str, limits: QueryLimits = QueryLimits()) -> ResultTable:
    """Answers *sql* over the store's views.

    Raises:
        QueryRefusedError: the query may not do that, fails, or goes over a limit.
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
    return _understood(done, limits)


def _understood(done: "subprocess.CompletedProcess[bytes]", limits: QueryLimits) -> ResultTable:
    head_line, _, data = done.stdout.partition(b"\n")
    try:
        facts = json.loads(head_line)
    except ValueError:
        raise QueryRefusedError(
            f"the query's process ended without an answer (exit status {done.returncode}); it most likely needed more"
            f" than the {limits.memory_mb} MB that a query may take"
        ) from None
    if facts["kind"] == "refused":
        raise QueryRefusedError(facts["problem"])
    if facts["kind"] == "trouble":
        raise MusesError(facts["problem"])
    table = pa.ipc.open_stream(data).read_all()
    columns = (column.to_pylist() for column in table.columns)
    rows = tuple(zip(*columns, strict=True))
    return ResultTable(tuple(table.column_names), rows, facts["truncated"], tuple(facts["lost"]))


def refusal(connection: duckdb.DuckDBPyConnection, sql: str) -> str | None:
    """Why this text is not run; None when it may be.  Nothing of it is executed."""
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        return str(error)
    kinds = [statement.type.name for statement in statements]
    if kinds != ["SELECT"]:
        found = ", ".join(kinds) or "nothing"
        return f"one SELECT is answered here (FROM, WITH, VALUES, DESCRIBE and SUMMARIZE too); this is {found}"
    (serialized,) = connection.execute("SELECT json_serialize_sql($1)", [sql]).fetchone() or ("{}",)
    tree = json.loads(serialized)
    if tree.get("error", True):
        return f"one SELECT is answered here; DuckDB says of this one: {tree.get('error_message', 'unknown statement')}"
    foreign = sorted({name for name in _table_functions(tree) if name not in _HARMLESS})
    if foreign:
        return f"{', '.join(foreign)}: of functions in FROM only {', '.join(sorted(_HARMLESS))} may be used here"
    return None


def _table_functions(node: object) -> Iterator[str]:
    """The names of all functions that stand where a table could, at any depth."""
    if isinstance(node, dict):
        if node.get("type") == "TABLE_FUNCTION":
            yield str(node["function"].get("function_name", "?")).lower()
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            yield from _table_functions(inner)


def connect_locked(store: ObjectStore, sources: Sources, memory_mb: int) -> duckdb.DuckDBPyConnection:
    """A connection over these objects that can open nothing else, and that stays so."""
    connection = connect_to(store, sources)
    paths = [*map(store.uri, sources.keys), str(head("traces")), str(head("rescored"))]
    connection.execute("SET temp_directory = ''")
    connection.execute(f"SET memory_limit = '{memory_mb}MB'")
    connection.execute("SET allowed_paths = $1", [paths])
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _main() -> None:
    """The process of one query: its request on stdin, its answer on stdout as a line of JSON and an Arrow stream."""
    request = json.loads(sys.stdin.buffer.read())
    limits = QueryLimits(**request["limits"])
    _bound(limits)
    try:
        found = answer(
            request["store_url"],
            lambda connection: _run(connection, request["sql"], limits),
            opener=lambda store, sources: connect_locked(store, sources, limits.memory_mb),
        )
    except QueryRefusedError as error:
        _reply({"kind": "refused", "problem": str(error)})
    except (duckdb.OutOfMemoryException, MemoryError):
        _reply({"kind": "refused", "problem": f"the query needs more than the {limits.memory_mb} MB that it may take"})
    except duckdb.Error as error:
        _reply({"kind": "refused", "problem": str(error)})
    except MusesError as error:
        _reply({"kind": "trouble", "problem": str(error)})
    else:
        data, truncated = found.value
        _reply({"kind": "table", "truncated": truncated, "lost": list(map(str, found.lost))}, data)


def _bound(limits: QueryLimits) -> None:
    """What the system holds this process to from now on."""
    for what, most in (
        (resource.RLIMIT_DATA, (_STARTED_MB + _OVERHEAD * limits.memory_mb) * _MB),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        # The client may be gone: the query would use all cores for seconds.
        (resource.RLIMIT_CPU, int(limits.seconds * (os.cpu_count() or 1)) + 1),
    ):
        with suppress(ValueError):  # a lower bound holds already
            resource.setrlimit(what, (most, most))


def _run(connection: duckdb.DuckDBPyConnection, sql: str, limits: QueryLimits) -> tuple[bytes, bool]:
    problem = refusal(connection, sql)
    if problem is not None:
        raise QueryRefusedError(problem)
    reader = connection.execute(sql).to_arrow_reader(_BATCH_ROWS)  # fetched as it is read
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
    """DuckDB's errors come as Arrow's from the second batch on."""
    try:
        yield from reader
    except (pa.ArrowException, OSError) as error:
        kind = duckdb.OutOfMemoryException if "Out of Memory" in str(error) else duckdb.InvalidInputException
        raise kind(str(error)) from error


def _reply(facts: Mapping[str, object], data: bytes = b"") -> None:
    sys.stdout.buffer.write(json.dumps(facts).encode() + b"\n" + data)


if __name__ == "__main__":
    _main()
