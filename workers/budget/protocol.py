"""The messages between a worker's budget client and the ledger: plain values."""

from dataclasses import dataclass, field
from typing import NamedTuple

from muses_eval.pipeline.config.budget import Budget
from muses_eval.workers.budget.cost import Cost, is_used_up
from muses_eval.workers.budget.cost_history import NO_HISTORY, CostHistory, CostHistoryByCell


@dataclass(frozen=True, slots=True)
class BudgetSpec:
    """A budget, as workers see it."""

    id: str
    """Identifies one start of a run or sweep: its name, a slash, and a part that differs between starts."""
    cap: Budget
    before: Cost = Cost()
    """Cost of earlier starts."""
    earlier: CostHistory = NO_HISTORY
    """Costs of finished episodes of earlier starts, all cells together."""

    @property
    def used_up(self) -> bool:
        """True when earlier starts have used all of it."""
        return is_used_up(self.cap, self.before)


def budget_cell(run_id: str, entry: str, family: str) -> str:
    """Returns the name of a cell in a ledger.  *entry*: the slug of its model and agent."""
    return f"{run_id}/{entry}/{family}"


class HeldCost(NamedTuple):
    """The cost reserved for one episode of a cell."""

    cell: str
    cost: Cost


class ReservationRequest(NamedTuple):
    """A request to start one episode of a cell."""

    cell: str
    expected: Cost
    """Expected cost, from the estimates of the plan."""
    earlier: CostHistory = NO_HISTORY
    """Costs of the cell's episodes in earlier starts."""


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """The state of one worker: totals since its start."""

    worker: str
    """Name of one process, unique over time."""
    spent: Cost
    """Cost since the worker's start."""
    held: tuple[HeldCost, ...] = ()
    """Reservations of episodes in flight."""
    learned: CostHistoryByCell = field(default_factory=dict)
    """Costs of the episodes that the worker has finished, by cell."""
    requests: tuple[ReservationRequest, ...] = ()
    """One request for each episode that waits to start, in order."""


@dataclass(frozen=True, slots=True)
class ReservationReply:
    """The ledger's reply to a report."""

    granted: tuple[Cost | None, ...]
    """Cost that is reserved from now on for each request; None: not yet."""
    closed: bool
    """True when no further request will be granted."""
    refused: frozenset[str] = frozenset()
    """Cells whose requests do not fit into what is left of the budget; those of other cells may still be granted."""
