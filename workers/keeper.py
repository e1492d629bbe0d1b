"""What the workers of a cluster share: the limits of accounts, and purses.

A :class:`Keeper` is a plain object; its methods return at once and none waits.  Inline it lives in this process; on a
Ray cluster it is one named actor for all runs (``workers.ray_keeper``).  Whoever needs it holds a :class:`KeeperClient`
and does not know which of the two it is.
"""

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from workers.limits.account import Account
from workers.limits.book import LimitBook
from workers.limits.lease import Holder, Renewal, Report, Snapshot
from workers.purse import RESTATED_S, PurseAnswer, Purses, PurseSpec, PurseStatus, Statement


class KeeperClient(Protocol):
    """The way to the keeper.  Every method of it that others call has its twin here.

    ``renew`` and ``leave`` raise KeeperAwayError when the keeper does not answer now; the others wait for it.
    """

    async def renew(self, holder: Holder, reports: Mapping[Account, Report]) -> Renewal:
        """Tells what a worker has done and needs; brings what it may do next."""
        ...

    async def leave(self, holder: Holder, reports: Mapping[Account, Report]) -> None:
        """Gives everything back."""
        ...

    async def snapshot(self, run: str | None = None) -> Snapshot:
        """How all accounts stand now; with *run*: those that it has used, with its own part of each."""
        ...

    async def settle(self, purse: PurseSpec, statement: Statement) -> PurseAnswer:
        """Tells what a worker has spent and reserved of a run's budget; brings what it may begin next."""
        ...


class Keeper:
    """The limits of all accounts, and the purses of all runs.

    Args:
        clock: seconds; only differences count.
        settle_s: how long a keeper that replaces a lost one listens to the workers before it lends.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, settle_s: float = 0.0) -> None:
        self._clock = clock
        self._limits = LimitBook(clock, settle_s)
        self._purses = Purses(clock() + RESTATED_S if settle_s else clock())

    def renew(self, holder: Holder, reports: Mapping[Account, Report]) -> Renewal:
        return self._limits.renew(holder, reports)

    def leave(self, holder: Holder, reports: Mapping[Account, Report]) -> None:
        self._limits.leave(holder, reports)

    def snapshot(self, run: str | None = None) -> Snapshot:
        return self._limits.snapshot(run)

    def settle(self, purse: PurseSpec, statement: Statement) -> PurseAnswer:
        return self._purses.take(purse, statement, self._clock())

    def purse(self, purse: PurseSpec) -> PurseStatus:
        """How a purse stands that has been settled with."""
        return self._purses.status(purse)


class LocalKeeper:
    """The client of a keeper in this process."""

    def __init__(self, keeper: Keeper | None = None) -> None:
        self.keeper = keeper or Keeper()

    async def renew(self, holder: Holder, reports: Mapping[Account, Report]) -> Renewal:
        return self.keeper.renew(holder, reports)

    async def leave(self, holder: Holder, reports: Mapping[Account, Report]) -> None:
        self.keeper.leave(holder, reports)

    async def snapshot(self, run: str | None = None) -> Snapshot:
        return self.keeper.snapshot(run)

    async def settle(self, purse: PurseSpec, statement: Statement) -> PurseAnswer:
        return self.keeper.settle(purse, statement)
