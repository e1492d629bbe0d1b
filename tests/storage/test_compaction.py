"""Compaction: a few sorted objects with each episode once; a crash at any step loses and duplicates nothing."""

import io
import threading
from dataclasses import replace
from itertools import count

import pyarrow.parquet as pq
import pytest
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.episode.score import Score
from muses_eval.pipeline.errors import StoreError
from muses_eval.storage.objects.object_keys import RescoredKey, ShardKey, lock_key
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.query.duckdb_connection import connect
from muses_eval.storage.query.polars_frames import scan
from muses_eval.storage.runs.manifest import create_or_check, read_manifest, reopen
from muses_eval.storage.runs.process_identity import ProcessIdentity
from muses_eval.storage.runs.rescored import RescoredEpisode, played_families, read_pending_rescore, write_rescored
from muses_eval.storage.runs.run_lock import HEARTBEAT, LockLostError, LockRecord, RunLockedError, hold_run_lock
from muses_eval.storage.runs.shards import DamagedObjectError, read_episodes, read_index, write_shard
from muses_eval.storage.upkeep.compaction import ORDER, CompactionSettings, compact
from muses_eval.storage.upkeep.key_ranges import KeyRange, split_key_ranges
from muses_eval.storage.upkeep.verify import verify

from tests.storage.crashing_store import Crash, WatchedStore, breaking
from tests.storage.samples import MANIFEST, episode, failed, scored

SMALL = CompactionSettings(object_bytes=1, group_rows=4, range_rows=5)
"""Settings with which every row group becomes an object and only few episodes are sorted at a time."""
TWO = CompactionSettings(object_bytes=1, group_rows=10)
PLANNED = {("model-a", "queue"): 8, ("model-b", "queue"): 4, ("model-a", "access"): 4}


def fill(store: ObjectStore) -> list[Episode]:
    """Stores a run with retries and rescored episodes, begun by version 0.1; returns the rows that count."""
    create_or_check(store, replace(MANIFEST, planned=PLANNED))
    first = [scored(("a", n), {"f1": n / 8}, scenario_id=f"s{n}") for n in range(6)]
    lost = [failed(("a", n), scenario_id=f"s{n}") for n in range(6, 8)]
    again = [
        scored(("a", 6), {"f1": 0.5}, scenario_id="s6", attempt=2),
        failed(("a", 7), scenario_id="s7", attempt=2, error="again"),
    ]
    other = [scored(("b", n), {"f1": 1.0}, model="model-b", scenario_id=f"s{n}", shard=1) for n in range(4)]
    access = [scored(("c", n), {"privacy": 1.0}, family="access", scenario_id=f"t{n}", shard=2) for n in range(4)]
    write_shard(store, ShardKey("run-a", "model-a", "queue", 0, 1, is_old=True), [*first, *lost])
    write_shard(store, ShardKey("run-a", "model-a", "queue", 0, 2), again)
    write_shard(store, ShardKey("run-a", "model-b", "queue", 1, 1), other)
    write_shard(store, ShardKey("run-a", "model-a", "access", 2, 1), access)
    better = (Score("published", "f1", 0.75),)
    write_rescored(
        store, RescoredKey("run-a", "queue", 2, 0), [RescoredEpisode("run-a", first[0].episode_id, 2, better)]
    )
    return sorted(
        [replace(first[0], scores=better, scorer_version=2), *first[1:], *again, *other, *access],
        key=lambda each: [getattr(each, name) for name in ORDER],
    )


def shown(store: ObjectStore) -> list[tuple[object, ...]]:
    """Returns all rows of the views ``episodes`` and ``scores``."""
    with connect(store.url) as connection:
        episodes = connection.execute("SELECT episode_id, outcome, attempt, error FROM episodes ORDER BY ALL")
        rows = episodes.fetchall()
        scores = connection.execute("SELECT episode_id, scoring, metric, value FROM scores ORDER BY ALL")
        return [*rows, *scores.fetchall()]


def keys(store: ObjectStore, prefix: str) -> list[str]:
    return [info.key for info in store.list(prefix)]


def stored(store: ObjectStore) -> list[Episode]:
    """Returns the episodes of the sealed objects, in their order."""
    found: list[Episode] = []
    for entry in read_manifest(store, "run-a").sealed:
        rows = pq.read_table(io.BytesIO(store.get(entry.key)), columns=["episode_id"])
        assert rows.num_rows == entry.episodes
        found += read_episodes(store, entry.key, rows.column(0).to_pylist())
    return found


