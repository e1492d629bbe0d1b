"""Untrusted SQL can read the views and nothing else.

Each layer is tested alone: the parser's check of the text, then the locked connection without that check, and last the
whole sandbox in its process.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import duckdb
import pytest
from muses_eval.storage.objects.object_keys import ShardKey
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.query.query_check import refusal
from muses_eval.storage.query.query_result import QueryLimits, QueryRefusedError
from muses_eval.storage.query.sandbox import connect_locked, query
from muses_eval.storage.query.store_snapshot import read_snapshot
from muses_eval.storage.runs.manifest import create_or_check
from muses_eval.storage.runs.shards import write_shard

from tests.s3_server import KEY_ID, SECRET, S3Server
from tests.storage.samples import MANIFEST, episode

KEY = ShardKey("run-a", "model-a", "queue", 0, 1)
SEEN = "what nobody may see"


@pytest.fixture
def filled(store: ObjectStore) -> ObjectStore:
    create_or_check(store, MANIFEST)
    write_shard(store, KEY, [episode(1), episode(2)])
    return store


@pytest.fixture
def folder(tmp_path: Path) -> ObjectStore:
    store = open_store(str(tmp_path / "store"))
    create_or_check(store, MANIFEST)
    write_shard(store, KEY, [episode(1), episode(2)])
    return store


@pytest.fixture(scope="module", params=["folder", "s3"])
def locked(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yields one connection for all texts; none of them may change it."""
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        url = str(tmp_path_factory.mktemp("locked"))
        if request.param == "s3":
            server: S3Server = request.getfixturevalue("s3")
            for name, value in server.environment.items():
                patch.setenv(name, value)
            url = "s3://muses-tests/locked"
        store = open_store(url)
        create_or_check(store, MANIFEST)
        write_shard(store, KEY, [episode(1), episode(2)])
        yield stack.enter_context(connect_locked(store, read_snapshot(store), 256))


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder outside the store, with a secret in every format."""
    outside = tmp_path_factory.mktemp("outside")
    for name in ("secret.txt", "secret.csv", "secret.json"):
        (outside / name).write_text(f'["{SEEN}"]\n')
    duckdb.sql(f"COPY (SELECT '{SEEN}' AS a) TO '{outside}/secret.parquet'")
    with duckdb.connect(str(outside / "secret.db")) as database:
        database.execute(f"CREATE TABLE t AS SELECT '{SEEN}' AS a")
    return outside


HARMLESS = [
    "SELECT count(*) FROM episodes",
    "FROM leaderboard -- a comment at the end",
    "SELECT 1 AS a;",
    "WITH x AS (SELECT model FROM scores) SELECT * FROM x",
    "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 9) SELECT sum(n) FROM t",
    "VALUES (1), (2)",
    "TABLE usage",
    "DESCRIBE episodes",
    "SUMMARIZE runs",
    "SHOW TABLES",
    "SELECT m.content FROM episodes, unnest(messages) AS u(m)",
    "SELECT a.range FROM range(3) a JOIN generate_series(3) b ON a.range = b.generate_series",
    "FROM (PIVOT (SELECT model, outcome FROM episodes) ON outcome IN ('scored') USING count(*))",
    "SELECT list_filter(scores, lambda s: s.metric = 'f1') FROM episodes",
    "SELECT ';', '--', 'COPY t TO x'",
    "SELECT config->>'$.models[0].name' FROM runs",
    "PIVOT (SELECT 1 AS a, 2 AS b) ON a USING sum(b)",
    "WITH x AS (SELECT model, outcome FROM episodes) PIVOT x ON outcome USING count(*)",
    "EXPLAIN SELECT count(*) FROM episodes",
    "-- the plan\nexplain (format json) FROM runs",
    "EXPLAIN (FORMAT json) SELECT model FROM episodes",
    "FROM information_schema.columns",
    "WITH columns AS (SELECT 1 AS a) FROM columns",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_questions_are_answered(locked: duckdb.DuckDBPyConnection, text: str) -> None:
    """Ordinary queries are executed."""
    assert refusal(locked, text) is None
    locked.execute(text).fetchall()


STATEMENTS = [
    "",
    ";",
    "-- nothing",
    "no SQL",
    "SELECT 1; SELECT 2",
    "SELECT 1; COPY (SELECT 1) TO 'x.csv'",
    "SELECT 1; -- \n DROP VIEW runs",
    "COPY episodes TO '{inside}'",
    "COPY (SELECT 1) TO '{out}'",
    "COPY manifests FROM '{secret}/secret.csv'",
    "WITH x AS (COPY (SELECT 1) TO '{out}') SELECT * FROM x",
    "WITH x AS (INSERT INTO manifests SELECT * FROM manifests RETURNING *) SELECT * FROM x",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{out}'",
    "EXPORT DATABASE '{out}'",
    "IMPORT DATABASE '{secret}'",
    "ATTACH '{secret}/secret.db' AS other",
    "DETACH memory",
    "USE memory",
    "INSTALL httpfs",
    "LOAD httpfs",
    "LOAD '{out}'",
    "SET lock_configuration = false",
    "SET enable_external_access = true",
    "RESET allowed_paths",
    "SET VARIABLE a = 1",
    "PRAGMA version",
    "PRAGMA enable_profiling",
    "PRAGMA database_list",
    "CALL enable_logging()",
    "CALL pragma_version()",
    "CREATE TABLE x AS SELECT 1",
    "CREATE MACRO m() AS TABLE FROM read_text('{secret}/secret.txt')",
    "CREATE SECRET s (TYPE s3, KEY_ID 'a', SECRET 'b')",
    "CREATE OR REPLACE VIEW runs AS SELECT 1",
    "DROP VIEW runs",
    "DELETE FROM manifests",
    "UPDATE manifests SET state = 'sealed'",
    "INSERT INTO manifests SELECT * FROM manifests",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "BEGIN",
    "CHECKPOINT",
    "VACUUM",
    "ANALYZE",
    "PIVOT runs ON state; DROP VIEW runs",
    "CREATE TEMP TYPE e AS ENUM ('a'); SELECT 1",
    "CREATE TABLE x AS PIVOT runs ON state",
    "INSERT INTO manifests PIVOT runs ON state",
    "EXPLAIN ANALYZE CREATE TABLE x AS SELECT 1",
    "EXPLAIN ANALYZE SELECT 1; DROP VIEW runs",
    "EXPLAIN ANALYZE PIVOT runs ON state",
]
FUNCTIONS = [
    "SELECT count(*) FROM runs WHERE Current_Setting('http_proxy_' || 'password') > ''",
    "FROM read_text('{secret}/secret.txt')",
    "FROM read_blob('{secret}/secret.txt')",
    "FROM read_csv('{secret}/secret.csv')",
    "FROM read_csv_auto('{secret}/secret.csv')",
    "FROM read_json('{secret}/secret.json')",
    "FROM read_json_objects('{secret}/secret.json')",
    "FROM read_parquet('{secret}/secret.parquet')",
    "FROM parquet_scan('{secret}/secret.parquet')",
    "FROM read_duckdb('{secret}/secret.db')",
    "FROM parquet_metadata('{secret}/secret.parquet')",
    "FROM parquet_schema('{secret}/secret.parquet')",
    "FROM parquet_kv_metadata('{secret}/secret.parquet')",
    "FROM parquet_file_metadata('{secret}/secret.parquet')",
    "FROM sniff_csv('{secret}/secret.csv')",
    "FROM glob('{secret}/*')",
    "FROM glob('/*')",
    "SELECT * FROM episodes, read_text('{secret}/secret.txt')",
    "SELECT (SELECT content FROM read_text('{secret}/secret.txt'))",
    "WITH x AS (FROM read_text('{secret}/secret.txt')) FROM x",
    "FROM runs WHERE run_id IN (SELECT content FROM read_text('{secret}/secret.txt'))",
    "SELECT 1 UNION ALL SELECT 2 FROM main.read_text('{secret}/secret.txt')",
    "FROM READ_TEXT('{secret}/secret.txt')",
    "FROM \"read_text\"('{secret}/secret.txt')",
    "FROM (SUMMARIZE FROM read_text('{secret}/secret.txt'))",
    "FROM (DESCRIBE FROM read_csv('{secret}/secret.csv'))",
    "FROM query('SELECT 1')",
    "FROM query_table('runs')",
    "FROM counted_attempts('traces')",
    "FROM json_execute_serialized_sql(json_serialize_sql('FROM read_text(''{secret}/secret.txt'')'))",
    "FROM duckdb_secrets(redact => false)",
    "FROM which_secret('s3://x', 's3')",
    "FROM duckdb_settings()",
    "FROM duckdb_logs_parsed('HTTP')",
    "FROM enable_logging(storage => 'file', storage_path => '{out}')",
    "FROM disable_logging()",
    "FROM enable_profiling(save_location => '{out}')",
    "FROM checkpoint()",
    "FROM pandas_scan(1)",
    "FROM arrow_scan(1, 2, 3)",
    "FROM seq_scan(1)",
    "FROM test_all_types()",
    "FROM pg_settings",
    "FROM pg_catalog.pg_settings",
    "FROM system.pg_catalog.pg_settings",
    "SELECT (SELECT any_value(setting) FROM \"PG_Settings\" WHERE name = 'allowed_paths')",
    "SUMMARIZE pg_settings",
    "FROM duckdb_views",
    "FROM sqlite_master",
    "FROM information_schema.views",
    "EXPLAIN ANALYZE FROM read_text('{secret}/secret.txt')",
    "/* a */ EXPLAIN -- b\n (FORMAT json) FROM pg_settings",
    "EXPLAIN SELECT current_setting('allowed_paths')",
    "PIVOT (FROM read_text('{secret}/secret.txt')) ON content",
    "PIVOT pg_settings ON name USING any_value(setting)",
    "PIVOT (SELECT Current_Setting('allowed_paths') AS a) ON a",
    "WITH x AS (FROM pg_settings) PIVOT x ON name USING count(*)",
]


@pytest.mark.parametrize("text", STATEMENTS + FUNCTIONS)
def test_the_text_is_refused(locked: duckdb.DuckDBPyConnection, secret: Path, tmp_path: Path, text: str) -> None:
    """Forbidden texts are refused before anything is executed."""
    before = sorted(tmp_path.rglob("*"))
    assert refusal(locked, text.format(secret=secret, out=tmp_path / "out", inside=tmp_path / "inside"))
    assert sorted(tmp_path.rglob("*")) == before
    assert locked.execute("SELECT count(*) FROM runs").fetchone() == (1,)


READS = [
    *(text for text in FUNCTIONS if "{secret}" in text),
    "FROM '{secret}/secret.csv'",
    "FROM '{secret}/secret.parquet'",
    "FROM '{secret}/secret.json'",
    "FROM '{secret}/*.csv'",
    "FROM 'file://{secret}/secret.csv'",
    'FROM "{secret}/secret.csv"',
    "FROM '{secret}/secret.db'",
    "FROM query_table('{secret}/secret.csv')",
    "FROM counted_attempts('{secret}/secret.parquet')",
    "ATTACH '{secret}/secret.db' AS other; FROM other.t",
    "CREATE TABLE x AS FROM '{secret}/secret.csv'",
    "SELECT getenv('HOME')",
]


@pytest.mark.parametrize("text", READS)
def test_a_locked_connection_reads_nothing_else(locked: duckdb.DuckDBPyConnection, secret: Path, text: str) -> None:
    """The connection refuses these texts even when the text is not checked."""
    with pytest.raises(duckdb.Error):
        locked.execute(text.format(secret=secret, out=secret, inside=secret)).fetchall()


@pytest.mark.parametrize(
    "text",
    [
        "SET lock_configuration = false",
        "SET enable_external_access = true",
        "SET allowed_paths = ['/etc/passwd']",
        "SET allowed_directories = ['/']",
        "SET memory_limit = '100GB'",
        "SET temp_directory = '/tmp'",
        "SET allow_unredacted_secrets = true",
        "RESET memory_limit",
        "PRAGMA memory_limit = '100GB'",
        "INSTALL spatial",
        "LOAD '/tmp/x.duckdb_extension'",
    ],
)
def test_a_locked_connection_stays_locked(locked: duckdb.DuckDBPyConnection, text: str) -> None:
    with pytest.raises(duckdb.Error):
        locked.execute(text)


def test_no_variable_of_python_is_a_table(locked: duckdb.DuckDBPyConnection) -> None:
    """DuckDB does not read a data frame of the caller that has the name of a table."""
    hidden = duckdb.sql(f"SELECT '{SEEN}'").to_arrow_table()
    assert hidden.num_rows
    with pytest.raises(duckdb.CatalogException):
        locked.execute("FROM hidden")


def test_neighbours_in_the_same_store(folder: ObjectStore) -> None:
    """Files in the store's folder that are not its objects cannot be read."""
    root = Path(folder.url)
    (root / "notes.csv").write_text(SEEN)
    paths = [root / "notes.csv", root / "runs" / "run-a.json", root / "traces" / ".." / "notes.csv"]
    with connect_locked(folder, read_snapshot(folder), 256) as connection:
        for path in paths:
            with pytest.raises(duckdb.PermissionException):
                connection.execute(f"FROM read_text('{path}')")


