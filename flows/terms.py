"""On whose money a run is played: what its budget leaves, what its cells have cost so far, where answers are kept."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.config import RunConfig
from pipeline.datasets import Dataset
from pipeline.estimate import Expectations, Load
from pipeline.plan import Plan
from storage.objects import ObjectStore
from storage.shards import RunIndex
from storage.spending import read_loads, read_spending, read_untold
from workers.purse import UNKNOWN, Bill, Experience, PurseSpec, purse_cell, total

_CACHE = "responses"
"""Folder below MUSES_HOME."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What goes with every shard of a run."""

    purse: PurseSpec | None = None
    cache: str | None = None
    """The store in which answers are kept."""

    @property
    def used_up(self) -> bool:
        """Whether earlier starts have left nothing."""
        if self.purse is None:
            return False
        cap, before = self.purse.cap, self.purse.before
        return (cap.usd is not None and before.usd >= cap.usd) or (
            cap.tokens is not None and before.tokens >= cap.tokens
        )


class Begun(Protocol):
    """A run that is about to be played; :class:`flows.evaluate.PreparedRun` is one."""

    @property
    def config(self) -> RunConfig: ...
    @property
    def dataset(self) -> Dataset: ...
    @property
    def plan(self) -> Plan: ...
    @property
    def store(self) -> ObjectStore: ...
    @property
    def index(self) -> RunIndex: ...


def read_terms(run: Begun, home: Path) -> Terms:
    """The terms of one start of a run; *home*: MUSES_HOME."""
    cache = {"off": None, "local": str(home / _CACHE), "store": run.store.url}[run.config.cache]
    if run.config.budget is None:
        return Terms(cache=cache)
    expected, stored = _Expected(run.plan, run.dataset), (run.store, run.plan.run_id, run.index.damaged)
    spent = read_spending(*stored)
    # What was paid for without numbers counts as it was expected.
    unpriced, uncounted = (total(map(expected.bill, episodes)) for episodes in read_untold(*stored))
    before = Bill(spent.usd + unpriced.usd, spent.tokens + uncounted.tokens)
    learned = expected.experience(read_loads(*stored))
    return Terms(PurseSpec(f"{run.plan.run_id}/{uuid.uuid4()}", run.config.budget.spec(), before, learned), cache)


class _Expected:
    """What the episodes of a run are expected to use, by the rules of thumb."""

    def __init__(self, plan: Plan, dataset: Dataset) -> None:
        self._users, self._dataset = plan.users, dataset
        self._expectations = Expectations(plan.users)
        self._episodes = {
            episode.id: (cell, episode) for cell in plan.cells for shard in cell.shards for episode in shard.episodes
        }

    def bill(self, episode_id: str) -> Bill:
        """Of one episode; nothing for one that the run no longer has."""
        if episode_id not in self._episodes:
            return Bill()
        cell, episode = self._episodes[episode_id]
        scenario = self._dataset.by_family[cell.family][episode.scenario_id]
        return Bill.of(self._expectations.load(cell.model, scenario, episode.template), cell.model, self._users)

    def experience(self, loads: Mapping[str, Load]) -> dict[str, Experience]:
        """By cell, from the episodes whose loads are known."""
        found: dict[str, Experience] = {}
        for episode_id, load in loads.items():
            if episode_id in self._episodes:
                cell, _ = self._episodes[episode_id]
                one = Experience(self.bill(episode_id), Bill.of(load, cell.model, self._users))
                key = purse_cell(cell.model, cell.family)
                found[key] = found.get(key, UNKNOWN) + one
        return found
