"""How much of a provider's patience one process uses.

A *limit* is asked for a slot before each try of a call and has it back when the try ends; a call that waits between
two tries holds none, so a backed-off call never blocks one that could run.  A limit belongs to an *account*: the
endpoint's address and the name of its key.  All models that a process opens with one :class:`AccountLimits` share it.

This is the one place where budgets are enforced.  Today that is concurrency within a process; budgets of requests and
tokens a minute that are shared by a whole cluster (expiring leases from one keeper) will be another :class:`Limit`,
chosen here, without a change in the clients.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import NamedTuple, Protocol

from pipeline.specs import Endpoint


class Account(NamedTuple):
    """Whose budget a call draws on."""

    base_url: str
    api_key_env: str | None


class Limit(Protocol):
    """Says when one try of a call may start."""

    def slot(self) -> AbstractAsyncContextManager[None]:
        """Waits for a slot on entering, gives it back on leaving, however the try ends."""
        ...


class ConcurrencyLimit:
    """At most so many tries in flight, first come, first served.

    Not asyncio.Semaphore: a limit outlives event loops (a process may run one after another) and its size may change.
    It is not thread-safe: the loops of one process take turns.
    """

    def __init__(self, most: int) -> None:
        if most < 1:
            raise ValueError(f"a concurrency limit must be at least 1, got {most}")
        self.most = most
        self.in_flight = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        await self._take()
        try:
            yield
        finally:
            self._give_back()

    def lower_to(self, most: int) -> None:
        """Takes effect for the tries to come; a larger number changes nothing."""
        self.most = min(self.most, most)

    async def _take(self) -> None:
        # Whoever waits is handed the slot that gets free, so a free slot means that nobody waits.
        if self.in_flight < self.most:
            self.in_flight += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # the slot was handed over in the same moment
                self._give_back()
            raise

    def _give_back(self) -> None:
        self.in_flight -= 1
        while self._waiting and self.in_flight < self.most:
            turn = self._waiting.popleft()
            if not turn.cancelled():
                self.in_flight += 1
                turn.set_result(None)


class AccountLimits:
    """The limits of one process, one an account."""

    def __init__(self) -> None:
        self._by_account: dict[Account, ConcurrencyLimit] = {}

    def limit(self, endpoint: Endpoint) -> ConcurrencyLimit:
        """The account's limit.  Where endpoints of one account disagree about its size, the smallest one holds."""
        account = Account(endpoint.base_url, endpoint.api_key_env)
        limit = self._by_account.setdefault(account, ConcurrencyLimit(endpoint.max_concurrency))
        limit.lower_to(endpoint.max_concurrency)
        return limit
