"""The messages between a worker's budget client and the ledger: plain values."""

from dataclasses import dataclass, field
from typing import NamedTuple

from muses_eval.pipeline.config.budget import Budget
from muses_eval.pipeline.config.model import ModelSpec
from muses_eval.workers.budget.cost import Cost, or_inf
from muses_eval.workers.budget.experience import UNKNOWN, Experience, ExperienceByCell


@dataclass(frozen=True, slots=True)
class BudgetSpec:
    """What a worker needs to know about a budget."""

    id: str
    """One start of one run or sweep: its name, and after a slash a part that differs between starts."""
    cap: Budget
    before: Cost = Cost()
    """Spent by earlier starts."""

    @property
    def used_up(self) -> bool:
        """Whether earlier starts have left nothing."""
        return self.before.usd >= or_inf(self.cap.usd) or self.before.tokens >= or_inf(self.cap.tokens)


def budget_cell(run_id: str, model: ModelSpec, family: str) -> str:
    """The name of a cell in a ledger."""
    return f"{run_id}/{model.slug}/{family}"


class HeldCost(NamedTuple):
    """The cost reserved for one episode of a cell."""

    cell: str
    cost: Cost


class ReservationRequest(NamedTuple):
    """What the next episode of a cell needs."""

    cell: str
    expected: Cost
    """Expected from rules of thumb."""
    earlier: Experience = UNKNOWN
    """Experience with the cell from earlier starts."""


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """The state of one worker: totals since its start."""

    worker: str
    """The name of one process, from its start to its end."""
    spent: Cost
    """Spent since the worker's start."""
    held: tuple[HeldCost, ...] = ()
    """Reserved for episodes in flight."""
    learned: ExperienceByCell = field(default_factory=dict)
    """Experience from the episodes that the worker has finished."""
    requests: tuple[ReservationRequest, ...] = ()
    """One for each episode that waits to start, in order."""


@dataclass(frozen=True, slots=True)
class ReservationReply:
    """The ledger's reply to a report."""

    granted: tuple[Cost | None, ...]
    """For each request, the cost that is reserved for it from now on; None: not yet."""
    closed: bool
    """True when nothing will be granted any more."""
