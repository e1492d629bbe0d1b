"""The coordinator of limits and budgets: a plain object whose methods return at once.

In an inline run it lives in the process of the run; on a Ray cluster it is one named actor for all runs
(``muses_eval.workers.coordinator.ray_actor``).  Workers use a :class:`CoordinatorClient`, which is the same for both.
"""

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from muses_eval.workers.budget import (
    RECOVERY_S,
    BudgetLedgers,
    BudgetSpec,
    BudgetStatus,
    ReservationReply,
    WorkerReport,
)
from muses_eval.workers.limits.account import Account
from muses_eval.workers.limits.protocol import AccountReport, LeaseHolder, LimitsSnapshot, Renewal
from muses_eval.workers.limits.registry import AccountRegistry


class CoordinatorClient(Protocol):
    """The client of a coordinator, with the methods of :class:`Coordinator` that workers and runs call.

    ``renew`` and ``leave`` raise CoordinatorUnavailableError while the coordinator does not respond; the others wait
    for it.
    """

    async def renew(self, holder: LeaseHolder, reports: Mapping[Account, AccountReport]) -> Renewal:
        """Reports what a worker has done and needs; returns new leases."""
        ...

    async def leave(self, holder: LeaseHolder, reports: Mapping[Account, AccountReport]) -> None:
        """Gives back all leases of a worker."""
        ...

    async def snapshot(self, run: str | None = None) -> LimitsSnapshot:
        """Returns the state of all accounts; with *run*, only the accounts it has used, with its own counts."""
        ...

    async def update_budget(self, budget: BudgetSpec, report: WorkerReport) -> ReservationReply:
        """Reports what a worker has spent and reserved of a budget; returns which reservations are granted."""
        ...


class Coordinator:
    """The limits of all accounts and the budgets of all runs.

    Args:
        clock: seconds; only differences matter.
        recovery_s: seconds for which a coordinator that replaces a lost one collects reports before it grants anything.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, recovery_s: float = 0.0) -> None:
        self._clock = clock
        self._limits = AccountRegistry(clock, recovery_s)
        self._ledgers = BudgetLedgers(clock() + RECOVERY_S if recovery_s else clock())

    def renew(self, holder: LeaseHolder, reports: Mapping[Account, AccountReport]) -> Renewal:
        return self._limits.renew(holder, reports)

    def leave(self, holder: LeaseHolder, reports: Mapping[Account, AccountReport]) -> None:
        self._limits.leave(holder, reports)

    def snapshot(self, run: str | None = None) -> LimitsSnapshot:
        return self._limits.snapshot(run)

    def update_budget(self, budget: BudgetSpec, report: WorkerReport) -> ReservationReply:
        return self._ledgers.update(budget, report, self._clock())

    def budget_status(self, budget: BudgetSpec) -> BudgetStatus:
        """Returns the status of a budget that has been updated at least once."""
        return self._ledgers.status(budget)


class LocalCoordinator:
    """The client of a coordinator in this process."""

    def __init__(self, coordinator: Coordinator | None = None) -> None:
        self.coordinator = coordinator or Coordinator()

    async def renew(self, holder: LeaseHolder, reports: Mapping[Account, AccountReport]) -> Renewal:
        return self.coordinator.renew(holder, reports)

    async def leave(self, holder: LeaseHolder, reports: Mapping[Account, AccountReport]) -> None:
        self.coordinator.leave(holder, reports)

    async def snapshot(self, run: str | None = None) -> LimitsSnapshot:
        return self.coordinator.snapshot(run)

    async def update_budget(self, budget: BudgetSpec, report: WorkerReport) -> ReservationReply:
        return self.coordinator.update_budget(budget, report)
