"""The money and tokens that a run may spend, shared by all of its workers.

An episode is reserved before it is played and settled afterwards.  The budget belongs to one run, or to all runs of a
sweep together.  :class:`BudgetLedger` keeps it: a plain object in one place of the cluster.  Each worker process has
one :class:`BudgetClient`, which reports what the worker has spent since its start, what it holds for episodes in
flight, what finished episodes used, and what the next episodes need; the reply says which of these may start.  Reports
are totals, not changes: a report that arrives twice, or at a ledger that has just been replaced, changes nothing.

An episode needs what its scenario is expected to use, corrected by what finished episodes of the same cell used, in
this start and in earlier ones.  While nothing is known of a cell, one of its episodes is played before the others.  The
ledger closes for good when the next episode does not fit under the cap even if the episodes in flight turn out to use
nothing: episodes in flight are finished, no others are begun.
"""

from muses_eval.workers.budget.client import BudgetClient, BudgetCoordinator, Reservation
from muses_eval.workers.budget.cost import Cost, total
from muses_eval.workers.budget.experience import UNKNOWN, Experience, ExperienceByCell
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
    "RECOVERY_S",
    "SILENCE_S",
    "UNKNOWN",
    "BudgetClient",
    "BudgetCoordinator",
    "BudgetLedger",
    "BudgetLedgers",
    "BudgetSpec",
    "BudgetStatus",
    "Cost",
    "Experience",
    "ExperienceByCell",
    "HeldCost",
    "Reservation",
    "ReservationReply",
    "ReservationRequest",
    "WorkerReport",
    "budget_cell",
    "total",
]
