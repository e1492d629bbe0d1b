"""Usage of a run from its stored calls, including those of all attempts."""

from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from muses_eval.pipeline.episode.call_usage import CallUsage
from muses_eval.pipeline.episode.model_call import Call
from muses_eval.pipeline.plan.episode_usage import EpisodeUsage, RoleUsage
from muses_eval.storage.objects.object_keys import ShardKey
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.manifest import create_or_check, reopen
from muses_eval.storage.runs.shards import write_shard
from muses_eval.storage.runs.spending import read_measured_usage, read_spending, read_unknown_usage
from muses_eval.storage.upkeep.compaction import compact

from tests.storage.crashing_store import Crash, breaking
from tests.storage.samples import MANIFEST, episode, failed

FIRST, SECOND = (ShardKey("run-a", "model-a", "queue", 0, attempt) for attempt in (1, 2))
AGENT = Call("agent", "m", 100, 20, 1.0, 0, "stop", cost_usd=0.5)
USER = Call("user", "u", 10, 2, 0.25, 0, "stop", cost_usd=0.125)
SILENT = replace(AGENT, prompt_tokens=None, cost_usd=None)
KEPT = replace(AGENT, cached=True, cost_usd=0.0)


def test_all_attempts_count_and_kept_answers_do_not(store: ObjectStore) -> None:
    calls = ((AGENT, USER, USER), (AGENT,), (AGENT, SILENT), (KEPT,))
    write_shard(store, FIRST, [failed(1, calls=calls[0]), failed(2, calls=()), episode(3, calls=calls[3])])
    write_shard(store, SECOND, [episode(1, calls=calls[1], attempt=2), failed(2, calls=calls[2], attempt=2)])
    write_shard(store, replace(FIRST, run_id="run-b"), [episode(1, run_id="run-b", calls=(AGENT,) * 9)])
    spent = read_spending(store, "run-a")
    assert spent == sum(map(CallUsage.of, calls), CallUsage())
    assert (spent.calls, spent.uncounted, spent.unpriced) == (6, 1, 1)
    assert spent.usd == pytest.approx(1.75)
    assert read_unknown_usage(store, "run-a") == ((episode(2).episode_id,), (episode(2).episode_id,))


def test_what_a_seal_drops_was_paid_for(store: ObjectStore) -> None:
    """The usage of dropped attempts is kept, also when the run is resumed and compacted again."""
    create_or_check(store, MANIFEST)
    write_shard(store, FIRST, [failed(1, calls=(AGENT, USER)), episode(2, calls=(AGENT,))])
    write_shard(store, SECOND, [episode(1, calls=(AGENT,), attempt=2)])
    before = read_spending(store, "run-a")
    assert before.calls == 4
    compact(store, "run-a")
    assert read_spending(store, "run-a") == before
    third = replace(SECOND, attempt=3)
    reopen(store, "run-a")
    write_shard(store, third, [episode(1, calls=(USER,), attempt=3)])
    compact(store, "run-a")
    assert read_spending(store, "run-a") == before + CallUsage.of((USER,))


def test_a_seal_that_is_cut_off_anywhere_counts_nothing_twice(tmp_path: Path) -> None:
    """The usage is the same right after the crash, after a resume, and after the next compaction."""
    for changes in count():
        store = open_store(str(tmp_path / str(changes)))
        create_or_check(store, MANIFEST)
        write_shard(store, FIRST, [failed(1, calls=(AGENT, USER)), episode(2, calls=(AGENT,))])
        write_shard(store, SECOND, [episode(1, calls=(AGENT,), attempt=2)])
        whole = True
        try:
            compact(breaking(store, changes), "run-a")
        except Crash:
            whole = False
        found = [read_spending(store, "run-a").calls]
        reopen(store, "run-a")
        found.append(read_spending(store, "run-a").calls)
        compact(store, "run-a")
        found.append(read_spending(store, "run-a").calls)
        assert found == [4, 4, 4], changes
        if whole:
            assert changes > 4
            return


def test_nothing_is_nothing(store: ObjectStore) -> None:
    assert read_spending(store, "run-a") == CallUsage()
    assert read_measured_usage(store, "run-a") == {}
    write_shard(store, FIRST, [episode(1, calls=())])
    assert read_spending(store, "run-a") == CallUsage()


def test_damaged_objects_are_passed_over_when_they_are_named(store: ObjectStore) -> None:
    write_shard(store, FIRST, [episode(1, calls=(AGENT,))])
    store.put_if_absent(str(SECOND), b"not Parquet")
    assert read_spending(store, "run-a", {str(SECOND)}).calls == 1


def test_loads_are_of_scored_episodes_that_told_everything(store: ObjectStore) -> None:
    episodes = [
        episode(1, calls=(AGENT, USER, AGENT)),
        episode(2, calls=(AGENT, SILENT)),
        failed(3, calls=(AGENT,)),
        episode(4, calls=(KEPT,)),
    ]
    write_shard(store, FIRST, episodes)
    assert read_measured_usage(store, "run-a") == {
        episode(1).episode_id: EpisodeUsage(RoleUsage(2, 200, 40, 2.0), RoleUsage(1, 10, 2, 0.25)),
        episode(4).episode_id: EpisodeUsage(RoleUsage(1, 100, 20, 1.0)),
    }