def test_other_buckets_and_addresses(s3: S3Server, s3_url: str) -> None:
    """The credentials are valid for the whole server, but only the objects of this store can be opened."""
    s3.create_bucket("muses-private")
    private, store = open_store("s3://muses-private/x"), open_store(s3_url)
    for each in (private, store):
        write_shard(each, KEY, [episode(1)])
    store.put_if_absent("other.parquet", store.get(str(KEY)))
    own = store.uri(str(KEY))
    with connect_locked(store, read_snapshot(store), 256) as connection:
        for uri in (
            private.uri(str(KEY)),
            store.uri("other.parquet"),
            store.uri("*"),
            own.replace("s3://", "s3a://"),
            own.replace("/traces/", "/traces/../traces/"),
            f"{own}?s3_endpoint=127.0.0.1:1",
            f"{s3.endpoint}/muses-private/x/{KEY}",
            "https://127.0.0.1:1/x.parquet",
            "hf://datasets/a/b.parquet",
        ):
            with pytest.raises(duckdb.Error):
                connection.execute(f"FROM read_parquet('{uri}')").fetchall()
        assert connection.execute("SELECT count(*) FROM episodes").fetchone() == (1,)


def test_the_keys_cannot_be_read(s3_url: str) -> None:
    """No SELECT returns the secrets, even when the text is not checked."""
    store = open_store(s3_url)
    write_shard(store, KEY, [episode(1)])
    shown = ["duckdb_settings()", "duckdb_variables()", "duckdb_views()", "duckdb_logs()", "duckdb_memory()"]
    with connect_locked(store, read_snapshot(store), 256) as connection:
        texts = [f"FROM {name}" for name in shown]
        settings = ("s3_secret_access_key", "s3_access_key_id", "s3_session_token")
        texts += [f"SELECT current_setting('{name}')" for name in settings]
        values = [value for text in texts for row in connection.execute(text).fetchall() for value in row]
        with pytest.raises(duckdb.Error, match="unredacted secrets is disabled"):
            connection.execute("FROM duckdb_secrets(redact => false)")
    assert not [value for value in map(str, values) if SECRET in value or KEY_ID in value]


