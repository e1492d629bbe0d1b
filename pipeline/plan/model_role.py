"""One model in one role, agent or user, over all cells in which it plays that role."""

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

    def total(self, measure: Callable[[RoleUsage], float]) -> UncertainTotal:
        """Returns one measure of the model's calls in this role, for example their tokens."""
        return sum_totals(cell.total(lambda usage: measure(self._usage(usage))) for cell in self.cells)

    def _usage(self, usage: EpisodeUsage) -> RoleUsage:
        return usage.agent if self.role == "agent" else usage.user


def model_roles(cells: Sequence[CellEstimate]) -> list[ModelRole]:
    """Groups cells by model and role.  Models that differ only in their sampling are one group."""
    agents: dict[ModelSpec, list[CellEstimate]] = {}
    users: dict[ModelSpec, list[CellEstimate]] = {}
    for cell in cells:
        agents.setdefault(replace(cell.model, sampling=Sampling()), []).append(cell)
        if cell.users.model is not None:
            users.setdefault(replace(cell.users.model, sampling=Sampling()), []).append(cell)
    return [
        *(ModelRole(model, "agent", tuple(group)) for model, group in agents.items()),
        *(ModelRole(model, "user", tuple(group)) for model, group in users.items()),
    ]
