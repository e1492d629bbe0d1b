"""Plays a run in slices when its budget may be smaller than what its pending episodes use.

A run that plays shard after shard would use up a small budget on its first models and families.  A slice has the same
share of every cell, and the same scenarios for every model.  Its episodes show what the next ones cost, and the next
slice is as large as that allows.  When even a high estimate fits, the run is played at once.
"""

import asyncio
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from muses_eval.flows.job.prepare import OnShard, Play, PreparedRun, Warn
from muses_eval.flows.job.run_budget import ExpectedCosts, RunBudget, read_spending_history
from muses_eval.pipeline.hashing import digest
from muses_eval.pipeline.plan.plan import Cell, EpisodePlan, Plan, ShardPlan
from muses_eval.storage.objects.object_keys import ShardKey
from muses_eval.storage.runs.shards import read_index
from muses_eval.workers.budget import (
    NO_HISTORY,
    Cost,
    CostHistoryByCell,
    budget_cell,
    or_infinity,
    total,
)
from muses_eval.workers.play.executor import Executor
from muses_eval.workers.play.shard_summary import ShardSummary

_TRIAL_EPISODES = 2
"""Episodes of a cell in a slice while none of its episodes has finished."""
_SLICE_SHARE = 0.6
"""Part of what is left of the budget that a slice is expected to use; the next slice corrects its error."""
_UNKNOWN = 30.0
"""Factor by which a cell without finished episodes may cost more than expected: models that reason at length do."""
_SAFETY = 1.25
"""Factor by which the rest of a cell may cost more than its finished episodes suggest."""


@dataclass(frozen=True, slots=True)
class BudgetForecast:
    """The remaining budget, and the expected cost of the remaining episodes of a run."""

    left: Cost
    """Infinite in a currency without a cap."""
    costs: Mapping[str, Cost]
    """Episode -> expected cost by the rules of thumb."""
    learned: CostHistoryByCell
    """Cell -> costs of its finished episodes."""
    run_id: str
    stopped: frozenset[str] = frozenset()
    """Cells whose next episode did not fit into the budget."""
    tried: bool = False
    """True after the first slice: a cell without finished episodes fails, or reports no usage, and adds no cost."""

    def share(self, rest: Plan) -> float:
        """Returns the share of the remaining episodes that what is left suffices for; may exceed 1."""
        expected = total(self._expected(cell) for cell in self._open(rest))
        return min(_ratio(self.left.usd, expected.usd), _ratio(self.left.tokens, expected.tokens))

    def suffices(self, rest: Plan) -> bool:
        """Returns True when even a high estimate of the remaining episodes fits."""
        high = total(self._high(cell) for cell in self._open(rest))
        return high.usd <= self.left.usd and high.tokens <= self.left.tokens

    def next_slice(self, rest: Plan) -> Plan:
        """Returns the episodes to play next; all of them when they fit, or when no cell can play any more."""
        known = [cell for cell in self._open(rest) if self._is_known(cell)]
        if self.suffices(rest) or (self.tried and not known):
            return rest
        share = min(self.share(rest), 1.0) * _SLICE_SHARE
        cells = (_first_episodes(cell, self._count(cell, share)) for cell in self._open(rest))
        return replace(rest, cells=tuple(cell for cell in cells if cell.shards))

    def _count(self, cell: Cell, share: float) -> int:
        if self._cost(cell) == Cost():
            return cell.episode_count  # free
        if not self._is_known(cell):
            return _TRIAL_EPISODES
        return max(1, int(share * cell.episode_count)) if self.tried else 0

    def _open(self, rest: Plan) -> list[Cell]:
        return [cell for cell in rest.cells if self._name(cell) not in self.stopped]

    def _name(self, cell: Cell) -> str:
        return budget_cell(self.run_id, cell.slug, cell.family)

    def _is_known(self, cell: Cell) -> bool:
        return self.learned.get(self._name(cell), NO_HISTORY).episodes > 0

    def _cost(self, cell: Cell) -> Cost:
        return total(self.costs[episode.id] for episode in _episodes(cell))

    def _expected(self, cell: Cell) -> Cost:
        if self._is_known(cell):
            return self.learned[self._name(cell)].scale(self._cost(cell))
        return Cost() if self.tried else self._cost(cell)

    def _high(self, cell: Cell) -> Cost:
        factor, expected = _SAFETY if self._is_known(cell) else _UNKNOWN, self._expected(cell)
        return Cost(factor * expected.usd, factor * expected.tokens)


