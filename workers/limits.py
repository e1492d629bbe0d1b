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
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from pipeline.specs import Endpoint

_UNDECLARED = 64


class Account(NamedTuple):
    """Whose budget a call draws on."""

    where: tuple[str, ...]
    """The name that the config gives, or the addresses."""
    api_key_env: str | None

    @classmethod
    def of(cls, endpoint: Endpoint) -> "Account":
        """The account of an endpoint; a named one is the same behind all addresses."""
        return cls((endpoint.account,) if endpoint.account else endpoint.base_urls, endpoint.api_key_env)


@dataclass(frozen=True, slots=True)
class TryEnd:
    """How one try of a call ended, as far as limits care."""

    kind: Literal["answered", "refused", "failed"]
    """``refused``: by a limit of the provider (429).  ``failed``: timeouts, broken connections, 5xx."""
    tokens: int | None = None
    """Prompt and completion; None when the provider did not say."""
    retry_after_s: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of the response; providers tell their limits there."""


class Slot(Protocol):
    """One try under way."""

    def ended(self, end: TryEnd) -> None:
        """Says how it ended, once.  A slot that was given back without a word was abandoned: nobody learns from it."""
        ...


class Limit(Protocol):
    """Says when one try of a call may start."""

    def slot(self, tokens: int) -> AbstractAsyncContextManager[Slot]:
        """Waits for a slot on entering, gives it back on leaving, however the try ends.

        *tokens*: how many the try will take, prompt and completion, as far as one can tell before.
        """
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
    async def slot(self, tokens: int) -> AsyncIterator[Slot]:  # noqa: ARG002 - this one counts calls
        await self._take()
        try:
            yield self
        finally:
            self._give_back()

    def ended(self, end: TryEnd) -> None:
        """Learns nothing."""

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
        most = endpoint.limits.concurrency or _UNDECLARED
        limit = self._by_account.setdefault(Account.of(endpoint), ConcurrencyLimit(most))
        limit.lower_to(most)
        return limit
