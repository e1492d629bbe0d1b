"""A concurrency limit within one event loop, which needs no coordinator."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from muses_eval.workers.limits.account import AttemptOutcome, Permit


class ConcurrencyLimit:
    """Lets at most ``most`` attempts be in flight, first come, first served.

    Not an asyncio.Semaphore, because a limit outlives event loops (a process may run one after another) and its size
    may change.  Not thread-safe: the event loops of one process must not run at the same time.
    """

    def __init__(self, most: int) -> None:
        if most < 1:
            raise ValueError(f"a concurrency limit must be at least 1, got {most}")
        self.most = most
        self.in_flight = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def permit(self, tokens: int) -> AsyncIterator[Permit]:
        await self._take()
        try:
            yield self
        finally:
            self._give_back()

    def record(self, outcome: AttemptOutcome) -> None:
        """Does nothing: this limit does not adapt."""

    def lower_to(self, most: int) -> None:
        """Lowers the limit for attempts that start later; a larger number changes nothing."""
        self.most = min(self.most, most)

    async def _take(self) -> None:
        # A freed permit goes directly to the first waiter, so a free permit means that there are no waiters.
        if self.in_flight < self.most:
            self.in_flight += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # the permit was granted in the same moment
                self._give_back()
            raise

    def _give_back(self) -> None:
        self.in_flight -= 1
        while self._waiting and self.in_flight < self.most:
            turn = self._waiting.popleft()
            if not turn.cancelled():
                self.in_flight += 1
                turn.set_result(None)
