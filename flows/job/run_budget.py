"""Budget of a run: the remaining amount, and the cost of its cells so far."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from muses_eval.pipeline.config.budget import Budget
from muses_eval.pipeline.datasets.dataset import Dataset
from muses_eval.pipeline.plan.episode_usage import EpisodeUsage
from muses_eval.pipeline.plan.plan import Plan
from muses_eval.pipeline.plan.usage_estimator import UsageEstimator
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.runs.shards import RunIndex
from muses_eval.storage.runs.spending import read_measured_usage, read_spending, read_unknown_usage
from muses_eval.workers.budget import NO_HISTORY, BudgetSpec, Cost, CostHistory, CostHistoryByCell, budget_cell, total


@dataclass(frozen=True, slots=True)
class SpendingHistory:
    """Spending of earlier starts of a run, as its store shows it."""

    before: Cost = Cost()
    """Cost of earlier starts."""
    learned: CostHistoryByCell = field(default_factory=dict)
    """Cell -> cost history from finished episodes; empty when no episode is pending."""


@dataclass(frozen=True, slots=True)
class RunBudget:
    """Budget of a run, its own or one that it shares with other runs."""

    budget: BudgetSpec
    history: SpendingHistory = SpendingHistory()
    """Spending of earlier starts of the run itself."""
    closed: bool = False
    """True when other runs have used up the shared budget."""

    @property
    def used_up(self) -> bool:
        """True when nothing is left of the budget."""
        return self.closed or self.budget.used_up


def open_budget(name: str, cap: Budget, histories: Collection[SpendingHistory]) -> BudgetSpec:
    """Returns the budget of one start of one run, or of several runs that share it.

    *histories* is the spending of earlier starts of each run.
    """
    before = total(history.before for history in histories)
    learned = sum((cell for history in histories for cell in history.learned.values()), NO_HISTORY)
    return BudgetSpec(f"{name}/{uuid.uuid4()}", cap, before, learned)


def read_spending_history(plan: Plan, dataset: Dataset, store: ObjectStore, index: RunIndex) -> SpendingHistory:
    """Reads the cost of a run until now, and the cost history of its cells.

    Episodes with an unknown cost count with their expected cost.
    """
    expected, stored = ExpectedCosts(plan, dataset), (store, plan.run_id, index.damaged)
    spent = read_spending(*stored)
    unpriced, uncounted = (total(map(expected.cost, episodes)) for episodes in read_unknown_usage(*stored))
    before = Cost(spent.usd + unpriced.usd, spent.tokens + uncounted.tokens)
    pending = plan.without(index.scored).episode_count
    return SpendingHistory(before, expected.history(read_measured_usage(*stored)) if pending else {})


class ExpectedCosts:
    """Expected cost of the episodes of a run, from typical lengths of texts."""

    def __init__(self, plan: Plan, dataset: Dataset) -> None:
        self._run_id, self._users, self._dataset = plan.run_id, plan.users, dataset
        self._estimator = UsageEstimator(plan.users, plan.protocol)
        self._episodes = {
            episode.id: (cell, episode) for cell in plan.cells for shard in cell.shards for episode in shard.episodes
        }

    def cost(self, episode_id: str) -> Cost:
        """Returns the expected cost of one episode; zero when the run no longer has it."""
        if episode_id not in self._episodes:
            return Cost()
        cell, episode = self._episodes[episode_id]
        scenario = self._dataset.by_family[cell.family][episode.scenario_id]
        return Cost.of(self._estimator.estimate(cell.model, scenario, episode.template), cell.model, self._users)

    def history(self, measured: Mapping[str, EpisodeUsage]) -> dict[str, CostHistory]:
        """Returns cell -> cost history, from the episodes with known usage."""
        found: dict[str, CostHistory] = {}
        for episode_id, usage in measured.items():
            if episode_id in self._episodes:
                cell, _ = self._episodes[episode_id]
                one = CostHistory(self.cost(episode_id), Cost.of(usage, cell.model, self._users))
                key = budget_cell(self._run_id, cell.slug, cell.family)
                found[key] = found.get(key, NO_HISTORY) + one
        return found
