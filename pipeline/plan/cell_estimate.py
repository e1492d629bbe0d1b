"""Estimates the usage of a cell from assumptions, or from episodes of the cell that were already played.

With played episodes, the estimate is a ratio estimate: the ratio of their measured usage to their estimated usage,
times the estimated usage of the remaining episodes (Cochran, *Sampling Techniques*, chapter 6).

The number of calls of an agent cannot be known before it has been played.  Without played episodes, its cells are
estimated like those of the model alone, with one call per turn.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from muses_eval.pipeline.agents.agent_spec import CHAT, AgentSpec
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.users import UsersSpec
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.plan.episode_usage import EpisodeUsage
from muses_eval.pipeline.plan.interval import UncertainTotal
from muses_eval.pipeline.plan.plan import Cell, Plan
from muses_eval.pipeline.plan.usage_assumptions import HIGH, LOW, MID
from muses_eval.pipeline.plan.usage_estimator import UsageEstimator

_MIN_SAMPLE = 2


@dataclass(frozen=True, slots=True)
class CellEstimate:
    """Measured usage of a cell's played episodes and estimated usage of the remaining ones."""

    model: ModelSpec
    family: str
    played: tuple[tuple[EpisodeUsage, EpisodeUsage], ...]
    """(estimated, measured) usage of each played episode."""
    remaining: tuple[EpisodeUsage, EpisodeUsage, EpisodeUsage]
    """Estimated usage of all other episodes together, under low, typical and high assumptions."""
    remaining_count: int
    users: UsersSpec = UsersSpec()
    agent: AgentSpec = CHAT

    @property
    def assumes_chat(self) -> bool:
        """True when the usage of an agent is estimated as that of the model alone."""
        return not self.agent.is_chat and not self.sampled

    @property
    def sampled(self) -> bool:
        """True when enough episodes were played to replace the assumptions."""
        return len(self.played) >= _MIN_SAMPLE

    def total(self, measure: Callable[[EpisodeUsage], float]) -> UncertainTotal:
        """Returns one measure of the whole cell, for example its tokens."""
        pairs = [(measure(estimated), measure(measured)) for estimated, measured in self.played]
        spent = math.fsum(measured for _, measured in pairs)
        low, mid, high = (measure(usage) for usage in self.remaining)
        base = math.fsum(estimated for estimated, _ in pairs)
        if not self.sampled or base <= 0:
            return UncertainTotal(spent + mid, spent, mid - low, high - mid)
        ratio, count = spent / base, len(pairs)
        residual = math.fsum((measured - ratio * estimated) ** 2 for estimated, measured in pairs) / (count - 1)
        # The error of the ratio itself, and the scatter of single episodes around it.
        variance = residual * ((mid / base) ** 2 * count + self.remaining_count)
        return UncertainTotal(spent + ratio * mid, spent, samples=((variance, count - 1.0),))


def estimate_cells(
    plan: Plan, scenarios: Mapping[str, Mapping[str, Scenario[Any]]], measured: Mapping[str, EpisodeUsage]
) -> tuple[CellEstimate, ...]:
    """Returns an estimate of every cell of a plan.

    Args:
        plan: the whole run.
        scenarios: family -> id -> scenario.
        measured: episode id -> usage, for the episodes that were played.
    """
    estimator = UsageEstimator(plan.users, plan.protocol)
    cells = (_estimate_cell(cell, scenarios[cell.family], measured, estimator) for cell in plan.cells)
    return tuple(
        replace(estimate, users=plan.users, agent=cell.agent) for estimate, cell in zip(cells, plan.cells, strict=True)
    )


def _estimate_cell(
    cell: Cell, scenarios: Mapping[str, Scenario[Any]], measured: Mapping[str, EpisodeUsage], estimator: UsageEstimator
) -> CellEstimate:
    played: list[tuple[EpisodeUsage, EpisodeUsage]] = []
    remaining = [EpisodeUsage(), EpisodeUsage(), EpisodeUsage()]
    count = 0
    for episode in (episode for shard in cell.shards for episode in shard.episodes):
        estimate = partial(estimator.estimate, cell.model, scenarios[episode.scenario_id], episode.template)
        if episode.id in measured:
            played.append((estimate(MID), measured[episode.id]))
            continue
        count += 1
        remaining = [total + estimate(each) for total, each in zip(remaining, (LOW, MID, HIGH), strict=True)]
    low, mid, high = remaining
    return CellEstimate(cell.model, cell.family, tuple(played), (low, mid, high), count)
