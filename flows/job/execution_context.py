"""Execution context of a run: its budget and its response cache."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from muses_eval.flows.job.run_budget import RunBudget, open_budget, read_spending_history
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.datasets.dataset import Dataset
from muses_eval.pipeline.plan.plan import Plan
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.runs.shards import RunIndex

_CACHE = "responses"
"""Folder of the local cache below MUSES_HOME."""


@dataclass(frozen=True, slots=True)
class ExecutionContext:
    """Budget and cache that every shard of a run gets."""

    budget: RunBudget | None = None
    cache: str | None = None
    """Store in which responses are cached."""

    @property
    def used_up(self) -> bool:
        """True when the budget allows no further episode."""
        return self.budget is not None and self.budget.used_up


class OpenedRun(Protocol):
    """A run that is about to be played; :class:`muses_eval.flows.job.prepare.PreparedRun` is one."""

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


def read_context(run: OpenedRun, home: Path, budget: RunBudget | None = None) -> ExecutionContext:
    """Reads the execution context of one start of a run.

    Args:
        run: the run.
        home: the folder MUSES_HOME.
        budget: a budget shared with other runs; None: the run's own budget, if its config has one.
    """
    cache = {"off": None, "local": str(home / _CACHE), "store": run.store.url}[run.config.cache]
    if run.config.budget is not None and budget is None:
        ledger = read_spending_history(run.plan, run.dataset, run.store, run.index)
        budget = RunBudget(open_budget(run.plan.run_id, run.config.budget, [ledger]), ledger)
    return ExecutionContext(budget, cache)
