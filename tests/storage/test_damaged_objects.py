"""Damaged, foreign and deleted objects are reported with the lost data, and the rest is read."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from muses_eval import storage
from muses_eval.pipeline.episode.transcript import Message
from muses_eval.pipeline.errors import StoreError
from muses_eval.storage.analysis.leaderboard import LeaderboardRow, leaderboard
from muses_eval.storage.objects.folder_store import FolderStore
from muses_eval.storage.objects.object_keys import ShardKey, manifest_key
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.query.resilient_query import QueryResult, resilient_query
from muses_eval.storage.runs.manifest import create_or_check
from muses_eval.storage.runs.shards import read_shard, write_shard
from muses_eval.storage.upkeep.compaction import CompactionSettings, compact

from tests.conftest import Muses
from tests.storage.samples import MANIFEST, episode

KEY = ShardKey("run-a", "model-a", "queue", 0, 1)
BAD = replace(KEY, number=1)
WHAT = "shard 1 of run run-a, model model-a, family queue is missing"


def _fill(store: ObjectStore, shards: int = 3) -> None:
    create_or_check(store, replace(MANIFEST, planned={("model-a", "queue"): 4 * shards}))
    for number in range(shards):
        messages = tuple(Message(turn, "agent", (), f"{number} {turn} " * 400) for turn in range(9))
        write_shard(
            store,
            replace(KEY, number=number),
            [episode((number, row), shard=number, messages=messages) for row in range(4)],
        )


def _fill_other(store: ObjectStore) -> None:
    """Adds a second run with one shard."""
    create_or_check(store, replace(MANIFEST, run_id="run-b", planned={("model-a", "queue"): 4}))
    key = replace(KEY, run_id="run-b")
    write_shard(store, key, [replace(episode(row, shard=0), run_id="run-b") for row in range(4)])


@pytest.fixture
def folder(tmp_path: Path) -> FolderStore:
    """Fills a store with three shards of four episodes."""
    store = open_store(str(tmp_path / "store"))
    assert isinstance(store, FolderStore)
    _fill(store)
    return store


def _foreign() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"a": [1]}), sink)
    return sink.getvalue().to_pybytes()


def _zeroed(data: bytes) -> bytes:
    """Overwrites a part of the transcripts with zeros: the file opens, and other columns are readable."""
    group = pq.ParquetFile(pa.BufferReader(data)).metadata.row_group(0)
    columns = [group.column(index) for index in range(group.num_columns)]
    (content,) = (column for column in columns if column.path_in_schema.endswith("content"))
    middle = content.data_page_offset + content.total_compressed_size // 2
    return data[:middle] + bytes(64) + data[middle + 64 :]


def _zeroed_footer(data: bytes) -> bytes:
    """Overwrites the footer with zeros."""
    length = int.from_bytes(data[-8:-4], "little")
    middle = len(data) - 8 - length // 2
    return data[:middle] + bytes(64) + data[middle + 64 :]


def _count(connection: duckdb.DuckDBPyConnection) -> int:
    rows = connection.execute("SELECT COLUMNS(*) FROM episodes").fetchall()
    return len(rows)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-9],
        lambda data: data[: len(data) // 2],
        lambda _: b"",
        lambda _: b"this is no Parquet at all",
        lambda _: _foreign(),
        _zeroed,
        _zeroed_footer,
    ],
    ids=["no end", "half", "empty", "text", "foreign", "zeros inside", "zeros in the footer"],
)
def test_the_rest_is_read(folder: FolderStore, spoil: Callable[[bytes], bytes]) -> None:
    """Any damage is reported with the key and the lost episodes."""
    path = Path(folder.uri(str(BAD)))
    path.write_bytes(spoil(path.read_bytes()))
    found = resilient_query(folder.url, _count)
    assert found.value == 8
    (lost,) = found.lost
    assert lost.key == str(BAD)
    assert str(lost).endswith(WHAT)
    with storage.connect(folder.url) as connection, pytest.raises(duckdb.Error):
        _count(connection)


def test_over_s3(s3_url: str) -> None:
    """Damaged objects on S3 are reported like those in a folder."""
    store = open_store(s3_url)
    _fill(store, 1)
    store.put_if_absent(str(BAD), b"PAR1 and nothing more")
    found = resilient_query(store.url, _count)
    assert (found.value, [lost.key for lost in found.lost]) == (4, [str(BAD)])


def test_the_leaderboard_counts_it_as_missing(folder: FolderStore) -> None:
    """A lost shard lowers the coverage, not the number of planned episodes."""
    Path(folder.uri(str(BAD))).write_bytes(b"")
    found: QueryResult[list[LeaderboardRow]] = resilient_query(folder.url, leaderboard)
    (row,) = found.value
    assert (row.episodes, row.planned) == (8, 12)


def test_a_sealed_object(store: ObjectStore) -> None:
    """The number of lost episodes is read from the manifest."""
    _fill(store)
    compact(store, "run-a", settings=CompactionSettings(object_bytes=1, group_rows=5))
    keys = [info.key for info in store.list("sealed/")]
    assert len(keys) > 1
    store.delete(keys[0])
    with (
        pytest.raises((StoreError, duckdb.Error), match=keys[0].rpartition("/")[2]),
        storage.connect(store.url) as plain,
    ):
        _count(plain)
    found = resilient_query(store.url, _count)
    (lost,) = found.lost
    assert lost.key == keys[0]
    assert lost.episodes == 12 - found.value > 0
    assert f"part 0 of the sealed run run-a, {lost.episodes} episodes is missing" in str(lost)


def test_sealed_between_listing_and_reading(store: ObjectStore) -> None:
    """When objects are deleted before the query reads them, the query is repeated."""
    _fill(store)
    asked = 0

    def question(connection: duckdb.DuckDBPyConnection) -> int:
        nonlocal asked
        asked += 1
        if asked == 1:
            compact(store, "run-a")
        return _count(connection)

    assert resilient_query(store.url, question) == QueryResult(12, ())
    assert asked == 2


def test_a_wrong_query_is_not_the_stores_fault(folder: FolderStore) -> None:
    """A wrong query fails once, as in a store without damage."""
    asked = 0

    def question(connection: duckdb.DuckDBPyConnection) -> object:
        nonlocal asked
        asked += 1
        return connection.execute("SELECT error('mine') FROM episodes").fetchall()

    with pytest.raises(duckdb.Error, match="mine"):
        resilient_query(folder.url, question)
    assert asked == 1


def test_the_command_line_says_what_is_lost(folder: FolderStore, muses: Muses) -> None:
    """The warning is on stderr, once; stdout has the result, and the exit code is 0."""
    Path(folder.uri(str(BAD))).write_bytes(b"")
    done = muses("sql", "select count(*) as n from episodes", "--format", "csv", "--store", folder.url)
    assert (done.returncode, done.stdout) == (0, "n\n8\n")
    assert done.stderr.count(WHAT) == 1
    assert str(BAD) in done.stderr


@pytest.mark.slow
def test_ten_thousand_small_shards(tmp_path: Path) -> None:
    """Ten thousand shards give the same result as few."""
    store = open_store(str(tmp_path / "store"))
    _fill(store, 1)
    data = Path(store.uri(str(KEY)))
    for number in range(1, 10_000):
        Path(store.uri(str(replace(KEY, number=number)))).hardlink_to(data)
    with storage.connect(store.url) as connection:
        assert connection.execute("SELECT count(*) FROM traces").fetchone() == (40_000,)
    assert storage.scan(store.url).select("episode_id").collect().height == 4


BIG = 10_000_000


@pytest.mark.parametrize(
    "text",
    [
        "x" * BIG,
        "\N{PILE OF POO}" * (BIG // 4),
        "\0" * 1000,
        "a\0b\r\n\t\x7f\x85\u2028\u2029\ufeff\ufffe\uffff",
        "e\u0301 \u202eright to left\u202c \U0001f468\u200d\U0001f469\u200d\U0001f467 \u0600\u0627 \U0010ffff",
        "'; DROP TABLE traces; -- \" \\ %s {} $1",
        "",
    ],
    ids=["10 MB", "10 MB of four bytes", "NULs", "controls", "joined", "SQL", "empty"],
)
def test_any_text_comes_back(store: ObjectStore, text: str) -> None:
    """Any text is read back from a shard, with SQL, with Polars and from a sealed object."""
    one = episode(1, messages=(Message(1, "agent", (text[:1000],), text),))
    create_or_check(store, MANIFEST)
    write_shard(store, KEY, [one])
    assert read_shard(store, KEY) == [one]

    def seen() -> list[str]:
        with storage.connect(store.url) as connection:
            in_sql = connection.execute("SELECT content FROM messages").fetchall()[0][0]
        (in_polars,) = storage.scan(store.url).collect()["messages"].to_list()[0]
        return [in_sql, in_polars["content"]]

    assert seen() == [text, text]
    compact(store, "run-a")
    assert seen() == [text, text]


@pytest.mark.parametrize(
    ("manifest", "problem"),
    [(b"{", "not a run's manifest"), (b'{"manifest_version": 99}', "upgrade it")],
    ids=["damaged", "newer"],
)
def test_a_manifest_that_cannot_be_read(folder: FolderStore, muses: Muses, manifest: bytes, problem: str) -> None:
    """The live objects of its run are unknown, so the whole run is reported as missing; other runs are read."""
    _fill_other(folder)
    Path(folder.uri(manifest_key("run-a"))).write_bytes(manifest)
    found = resilient_query(folder.url, _count)
    assert found.value == 4
    (lost,) = found.lost
    assert (lost.key, str(lost).endswith("all of run run-a is missing")) == ("runs/run-a.json", True)
    assert problem in lost.problem
    with pytest.raises(StoreError, match=problem):
        resilient_query(folder.url, _count, "run-a")
    done = muses("sql", "select count(*) as n from episodes", "--format", "csv", "--store", folder.url)
    assert (done.returncode, done.stdout) == (0, "n\n4\n")
    assert "all of run run-a is missing" in done.stderr
