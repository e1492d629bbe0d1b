"""Reuse of an earlier run: whole cells under new shard numbers, flagged, and never twice."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.errors import StoreError
from muses_eval.pipeline.hashing import digest
from muses_eval.pipeline.plan.plan import Cell, EpisodePlan, ShardPlan
from muses_eval.storage.objects.object_keys import RescoredKey, ShardKey
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.query.duckdb_connection import connect
from muses_eval.storage.runs.manifest import CellRecord, create_or_check, read_manifest
from muses_eval.storage.runs.rescored import RescoredEpisode, write_rescored
from muses_eval.storage.runs.reuse import (
    REUSED,
    ReusableCell,
    ReuseDecision,
    as_reused,
    copy_reused_cells,
    decide_reuse,
    find_reusable_cells,
)
from muses_eval.storage.runs.shards import RunIndex, read_index, read_shard, write_shard
from muses_eval.storage.runs.spending import read_spending
from muses_eval.storage.upkeep.compaction import compact

from tests.storage.samples import MANIFEST, SAMPLE, episode, failed

TONIGHT, BEFORE, FIRST = "nightly-2", "nightly-1", "nightly-0"
KEY = digest("key")


def planned(name: str, shard: int = 0) -> EpisodePlan:
    return EpisodePlan(digest(name), name, "says", 0, shard, 0)


def cell(*shards: Sequence[str], family: str = "queue") -> Cell:
    plans = tuple(ShardPlan(number, tuple(map(planned, names))) for number, names in enumerate(shards))
    return Cell(ModelSpec("model a", "openai", "m"), family, "published", plans)


def record(played_in: str, key: str = KEY) -> CellRecord:
    return CellRecord(model="model a", family="queue", template="published", content_key=key, played_in=played_in)


CELL = cell(["a", "b"], ["c"])
SOURCE = ReusableCell(BEFORE, FIRST)


def put_before(store: ObjectStore, *episodes: Episode) -> None:
    """Stores the earlier run, sealed, with other shards than the new run."""
    create_or_check(store, replace(MANIFEST, run_id=BEFORE, cells=(record(FIRST),)))
    rows = [replace(each, run_id=BEFORE, model="model a", base_model="model a", shard=7) for each in episodes]
    write_shard(store, ShardKey(BEFORE, "model-a", "queue", 7, 1), rows)
    compact(store, BEFORE)


def names(decisions: Sequence[ReuseDecision]) -> list[str]:
    return [each.record.played_in for each in decisions]


def test_what_is_taken_over() -> None:
    """Only whole cells are reused; a run completes the cells that it has begun to play."""
    sources, part = {KEY: SOURCE}, cell(["b"], ["c"])
    (decision,) = decide_reuse([(CELL, KEY)], [CELL], [], TONIGHT, sources)
    assert (decision.record.played_in, decision.copy_from) == (FIRST, BEFORE)
    assert names(decide_reuse([(CELL, KEY)], [CELL], [], TONIGHT, {})) == [TONIGHT]
    assert names(decide_reuse([(CELL, KEY)], [part], [record(TONIGHT)], TONIGHT, sources)) == [TONIGHT]
    assert names(decide_reuse([(CELL, KEY)], [part], [], TONIGHT, sources)) == [TONIGHT]


def test_a_start_after_a_cut_off_one_goes_on() -> None:
    """A cell that was copied in part is completed; when its source is deleted, the rest is played."""
    sources, part = {KEY: SOURCE}, cell(["b"], ["c"])
    (decision,) = decide_reuse([(CELL, KEY)], [part], [record(FIRST)], TONIGHT, sources)
    assert (decision.record.played_in, decision.copy_from) == (FIRST, BEFORE)
    assert names(decide_reuse([(CELL, KEY)], [], [record(FIRST)], TONIGHT, {})) == [FIRST]
    assert names(decide_reuse([(CELL, KEY)], [part], [record(FIRST)], TONIGHT, {})) == [TONIGHT]


def test_what_was_played_keeps_the_key_that_it_was_played_with() -> None:
    """A cell keeps the content key of its first episodes, so no later night reuses old results under a new key."""
    part, old = cell(["b"], ["c"]), [record(TONIGHT, "0" * 32)]
    for pending in ([], [part]):
        (decision,) = decide_reuse([(CELL, KEY)], pending, old, TONIGHT, {KEY: SOURCE})
        assert (decision.record.content_key, decision.record.played_in) == ("0" * 32, TONIGHT)
        assert decision.copy_from is None
    (decision,) = decide_reuse([(CELL, KEY)], [CELL], old, TONIGHT, {})
    assert decision.record.content_key == KEY
    (decision,) = decide_reuse([(CELL, KEY)], [part], [record(FIRST, "0" * 32)], TONIGHT, {KEY: SOURCE})
    assert decision.record.played_in == TONIGHT


def test_a_source_has_scored_every_episode() -> None:
    """``played_in`` is the run that called the model, not the one that copied the cell."""
    before, ids = replace(MANIFEST, run_id=BEFORE, cells=(record(FIRST),)), [digest(name) for name in "abc"]
    assert find_reusable_cells(before, ids, [(CELL, KEY)]) == {KEY: SOURCE}
    assert find_reusable_cells(before, ids[:2], [(CELL, KEY)]) == {}
    assert find_reusable_cells(before, ids, [(CELL, digest("other"))]) == {}


def reuse(store: ObjectStore, whole: Cell = CELL, pending: Cell = CELL, index: RunIndex | None = None) -> None:
    decisions = decide_reuse([(whole, KEY)], [pending], [record(FIRST)], TONIGHT, {KEY: SOURCE})
    copy_reused_cells(store, decisions, TONIGHT, index or RunIndex(frozenset(), {}))


def test_episodes_become_ours(store: ObjectStore) -> None:
    """Copies have the plan's shard numbers, the flag and no cost; everything else is unchanged."""
    rows = [episode(name, scenario_id=name, flags=("length",)) for name in "abc"]
    put_before(store, *rows)
    better = (replace(SAMPLE.scores[0], value=0.875),)
    write_rescored(store, RescoredKey(BEFORE, "queue", 2, 0), [RescoredEpisode(BEFORE, rows[0].episode_id, 2, better)])
    create_or_check(store, replace(MANIFEST, run_id=TONIGHT))
    reuse(store)
    first = ShardKey(TONIGHT, "model-a", "queue", 0, 1)
    second = replace(first, number=1)
    assert [each.episode_id for each in read_shard(store, second)] == [digest("c")]
    found = {each.scenario_id: each for key in (first, second) for each in read_shard(store, key)}
    free = tuple(replace(call, cached=True, cost_usd=0.0) for call in SAMPLE.calls)
    expected = {
        name: replace(
            episode(name, scenario_id=name, run_id=TONIGHT, model="model a"),
            shard=int(name == "c"),
            flags=("length", REUSED),
            cost_usd=0.0,
            calls=free,
            scores=better if name == "a" else SAMPLE.scores,
            scorer_version=2 if name == "a" else 1,
        )
        for name in "abc"
    }
    assert found == expected
    assert read_index(store, TONIGHT).scored == {each.episode_id for each in rows}
    assert read_spending(store, TONIGHT).calls == 0
    with connect(store.url, TONIGHT) as connection:
        asked = connection.execute("SELECT calls, cached_calls, cost_usd FROM usage").fetchall()
    assert asked == [(0, 3, 0.0)]


