"""One model in one role, under an agent or as the users, over all cells in which it plays that role."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.sampling import Sampling
from muses_eval.pipeline.episode.model_call import Role
from muses_eval.pipeline.plan.cell_estimate import CellEstimate
from muses_eval.pipeline.plan.episode_usage import EpisodeUsage, RoleUsage
from muses_eval.pipeline.plan.interval import UncertainTotal, sum_totals


@dataclass(frozen=True, slots=True)
class ModelRole:
    """A model, its role and the cells in which it plays that role."""

    model: ModelSpec
    role: Role
    cells: tuple[CellEstimate, ...]
    agent: str | None = None
    """Name of the agent that calls the model, ``chat`` for the model alone; None for users."""

    @property
    def assumes_chat(self) -> bool:
        """True when the usage of an agent is estimated, in some cell, as that of the model alone."""
        return self.agent is not None and any(cell.assumes_chat for cell in self.cells)

    def total(self, measure: Callable[[RoleUsage], float]) -> UncertainTotal:
        """Returns one measure of the model's calls in this role, for example their tokens."""
        return sum_totals(cell.total(lambda usage: measure(self._usage(usage))) for cell in self.cells)

    def _usage(self, usage: EpisodeUsage) -> RoleUsage:
        return usage.agent if self.role == "agent" else usage.user


def model_roles(cells: Sequence[CellEstimate]) -> list[ModelRole]:
    """Groups cells by model, role and agent.  Models that differ only in their sampling are one group."""
    agents: dict[tuple[ModelSpec, str], list[CellEstimate]] = {}
    users: dict[ModelSpec, list[CellEstimate]] = {}
    for cell in cells:
        agents.setdefault((replace(cell.model, sampling=Sampling()), cell.agent.name), []).append(cell)
        if cell.users.model is not None:
            users.setdefault(replace(cell.users.model, sampling=Sampling()), []).append(cell)
    return [
        *(ModelRole(model, "agent", tuple(group), agent) for (model, agent), group in agents.items()),
        *(ModelRole(model, "user", tuple(group)) for model, group in users.items()),
    ]
