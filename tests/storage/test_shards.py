"""A shard is stored once, and indexed without reading transcripts."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from muses_eval.pipeline.errors import StoreError
from muses_eval.storage.objects.object_keys import ShardKey
from muses_eval.storage.objects.object_store import MissingObjectError, ObjectStore
from muses_eval.storage.runs.shards import DamagedObjectError, RunIndex, read_index, read_shard, write_shard
from muses_eval.storage.schema.parquet_schema import VERSION_KEY, episodes_table

from tests.storage.samples import episode, failed

KEY = ShardKey("run-a", "model-a", "queue", 42, 1)


def test_a_shard_is_stored_once(store: ObjectStore) -> None:
    """A second write of the same attempt returns False."""
    assert write_shard(store, KEY, [episode(1), failed(2)])
    assert not write_shard(store, KEY, [episode(3)])
    assert read_shard(store, KEY) == [episode(1), failed(2)]


def test_workers_race_for_a_shard(store: ObjectStore) -> None:
    """Exactly one write succeeds, and its episodes are stored."""
    shards = [[episode(number)] for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        won = list(threads.map(lambda episodes: write_shard(store, KEY, episodes), shards))
    assert won.count(True) == 1
    assert read_shard(store, KEY) == shards[won.index(True)]


def test_an_empty_run(store: ObjectStore) -> None:
    """No episode is scored, and every shard is at its first attempt."""
    index = read_index(store, "run-a")
    assert index == RunIndex(frozenset(), {})
    assert index.next_attempt("model-a", "queue", 42) == 1


def test_the_index_of_a_run(store: ObjectStore) -> None:
    """The index has the scored episodes of all attempts and the highest attempt numbers, and nothing of other runs.

    Attempts count across the keys of version 0.1 and the present ones.
    """
    write_shard(store, replace(KEY, is_old=True), [episode(1), failed(2)])
    assert read_index(store, "run-a").next_attempt("model-a", "queue", 42) == 2
    write_shard(store, ShardKey("run-a", "model-a", "queue", 42, 2), [failed(2)])
    write_shard(store, ShardKey("run-a", "model-a", "queue", 42, 10), [episode(2)])
    write_shard(store, ShardKey("run-a", "model-b", "access", 0, 1), [failed(3), failed(4, outcome="budget_stopped")])
    write_shard(store, ShardKey("run-ab", "model-a", "queue", 7, 1), [episode(5)])
    store.put_if_absent("traces/run=run-a/model=model-a/family=queue/notes.parquet", b"not ours")
    index = read_index(store, "run-a")
    assert index.scored == {episode(1).episode_id, episode(2).episode_id}
    assert index.attempts == {("model-a", "queue", 42): 10, ("model-b", "access", 0): 1}
    assert index.next_attempt("model-a", "queue", 42) == 11


def test_damaged_objects_are_named(store: ObjectStore) -> None:
    """The index names the damaged shard, and its episodes do not count as scored; the others are read."""
    for number in range(3):
        write_shard(store, ShardKey("run-a", "model-a", "queue", number, 1), [episode(number)])
    damaged = ShardKey("run-a", "model-a", "queue", 3, 1)
    store.put_if_absent(str(damaged), store.get(str(ShardKey("run-a", "model-a", "queue", 0, 1)))[:-20])
    with pytest.raises(DamagedObjectError, match=rf"{damaged}: not a readable Parquet file"):
        read_shard(store, damaged)
    index = read_index(store, "run-a")
    assert index.scored == {episode(number).episode_id for number in range(3)}
    assert list(index.damaged) == [str(damaged)]
    assert "not a readable Parquet file" in index.damaged[str(damaged)]


def test_a_newer_version_is_no_damage(store: ObjectStore) -> None:
    """The index raises an error and asks for an upgrade, since newer episodes must not be played again."""
    table = episodes_table([episode(1)]).replace_schema_metadata({VERSION_KEY: b"99"})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    store.put_if_absent(str(KEY), sink.getvalue().to_pybytes())
    store.put_if_absent(str(replace(KEY, number=1)), b"PAR1")
    for read in (lambda: read_index(store, "run-a"), lambda: read_shard(store, KEY)):
        with pytest.raises(StoreError, match=rf"{KEY}: written with schema version 99; .* upgrade it") as caught:
            read()
        assert not isinstance(caught.value, DamagedObjectError)


def test_a_missing_shard(store: ObjectStore) -> None:
    """The error is MissingObjectError."""
    with pytest.raises(MissingObjectError):
        read_shard(store, KEY)
