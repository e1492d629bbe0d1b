"""All accounts of a cluster, or of one process: what the keeper knows of limits."""

import math
import secrets
import time
from collections.abc import Callable, Mapping

from workers.limits.account import Account
from workers.limits.budget import AccountBudget
from workers.limits.lease import Holder, Renewal, Report, Snapshot


class LimitBook:
    """A plain object; its methods return at once.

    Args:
        clock: seconds; only differences count.
        settle_s: how long a book that replaces a lost one listens to the workers before it lends.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, settle_s: float = 0.0) -> None:
        self._clock = clock
        self._name = secrets.token_hex(8)
        self._settling_until = clock() + settle_s if settle_s else -math.inf
        self._accounts: dict[Account, AccountBudget] = {}

    def renew(self, holder: Holder, reports: Mapping[Account, Report]) -> Renewal:
        """Takes in a worker's reports and lends anew."""
        now = self._clock()
        leases = {}
        for account, report in reports.items():
            budget = self._budget(account, report, now)
            if now < self._settling_until:
                budget.recall(report)
            leases[account] = budget.renew(holder, report, now, settling_until=self._settling_until)
        return Renewal(self._name, now, leases)

    def leave(self, holder: Holder, reports: Mapping[Account, Report]) -> None:
        """Takes in last reports; all that the worker was lent is free again."""
        now = self._clock()
        for account, report in reports.items():
            self._budget(account, report, now).leave(holder, report, now)

    def snapshot(self, run: str | None = None) -> Snapshot:
        """How all accounts stand; with *run*: those that it used, with its own part of what was done."""
        now = self._clock()
        found = (budget.status(now, run) for budget in self._accounts.values())
        return Snapshot(tuple(status for status in found if status is not None))

    def _budget(self, account: Account, report: Report, now: float) -> AccountBudget:
        budget = self._accounts.get(account)
        if budget is None:
            budget = self._accounts[account] = AccountBudget(account, report.declared, now)
        return budget


class LocalBook:
    """The way to a book in this process, in the form of the way to one elsewhere."""

    def __init__(self, book: LimitBook) -> None:
        self._book = book

    async def renew(self, holder: Holder, reports: Mapping[Account, Report]) -> Renewal:
        return self._book.renew(holder, reports)

    async def leave(self, holder: Holder, reports: Mapping[Account, Report]) -> None:
        self._book.leave(holder, reports)