def test_the_whole(filled: ObjectStore) -> None:
    """A query runs in a process and returns Python values."""
    found = query(filled.url, "SELECT episode_id, scores[1].value AS v, flags, started_at FROM episodes ORDER BY 1")
    assert found.columns == ("episode_id", "v", "flags", "started_at")
    assert sorted(row[0] for row in found.rows) == sorted(episode(n).episode_id for n in (1, 2))
    assert found.rows[0][1:] == (0.5, [], episode(1).started_at)
    assert (found.truncated, found.lost) == (False, ())


def test_refusals_reach_the_caller(folder: ObjectStore, tmp_path: Path) -> None:
    """Wrong and forbidden queries raise QueryRefusedError with the reason."""
    for text, reason in (
        ("COPY (SELECT 1) TO 'x'", "only one SELECT is allowed"),
        ("FROM read_text('/etc/hostname')", "read_text: not allowed in FROM"),
        ("FROM '/etc/passwd'", "does not exist|Cannot access file|disabled"),
        ("SELECT nothing FROM episodes", "nothing"),
    ):
        with pytest.raises(QueryRefusedError, match=reason):
            query(folder.url, text)


def test_rows_are_cut_and_that_is_said(folder: ObjectStore) -> None:
    """An endless result is cut at the limits and marked as truncated."""
    found = query(folder.url, "SELECT * FROM range(1000000000000)", QueryLimits(rows=2500))
    assert (len(found.rows), found.truncated) == (2500, True)
    assert found.rows[-1] == (2499,)
    exact = query(folder.url, "SELECT * FROM range(5)", QueryLimits(rows=5))
    assert (len(exact.rows), exact.truncated) == (5, False)
    large = query(folder.url, "SELECT repeat('x', 100000) FROM range(4000)", QueryLimits(result_mb=1))
    assert large.truncated


