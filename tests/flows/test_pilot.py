"""A pilot is a sample of the run's own episodes."""

from dataclasses import replace

from muses_eval.flows.job.pilot import sample
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.datasets.dataset import generate_dataset
from muses_eval.pipeline.plan.plan import Plan, make_plan

DATA = generate_dataset("30", 0, ("queue", "access"))


def plan() -> Plan:
    config = parse_config({"models": ["scripted/oracle", "scripted/random"]}, "here")
    return make_plan(config.request(DATA.families), DATA, 8)


def ids(plan: Plan) -> set[str]:
    return {episode.id for cell in plan.cells for shard in cell.shards for episode in shard.episodes}


def test_so_many_of_every_cell_and_the_same_ones_again() -> None:
    few, more = (sample(plan(), frozenset(), count) for count in (3, 5))
    assert [cell.episode_count for cell in few.cells] == [3] * 4
    assert ids(few) < ids(more) < ids(plan())
    assert sample(plan(), frozenset(), 3) == few


def test_it_is_not_the_beginning_of_the_dataset() -> None:
    (cell, *_) = plan().cells
    first = {episode.id for episode in cell.shards[0].episodes}
    assert not ids(replace(plan(), cells=sample(plan(), frozenset(), 8).cells[:1])) <= first


def test_what_is_scored_counts() -> None:
    some = frozenset(sorted(ids(plan()))[:40])
    pending = sample(plan(), some, 4)
    assert not ids(pending) & some
    scored = {cell.label: len(ids(replace(plan(), cells=(cell,))) & some) for cell in plan().cells}
    assert {cell.label: cell.episode_count for cell in pending.cells} == {
        label: 4 - count for label, count in scored.items() if count < 4
    }
    assert sample(plan(), frozenset(ids(plan())), 4).cells == ()


def test_episodes_keep_their_shards() -> None:
    whole = {episode.id: shard.number for cell in plan().cells for shard in cell.shards for episode in shard.episodes}
    pilot = sample(plan(), frozenset(), 6)
    for cell in pilot.cells:
        for shard in cell.shards:
            assert all(whole[episode.id] == shard.number for episode in shard.episodes)