def test_shards_become_sorted_objects(store: ObjectStore) -> None:
    """The sealed objects contain the attempt that counts with its newest scores; shards and parts are deleted."""
    expected, before = fill(store), shown(store)
    report = compact(store, "run-a", settings=SMALL)
    assert (report.episodes, report.objects, report.removed) == (len(expected), 3, 5)
    assert stored(store) == expected
    assert shown(store) == before
    assert keys(store, "traces/") == keys(store, "rescored/") == []
    manifest = read_manifest(store, "run-a")
    assert manifest.state == "sealed"
    assert keys(store, "sealed/") == [entry.key for entry in manifest.sealed]
    assert report.bytes == sum(info.size for info in store.list("sealed/"))
    assert scan(store.url).collect().height == len(expected)


def test_what_is_sorted_at_a_time() -> None:
    """Small cells are combined, a large one is split by ids; each range lists its objects."""
    counts = {
        ("b", "m"): {"k3": 25},
        ("a", "n"): {"k2": 4, "k1": 2},
        ("a", "m"): {"k1": 3},
        ("c", "m"): {"k4": 1},
    }
    pieces = list(split_key_ranges(counts, 10))
    assert pieces == [
        KeyRange((("a", "m"), ("a", "n")), "", None, ("k1", "k2")),
        KeyRange((("b", "m"),), "", "55555555", ("k3",)),
        KeyRange((("b", "m"),), "55555555", "aaaaaaaa", ("k3",)),
        KeyRange((("b", "m"),), "aaaaaaaa", None, ("k3",)),
        KeyRange((("c", "m"),), "", None, ("k4",)),
    ]
    assert list(split_key_ranges({}, 10)) == []


def test_a_sealed_run_stays_as_it_is(store: ObjectStore) -> None:
    """A second compaction writes nothing."""
    fill(store)
    first = compact(store, "run-a")
    before = [info for info in store.list("") if not info.key.startswith("claims/")]
    assert compact(store, "run-a") == replace(first, removed=0)
    assert [info for info in store.list("") if not info.key.startswith("claims/")] == before


def test_other_runs_are_left_alone(store: ObjectStore) -> None:
    """Runs whose ids have the same prefix are not changed."""
    fill(store)
    create_or_check(store, replace(MANIFEST, run_id="run-ab"))
    write_shard(store, ShardKey("run-ab", "model-a", "queue", 0, 1), [episode("other", run_id="run-ab")])
    compact(store, "run-a")
    assert len(keys(store, "traces/")) == 1
    assert read_manifest(store, "run-ab").state == "open"
    with connect(store.url) as connection:
        counts = connection.execute("SELECT run_id, count(*) FROM episodes GROUP BY ALL ORDER BY ALL").fetchall()
    assert counts == [("run-a", 16), ("run-ab", 1)]


def test_the_index_of_a_sealed_run(store: ObjectStore) -> None:
    """Pending episodes and the number of attempts per shard stay the same."""
    fill(store)
    before = read_index(store, "run-a")
    compact(store, "run-a", settings=SMALL)
    assert read_index(store, "run-a") == replace(before, sealed=True)


def test_an_empty_run(store: ObjectStore) -> None:
    """An empty run can be compacted and reopened."""
    create_or_check(store, MANIFEST)
    assert compact(store, "run-a").objects == 0
    assert read_index(store, "run-a").sealed


def test_a_run_that_goes_on(store: ObjectStore) -> None:
    """After reopening, new shards count beside the sealed objects; the next compaction merges them."""
    expected = fill(store)
    compact(store, "run-a", settings=SMALL)
    sealed = keys(store, "sealed/")
    reopen(store, "run-a")
    last = next(each for each in expected if each.outcome != "scored")
    done = replace(
        last, outcome="scored", error=None, error_kind=None, attempt=3, scores=(Score("published", "f1", 1.0),)
    )
    index = read_index(store, "run-a")
    assert index.next_attempt("model-a", "queue", 0) == 3
    write_shard(store, ShardKey("run-a", "model-a", "queue", 0, 3), [done])
    assert read_index(store, "run-a").scored == index.scored | {done.episode_id}
    before = shown(store)
    assert len({row[0] for row in before}) == len(expected)
    compact(store, "run-a", settings=SMALL)
    assert stored(store) == [done if each == last else each for each in expected]
    assert shown(store) == before
    assert set(keys(store, "sealed/")) == {entry.key for entry in read_manifest(store, "run-a").sealed} != set(sealed)


def test_new_scores_of_a_sealed_run(store: ObjectStore) -> None:
    """New scores are shown instead of those in sealed objects, and are merged by the next compaction."""
    expected = fill(store)
    compact(store, "run-a", settings=SMALL)
    assert played_families(store, "run-a") == ("access", "queue")
    owed = read_pending_rescore(store, "run-a", "queue", 2)
    assert owed.count == 10  # of twelve episodes, one has no scores and one has scores of version 2
    assert (owed.current, owed.unscored, owed.next_part) == (1, 1, 0)
    key, ids = next(iter(owed.episodes.items()))
    found = list(read_episodes(store, key, ids))
    assert {each.episode_id for each in found} == set(ids)
    new = RescoredEpisode("run-a", found[0].episode_id, 2, (Score("published", "f1", 0.125),))
    write_rescored(store, RescoredKey("run-a", "queue", 2, 0), [new])
    before = shown(store)
    assert compact(store, "run-a", settings=SMALL).removed >= 1
    assert shown(store) == before
    by_id = {each.episode_id: each for each in stored(store)}
    assert (by_id[new.episode_id].scores, len(by_id)) == (new.scores, len(expected))


