"""One episode is found by the beginning of its id."""

from dataclasses import replace

import pytest
from muses_eval.pipeline.errors import MusesError
from muses_eval.storage.objects.object_keys import ShardKey
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.query.duckdb_connection import connect
from muses_eval.storage.query.find_episode import find_episode
from muses_eval.storage.runs.shards import write_shard

from tests.storage.samples import SAMPLE, failed

KEY = ShardKey("run-a", "model-a", "queue", 0, 1)
FIRST, SECOND = replace(SAMPLE, episode_id="abc0" * 8), replace(SAMPLE, episode_id="abd0" * 8)


@pytest.fixture
def filled(store: ObjectStore) -> ObjectStore:
    """Returns a store with two episodes whose ids have a common prefix."""
    write_shard(store, KEY, [FIRST, SECOND])
    return store


def test_the_beginning_of_an_id_is_enough(filled: ObjectStore) -> None:
    """The whole episode is returned, transcript included."""
    with connect(filled.url) as connection:
        assert find_episode(connection, "abc") == FIRST
        assert find_episode(connection, SECOND.episode_id) == SECOND


def test_unknown_and_ambiguous(filled: ObjectStore) -> None:
    """The message says which of the two it is, and lists the candidates."""
    with connect(filled.url) as connection:
        with pytest.raises(MusesError, match="no episode of the store has an id that begins with 'x'"):
            find_episode(connection, "x")
        with pytest.raises(MusesError, match=rf"several .* {FIRST.episode_id} \(run run-a\), {SECOND.episode_id}"):
            find_episode(connection, "ab")
        with pytest.raises(MusesError, match="no episode of the run 'run-b'"):
            find_episode(connection, "abc", run_id="run-b")


def test_the_same_episode_in_two_runs(filled: ObjectStore) -> None:
    """The run must be named to choose between the two."""
    write_shard(filled, replace(KEY, run_id="run-b"), [replace(FIRST, run_id="run-b")])
    with connect(filled.url) as connection:
        with pytest.raises(MusesError, match="name the run"):
            find_episode(connection, "abc")
        assert find_episode(connection, "abc", run_id="run-b").run_id == "run-b"


def test_of_several_attempts_the_one_that_counts(filled: ObjectStore) -> None:
    """An episode with several attempts is not ambiguous; the attempt that the views show is returned."""
    late = replace(failed("late", attempt=2), episode_id=FIRST.episode_id)
    write_shard(filled, replace(KEY, attempt=2), [late])
    with connect(filled.url) as connection:
        assert find_episode(connection, "abc") == FIRST
