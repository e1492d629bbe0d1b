"""The money and tokens that a run may spend, shared by all of its workers.

An episode is reserved before it is played and settled afterwards.  The budget belongs to one run, or to all runs of a
sweep together.  :class:`BudgetLedger` is its ledger: a plain object in one place of the cluster.  Each worker process
has one :class:`BudgetClient`, which reports the costs since the worker's start, the reservations of episodes in flight,
the costs of finished episodes, and the requests of the next episodes; the reply says which of these may start.  Reports
are totals, not changes, so a report may arrive twice, or at a ledger that has just been replaced.

The reservation of an episode is the expected cost of its scenario, corrected by the costs of finished episodes of the
same cell, in this start and in earlier ones.  While a cell has no finished episodes, one of them is played before the
others.  A cell closes when its next episode does not fit under the cap even if the episodes in flight turn out to cost
nothing; other cells continue.  Episodes in flight are finished.
"""

from muses_eval.workers.budget.client import BudgetClient, BudgetCoordinator, Reservation
from muses_eval.workers.budget.cost import Cost, or_infinity, total
from muses_eval.workers.budget.cost_history import NO_HISTORY, RULES_OF_THUMB_FACTOR, CostHistory, CostHistoryByCell
from muses_eval.workers.budget.ledger import RECOVERY_S, SILENCE_S, BudgetLedger, BudgetLedgers, BudgetStatus
from muses_eval.workers.budget.protocol import (
    BudgetSpec,
    HeldCost,
    ReservationReply,
    ReservationRequest,
    WorkerReport,
    budget_cell,
)

__all__ = [
    "NO_HISTORY",
    "RECOVERY_S",
    "RULES_OF_THUMB_FACTOR",
    "SILENCE_S",
    "BudgetClient",
    "BudgetCoordinator",
    "BudgetLedger",
    "BudgetLedgers",
    "BudgetSpec",
    "BudgetStatus",
    "Cost",
    "CostHistory",
    "CostHistoryByCell",
    "HeldCost",
    "Reservation",
    "ReservationReply",
    "ReservationRequest",
    "WorkerReport",
    "budget_cell",
    "or_infinity",
    "total",
]
