"""All accounts of a cluster, or of one process: the coordinator's side of the limits."""

import math
import secrets
import time
from collections.abc import Callable, Mapping

from muses_eval.workers.limits.account import Account
from muses_eval.workers.limits.lease_allocator import LeaseAllocator
from muses_eval.workers.limits.protocol import AccountReport, LeaseHolder, LimitsSnapshot, Renewal


class AccountRegistry:
    """The limits of all accounts.  A plain object; its methods return at once.

    Args:
        clock: seconds; only differences matter.
        recovery_s: seconds for which a registry that replaces a lost one collects reports before it grants anything.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, recovery_s: float = 0.0) -> None:
        self._clock = clock
        self._name = secrets.token_hex(8)
        self._recovering_until = clock() + recovery_s if recovery_s else -math.inf
        self._accounts: dict[Account, LeaseAllocator] = {}

    def renew(self, holder: LeaseHolder, reports: Mapping[Account, AccountReport]) -> Renewal:
        """Takes in a worker's reports and returns new leases."""
        now = self._clock()
        leases = {}
        for account, report in reports.items():
            limiter = self._limiter(account, report, now)
            if now < self._recovering_until:
                limiter.recall(report)
            leases[account] = limiter.renew(holder, report, now, recovering_until=self._recovering_until)
        return Renewal(self._name, now, leases)

    def leave(self, holder: LeaseHolder, reports: Mapping[Account, AccountReport]) -> None:
        """Takes in a worker's last reports; what it held is free again."""
        now = self._clock()
        for account, report in reports.items():
            self._limiter(account, report, now).leave(holder, report, now)

    def snapshot(self, run: str | None = None) -> LimitsSnapshot:
        """Returns the state of all accounts; with *run*, only the accounts it has used, with its own counts."""
        now = self._clock()
        found = (limiter.status(now, run) for limiter in self._accounts.values())
        return LimitsSnapshot(tuple(status for status in found if status is not None))

    def _limiter(self, account: Account, report: AccountReport, now: float) -> LeaseAllocator:
        limiter = self._accounts.get(account)
        if limiter is None:
            limiter = self._accounts[account] = LeaseAllocator(account, report.declared, now)
        return limiter


class LocalAccountRegistry:
    """The asynchronous client of a registry in this process."""

    def __init__(self, registry: AccountRegistry) -> None:
        self._registry = registry

    async def renew(self, holder: LeaseHolder, reports: Mapping[Account, AccountReport]) -> Renewal:
        return self._registry.renew(holder, reports)

    async def leave(self, holder: LeaseHolder, reports: Mapping[Account, AccountReport]) -> None:
        self._registry.leave(holder, reports)