def test_a_second_night_marks_once() -> None:
    key = ShardKey(TONIGHT, "model-a", "queue", 0, 1)
    once = as_reused(SAMPLE, key)
    assert as_reused(once, replace(key, run_id="nightly-3")).flags == (REUSED,)


def test_the_rest_of_a_cell(store: ObjectStore) -> None:
    """A start after an interruption writes the missing episodes as the shard's next attempt."""
    put_before(store, *(episode(name, scenario_id=name) for name in "abc"))
    create_or_check(store, replace(MANIFEST, run_id=TONIGHT))
    reuse(store, pending=cell(["b"]), index=RunIndex(frozenset({digest("a")}), {("model-a", "queue", 0): 1}))
    (found,) = read_shard(store, ShardKey(TONIGHT, "model-a", "queue", 0, 2))
    assert (found.episode_id, found.attempt) == (digest("b"), 2)
    assert read_index(store, TONIGHT).scored == {digest("b")}


def test_an_earlier_run_that_is_not_whole_is_named(store: ObjectStore) -> None:
    """Shards copied before the error are stored."""
    put_before(store, episode("a", scenario_id="a"), episode("b", scenario_id="b"), failed("c", scenario_id="c"))
    create_or_check(store, replace(MANIFEST, run_id=TONIGHT))
    with pytest.raises(StoreError, match=r"nightly-1.* has 0 of 1 episodes of model a on queue, shard 1"):
        reuse(store)
    assert read_index(store, TONIGHT).scored == {digest("a"), digest("b")}


def test_a_damaged_earlier_run_is_named(store: ObjectStore) -> None:
    put_before(store, *(episode(name, scenario_id=name) for name in "abc"))
    create_or_check(store, replace(MANIFEST, run_id=TONIGHT))
    (entry,) = read_manifest(store, BEFORE).sealed
    store.delete(entry.key)
    store.put_if_absent(entry.key, b"no parquet")
    with pytest.raises(StoreError, match=r"the run 'nightly-1' cannot be read"):
        reuse(store)
