"""The description of a shard: everything that a worker needs to play it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from muses_eval.pipeline.agents.agent_spec import CHAT, AgentSpec, entry_name, entry_slug
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.users import UsersSpec
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.plan.plan import EpisodePlan
from muses_eval.pipeline.protocols.muses import MUSES
from muses_eval.pipeline.protocols.protocol import EpisodeProtocol
from muses_eval.storage.objects.object_keys import ShardKey
from muses_eval.workers.budget import NO_HISTORY, BudgetSpec, CostHistory, budget_cell


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardSpec:
    """Episodes of one cell that are played at the same time and stored as one object."""

    run_id: str
    store: str
    """URL of the store to which the episodes are written."""
    dataset: str
    dataset_version: str
    users: UsersSpec
    model: ModelSpec
    family: str
    number: int
    attempt: int
    """1-based."""
    episodes: tuple[EpisodePlan, ...]
    scenarios: Mapping[str, Scenario[Any]]
    """Scenarios of the episodes, by id."""
    agent: AgentSpec = CHAT
    protocol: EpisodeProtocol = MUSES
    budget: BudgetSpec | None = None
    """The budget from which episodes are paid; None when there is no cap."""
    learned: CostHistory = NO_HISTORY
    """Costs of episodes of the same cell in earlier starts, for the budget."""
    cache: str | None = None
    """URL of the store of cached responses; None when none are cached."""

    @property
    def cell(self) -> str:
        """Name of the cell, whose episodes are expected to have similar costs."""
        return budget_cell(self.run_id, self.slug, self.family)

    @property
    def entry(self) -> str:
        """Name of the model with its agent on the leaderboard."""
        return entry_name(self.model.name, self.agent)

    @property
    def slug(self) -> str:
        """The entry as a path segment."""
        return entry_slug(self.model.name, self.agent)

    @property
    def key(self) -> ShardKey:
        return ShardKey(self.run_id, self.slug, self.family, self.number, self.attempt)
