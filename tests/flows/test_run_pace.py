"""The time left that a run reports half-way is right within a factor of 1.5, however unlike its cells are.

Synthetic schedules of shards are replayed against a clock of their own: the estimate is a function of the events alone.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from muses_eval.flows.job.prepare import load_dataset, plan_run
from muses_eval.flows.job.run_pace import RunPace
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.plan.plan import Plan
from muses_eval.storage.objects.object_keys import ShardKey
from muses_eval.workers.limits import AccountStatus, LimitsSnapshot

from tests.flows.test_stall_alarm import TRYING


@dataclass
class Schedule:
    """A run: how long a shard of each cell takes, and what limits it."""

    models: Mapping[str, float]
    """Model -> factor on the durations of its shards."""
    families: Mapping[str, float]
    """Family -> seconds of a shard."""
    shards: int = 12
    """Shards of each cell."""
    places: int = 4
    capacity: Mapping[str, float] = field(default_factory=dict)
    """Model -> number of its shards that its account plays at full speed; more of them are slower in proportion."""
    noise: float = 0.15
    account: str | None = None
    """Account that all models share; None: each has its own."""

    def plan(self, folder: Path) -> Plan:
        account = {} if self.account is None else {"account": self.account}
        models = [{"model": f"openai:{m}", "base_url": f"http://127.0.0.1/{m}", **account} for m in self.models]
        raw = {"models": models, "families": list(self.families), "dataset": f"generated:{self.shards}"}
        config = parse_config({**raw, "execution": {"shard_size": 1}, "run_id": "r", "store": str(folder)}, "here")
        return plan_run(config, load_dataset(config))


@dataclass
class InFlight:
    key: ShardKey
    account: str
    work_s: float


def played(schedule: Schedule, plan: Plan, seed: int, ask_at: float) -> tuple[float | None, float]:
    """Plays a schedule in steps of a second; returns the time left at *ask_at* as it is estimated, and the end."""
    rng, now = random.Random(seed), [0.0]
    pace = RunPace(lambda: now[0])
    pace.expect("r", plan.cells)
    name_of = {cell.slug: cell.model.model for cell in plan.cells}
    account_of = {cell.slug: each.account or "" for cell, each in zip(plan.cells, pace.cells(), strict=True)}
    waiting: dict[str, list[tuple[ShardKey, float]]] = {}
    for cell in plan.cells:
        for shard in cell.shards:
            work = schedule.models[name_of[cell.slug]] * schedule.families[cell.family]
            work *= rng.lognormvariate(0.0, schedule.noise)
            waiting.setdefault(cell.slug, []).append((ShardKey("r", cell.slug, cell.family, shard.number, 1), work))
    capacity = {account_of[slug]: schedule.capacity[m] for slug, m in name_of.items() if m in schedule.capacity}
    playing: list[InFlight] = []
    said: float | None = None
    while playing or waiting:
        while waiting and len(playing) < schedule.places:
            held = {slug: sum(each.key.model == slug for each in playing) for slug in waiting}
            slug = min(waiting, key=lambda name: held[name])
            queue = waiting.pop(slug)
            key, work = queue.pop(0)
            if queue:
                waiting[slug] = queue
            playing.append(InFlight(key, account_of[slug], work))
            pace.started(key, 1)
        now[0] += 1.0
        users = {a: sum(each.account == a for each in playing) for a in account_of.values()}
        for each in list(playing):
            each.work_s -= min(1.0, capacity.get(each.account, 1e9) / users[each.account])
            if each.work_s <= 0:
                playing.remove(each)
                pace.ended(each.key, stored=True)
        at_limit = {a for a in users if users[a] > capacity.get(a, 1e9)}
        pace.status(LimitsSnapshot(tuple(status(a, waiting=5 if a in at_limit else 0) for a in users)))
        if now[0] == ask_at:
            said = pace.time_left()
    assert pace.time_left() == 0.0
    return said, now[0]


def status(account: str, waiting: int) -> AccountStatus:
    return replace(TRYING, name=account, waiting=waiting)


FAST_FAMILIES = {"queue": 8.0, "instruct": 12.0, "access": 36.0}
SCHEDULES = {
    "slow meetings at the end": Schedule({"m": 1.0}, {**FAST_FAMILIES, "meeting": 240.0}),
    "few and very slow meetings": Schedule({"m": 1.0}, {"queue": 4.0, "meeting": 360.0}, shards=8),
    "models of ten times different speed": Schedule(
        {"a": 1.0, "b": 3.0, "c": 10.0}, {**FAST_FAMILIES, "meeting": 48.0}, shards=6
    ),
    "the slowest cell has no stored shard half-way": Schedule(
        {"a": 1.0, "b": 10.0}, {**FAST_FAMILIES, "meeting": 80.0}, shards=2, noise=0.05
    ),
    "more places than the last model needs": Schedule({"a": 1.0, "b": 8.0}, FAST_FAMILIES, shards=20, places=16),
    "one account at its limit": Schedule({"a": 1.0, "b": 2.0}, FAST_FAMILIES, shards=20, capacity={"b": 1.0}),
    "a shared account at its limit": Schedule(
        {"a": 1.0, "b": 5.0}, FAST_FAMILIES, shards=20, capacity={"a": 1.5}, account="shared"
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_half_way_the_time_left_is_right_within_a_factor_of_1_5(name: str, tmp_path: Path) -> None:
    plan = SCHEDULES[name].plan(tmp_path)
    for seed in range(2):
        _, end = played(SCHEDULES[name], plan, seed, 0.0)
        estimate, _ = played(SCHEDULES[name], plan, seed, end // 2)
        truth = end - end // 2
        assert estimate is not None
        assert truth / 1.5 <= estimate <= truth * 1.5, f"seed {seed}: {estimate:.0f} s instead of {truth:.0f} s"
