"""A run before it is played: its cells, its expected cost, and the differences that it can detect."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from muses_eval.flows.job.pilot import NO_PILOT, PilotResult
from muses_eval.flows.job.prepare import called_models
from muses_eval.flows.job.serving import served_agents, served_users
from muses_eval.flows.sweep.sweep import PlannedRun
from muses_eval.pipeline.agents.agent_spec import CHAT
from muses_eval.pipeline.config.budget import Budget
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.datasets.briefing_check import summarize_gaps
from muses_eval.pipeline.plan.cell_estimate import CellEstimate, estimate_cells
from muses_eval.pipeline.plan.cost_estimate import CostEstimate, estimate_cost
from muses_eval.pipeline.plan.interval import CONFIDENCE_LEVEL
from muses_eval.pipeline.plan.plan import Plan


@dataclass(frozen=True, slots=True)
class RunPreview:
    """Preview of one run, without its plan, which is too large to keep for every run of a sweep."""

    label: str
    """Readable values of the run in its sweep."""
    head: Mapping[str, Any]
    """Run, dataset, protocol and number of episodes, by their names in JSON."""
    cells: Sequence[Mapping[str, Any]]
    """Cells by the names of their values in JSON; ``unusable_share`` is that of the pilot, all templates together."""
    smallest: Mapping[str, float | None]
    """Family -> smallest detectable difference of two models, in 0-1; None when it has too few scenarios."""
    smallest_text: str
    cell_estimates: tuple[CellEstimate, ...]
    agents: tuple[ModelSpec, ...]
    """Agents that the run serves."""
    users: tuple[ModelSpec, ...]
    """Users' model when the run serves it."""
    called: tuple[ModelSpec, ...]
    """Models that the run calls, agents and users."""
    budget: Budget | None
    notes: tuple[str, ...] = ()
    """Checks that were not possible here."""

    @property
    def has_agents(self) -> bool:
        """True when the run has agents beside the models alone."""
        return any(cell["agent"] != CHAT.name for cell in self.cells)

    @classmethod
    def of(cls, run: PlannedRun, pilot: PilotResult = NO_PILOT) -> "RunPreview":
        """Returns the preview of a run, after a pilot or without one."""
        from muses_eval.dashboards.tables.detectable_difference import (
            detectable_differences,
            render_detectable_differences,
        )

        planned = run.plan
        return cls(
            label=run.label,
            head={
                "run_id": planned.run_id,
                "dataset": planned.dataset,
                "dataset_version": planned.dataset_version,
                "protocol": planned.protocol.name,
                "episodes": planned.episode_count,
            },
            cells=_cells(planned, pilot.unusable),
            smallest=detectable_differences(planned),
            smallest_text=render_detectable_differences(planned),
            cell_estimates=estimate_cells(planned, run.dataset.by_family, pilot.usage),
            agents=tuple(served_agents(planned)),
            users=served_users(planned),
            called=called_models(planned),
            budget=run.config.budget,
            notes=(
                *(f"agent {each.spec.name} is not checked here: {each.note}" for each in run.agents if each.note),
                *summarize_gaps(planned, run.dataset),
            ),
        )


def _cells(planned: Plan, unusable: Mapping[tuple[str, str], float | None]) -> list[dict[str, Any]]:
    return [
        {
            "model": cell.entry,
            "base_model": cell.model.name,
            "agent": cell.agent.name,
            "facts": cell.agent.facts,
            "family": cell.family,
            "template": cell.template,
            "shards": len(cell.shards),
            "episodes": cell.episode_count,
            **({"unusable_share": unusable.get((cell.entry, cell.family))} if unusable else {}),
        }
        for cell in planned.cells
    ]


def estimate_cost_of(cells: Sequence[CellEstimate]) -> CostEstimate:
    """Returns the estimated usage, cost and duration of these cells, played in parallel."""
    from muses_eval.storage.analysis.student_t import t_quantile
    from muses_eval.workers.limits import Account

    return estimate_cost(cells, partial(t_quantile, (1 + CONFIDENCE_LEVEL) / 2), Account.of)