@pytest.mark.parametrize(
    "from_sealed",
    [pytest.param(False, id="shards"), pytest.param(True, id="sealed-and-resumed", marks=pytest.mark.slow)],
)
def test_a_crash_at_any_step(store_url: str, from_sealed: bool) -> None:
    """After a crash at any step, every episode counts once, and the next compaction completes the work."""
    before: list[tuple[object, ...]] = []
    for changes in count(step=2 if store_url.startswith("s3://") else 1):
        store = open_store(f"{store_url}/{changes}")
        expected = fill(store)
        if from_sealed:
            compact(store, "run-a")
            reopen(store, "run-a")
            late = episode("late", attempt=3)
            write_shard(store, ShardKey("run-a", "model-a", "queue", 0, 3), [late])
            expected = [*expected, late]
        before = before or shown(store)  # the same in every step, as is the index
        index = read_index(store, "run-a")
        try:
            compact(breaking(store, changes), "run-a", settings=TWO)
        except Crash:
            is_done = False
        else:
            is_done = True
        assert shown(store) == before, f"after {changes} changes"
        assert replace(read_index(store, "run-a"), sealed=False) == index
        assert scan(store.url).select("episode_id").collect().height == len(expected)
        if is_done:
            break
        compact(store, "run-a", settings=TWO)
        assert verify(store, "run-a").stored == len(expected)
        assert keys(store, "traces/") == keys(store, "rescored/") == []
    assert changes > 5


def test_a_late_shard_is_folded_by_the_next_seal(store: ObjectStore) -> None:
    """A late shard of a worker that was believed dead is merged by the next compaction."""
    fill(store)
    compact(store, "run-a")
    write_shard(store, ShardKey("run-a", "model-b", "queue", 9, 1), [episode("late", model="model-b", shard=9)])
    assert compact(store, "run-a").episodes == 17
    assert keys(store, "traces/") == []


def test_a_damaged_shard_is_not_dropped(store: ObjectStore) -> None:
    """The error names the damaged object, and nothing is changed."""
    fill(store)
    whole = store.get(keys(store, "traces/")[0])
    damaged = ShardKey("run-a", "model-b", "queue", 7, 1)
    store.put_if_absent(str(damaged), whole[: len(whole) // 2])
    before = [info for info in store.list("") if not info.key.startswith("claims/")]
    with pytest.raises(DamagedObjectError, match=rf"{damaged}: not a readable .* Nothing was sealed.*resume the run"):
        compact(store, "run-a")
    after = [info for info in store.list("") if not info.key.startswith("claims/")]
    assert [info.key for info in after] == [info.key for info in before]


def test_a_held_run_is_not_sealed(store: ObjectStore) -> None:
    """A run whose lock is held by a driver is not compacted."""
    fill(store)
    with hold_run_lock(store, "run-a", "muses run"), pytest.raises(RunLockedError, match="held by `muses run`"):
        compact(store, "run-a")
    assert read_manifest(store, "run-a").state == "open"


def test_a_compaction_that_lost_the_lock_leaves_the_manifest(store: ObjectStore) -> None:
    """The manifest is not written without the lock, since the new holder may be compacting the run."""
    fill(store)
    other = LockRecord(
        owner="them", work="muses run", process=ProcessIdentity("elsewhere", 1, None, None), since="", beat=0
    )

    def step(key: str) -> None:
        if key.startswith("sealed/"):
            key = lock_key("run-a")
            while store.read(key).data != other.to_json():
                store.replace(key, other.to_json(), store.read(key).tag)
            for thread in threading.enumerate():
                if thread.name == "heartbeat of run-a":
                    thread.join(60)  # it ends when it finds the lock lost

    with pytest.raises(LockLostError):
        compact(WatchedStore(store, step), "run-a", heartbeat=replace(HEARTBEAT, interval_s=0.01))
    assert read_manifest(store, "run-a").state == "open"
    assert len(keys(store, "traces/")) == 4


def test_there_is_no_such_run(store: ObjectStore) -> None:
    """The message lists the existing runs, and no lock object is left."""
    create_or_check(store, MANIFEST)
    with pytest.raises(StoreError, match=r"no run 'run-x' in the store .*; it has run-a"):
        compact(store, "run-x")
    assert keys(store, "claims/") == []