def test_long_values_are_cut_and_that_is_said(folder: ObjectStore) -> None:
    limits = QueryLimits(cell_chars=10)
    found = query(folder.url, "SELECT repeat('x', 11), repeat('x', 10), range(9), 1.50, sum(3), NULL", limits)
    assert found.cut
    assert [str(value) for value in found.rows[0]] == ["x" * 10 + "…", "x" * 10, "[0, 1, 2, …", "1.50", "3", "None"]
    assert not query(folder.url, "SELECT repeat('x', 10)", limits).cut
    wide = "SELECT " + ", ".join(map(str, range(20)))
    with pytest.raises(QueryRefusedError, match="20 columns; expected at most 10"):
        query(folder.url, wide, QueryLimits(columns=10))


def test_the_process_starts_without_keys(s3_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the command line nor the environment of the process shows a key, and it can read the bucket."""
    store = open_store(s3_url)
    write_shard(store, KEY, [episode(1)])
    monkeypatch.setenv("OPENAI_API_KEY", SEEN)
    monkeypatch.setenv("MUSES_DASHBOARD_TOKEN", SEEN)
    shown: list[bytes] = []
    start = subprocess.Popen

    def started(*arguments: object, **options: object) -> object:
        process = start(*arguments, **options)  # type: ignore[call-overload]
        shown.extend(Path(f"/proc/{process.pid}/{name}").read_bytes() for name in ("environ", "cmdline"))
        return process

    monkeypatch.setattr(subprocess, "Popen", started)
    assert query(s3_url, "SELECT count(*) FROM episodes").rows == ((1,),)
    assert b"PYTHONPATH=" in shown[0]
    assert not [text for text in (SEEN, SECRET, KEY_ID) for part in shown if text.encode() in part]


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"[" * 100_000,
        b"null",
        b'{"kind": "table"}',
        b'{"kind": "table", "columns": [["a", "pickle"]], "rows": [], "truncated": 0, "cut": 0, "lost": []}',
        b'{"kind": "table", "columns": [["a", "plain"]], "rows": [[1, 2]], "truncated": 0, "cut": 0, "lost": []}',
        b'{"kind": "table", "columns": [["a", "decimal"]], "rows": [["x"]], "truncated": 0, "cut": 0, "lost": []}',
        b"x" * 3 * 2**20,
    ],
)
def test_a_process_that_was_taken_over_is_not_believed(
    folder: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reply: bytes
) -> None:
    """Whatever the process writes, the caller gets an error, and reads only as much as the limit allows."""
    (tmp_path / "reply").write_bytes(reply)
    fake = tmp_path / "python"
    wait = "sleep 600" if len(reply) > 2**20 else "true"
    fake.write_text(f"#!/bin/sh\ncat {tmp_path}/reply\n{wait}\n")
    fake.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(fake))
    with pytest.raises(QueryRefusedError, match=r"without a result|larger than the limit"):
        query(folder.url, "SELECT 1", QueryLimits(result_mb=1))


def test_time_is_limited(folder: ObjectStore) -> None:
    """The time limit also stops work that DuckDB does not interrupt."""
    for text in (
        "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range % 7 = b.range % 5",
        "SELECT len(lpad('x', 900000000, 'y')) + len(lpad('x', 900000001, 'y'))",
    ):
        with pytest.raises(QueryRefusedError, match=r"took longer than 3 s|more than the 1024 MB"):
            query(folder.url, text, QueryLimits(seconds=3))


@pytest.mark.parametrize(
    "text",
    [
        "SELECT repeat('x', 3000000000)",
        "SELECT range(400000000)",
        "SELECT list(range) FROM range(1000000000)",
        "WITH RECURSIVE t(s) AS (SELECT 'x' UNION ALL SELECT s || s FROM t) SELECT max(len(s)) FROM t",
        "SELECT count(DISTINCT range) FROM range(1000000000)",
    ],
)
def test_memory_is_limited(folder: ObjectStore, text: str) -> None:
    """Memory is limited whether DuckDB counts it or not; this process survives."""
    with pytest.raises(QueryRefusedError, match="128 MB"):
        query(folder.url, text, QueryLimits(memory_mb=128, seconds=60))


def test_the_process_writes_no_file(folder: ObjectStore, tmp_path: Path) -> None:
    """The process cannot write files even without DuckDB's restrictions."""
    code = (
        "import duckdb; from muses_eval.storage.query.query_result import QueryLimits;"
        "from muses_eval.storage.query.sandbox import _limit_resources;"
        "_limit_resources(QueryLimits());"
        f"duckdb.sql(\"COPY (SELECT 1) TO '{tmp_path}/out.csv'\")"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "File too large" in done.stderr
    assert not (tmp_path / "out.csv").exists() or (tmp_path / "out.csv").stat().st_size == 0


def test_a_plan_shows_no_path(folder: ObjectStore) -> None:
    """A plan names neither the files of the store nor its folder; that of EXPLAIN ANALYZE would."""
    for text in ("EXPLAIN FROM episodes", "EXPLAIN (FORMAT json) FROM traces"):
        ((_, plan),) = query(folder.url, text).rows
        assert "parquet" in plan.lower()
        assert Path(folder.url).name not in plan
        assert "model-a" not in plan
    for text in ("EXPLAIN ANALYZE FROM traces", "-- x\nexplain (format json, analyze) FROM traces"):
        with pytest.raises(QueryRefusedError, match="EXPLAIN ANALYZE: not allowed"):
            query(folder.url, text)


def test_a_damaged_object_is_named(folder: ObjectStore) -> None:
    """The result names the damaged object that it does not include."""
    folder.put_if_absent(str(ShardKey("run-a", "model-a", "queue", 1, 1)), b"broken")
    found = query(folder.url, "SELECT count(*) FROM episodes")
    assert found.rows == ((2,),)
    assert "shard 1 of run run-a, model model-a, family queue is missing" in found.lost[0]