async def play_within_budget(
    run: PreparedRun, executor: Executor, on_shard: OnShard, play: Play, warn: Warn
) -> list[ShardSummary]:
    """Plays the pending episodes of a run with *play*: at once, or in slices when its budget may not suffice.

    *warn* is called once when the budget is smaller than the expected cost.
    """
    budget = run.context.budget
    if budget is None:
        return await play(run, executor, on_shard)
    forecast = await asyncio.to_thread(_forecast, run, budget)
    now, rest, summaries, warned = run, run.pending, list[ShardSummary](), False
    while rest.episode_count:
        share = forecast.share(rest)
        if forecast.tried and share < 1 and not warned:
            playable = (_played(summaries) + share * rest.episode_count) / run.pending.episode_count
            warn(
                f"the budget of {budget.budget.cap} suffices for about {100 * playable:.2g} % of the pending episodes; "
                "every model plays this share of every family"
            )
            warned = True
        part = forecast.next_slice(rest)
        played = await play(replace(now, pending=part), executor, on_shard)
        summaries += played
        rest = rest.without({episode.id for cell in part.cells for episode in _episodes(cell)})
        if rest.episode_count:
            now, forecast = await asyncio.to_thread(_updated, now, budget, forecast, played)
    return summaries


def _played(summaries: Iterable[ShardSummary]) -> int:
    """Returns the number of episodes that were played, scored or not."""
    return sum(
        count for summary in summaries for outcome, count in summary.outcomes.items() if outcome != "budget_stopped"
    )


def _forecast(run: PreparedRun, budget: RunBudget) -> BudgetForecast:
    expected = ExpectedCosts(run.plan, run.dataset)
    costs = {episode.id: expected.cost(episode.id) for cell in run.pending.cells for episode in _episodes(cell)}
    return BudgetForecast(_left(budget, Cost()), costs, budget.history.learned, run.plan.run_id)


def _updated(
    run: PreparedRun, budget: RunBudget, forecast: BudgetForecast, played: Iterable[ShardSummary]
) -> tuple[PreparedRun, BudgetForecast]:
    """Returns the run and the forecast after a slice, from what is stored."""
    index = read_index(run.store, run.plan.run_id)
    history = read_spending_history(run.plan, run.dataset, run.store, index)
    before = budget.history.before
    spent = Cost(history.before.usd - before.usd, history.before.tokens - before.tokens)
    keys = (ShardKey.parse(summary.key) for summary in played if summary.outcomes.get("budget_stopped", 0))
    stopped = {budget_cell(run.plan.run_id, key.model, key.family) for key in keys if key is not None}
    return replace(run, index=index), replace(
        forecast,
        left=_left(budget, spent),
        learned=history.learned,
        stopped=forecast.stopped | (stopped & history.learned.keys()),
        tried=True,
    )


def _left(budget: RunBudget, spent: Cost) -> Cost:
    """Returns what is left beside earlier starts and what this run has *spent* in this one.

    What other runs of a sweep spend meanwhile is known to the ledger alone.
    """
    cap, before = budget.budget.cap, budget.budget.before + spent
    return Cost(max(0.0, or_infinity(cap.usd) - before.usd), max(0.0, or_infinity(cap.tokens) - before.tokens))


def _first_episodes(cell: Cell, count: int) -> Cell:
    """Returns at most *count* episodes of a cell; cells with the same scenarios get the same ones."""
    chosen = {episode.id for episode in sorted(_episodes(cell), key=_order)[:count]}
    shards = (
        ShardPlan(shard.number, tuple(episode for episode in shard.episodes if episode.id in chosen))
        for shard in cell.shards
    )
    return replace(cell, shards=tuple(shard for shard in shards if shard.episodes))


def _order(episode: EpisodePlan) -> str:
    return digest("slice", episode.scenario_id, episode.template, episode.epoch)


def _episodes(cell: Cell) -> Iterable[EpisodePlan]:
    return (episode for shard in cell.shards for episode in shard.episodes)


def _ratio(left: float, expected: float) -> float:
    return left / expected if expected > 0 else math.inf
