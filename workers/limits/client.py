"""A worker's side of the limits: one limiter for each account, all leases renewed in one message.

The leases are renewed a few times a second while an attempt waits, less often otherwise.
"""

import asyncio
import math
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol

from muses_eval.pipeline.config.endpoint import Endpoint
from muses_eval.workers.limits.account import Account
from muses_eval.workers.limits.limit_headers import smallest_limits
from muses_eval.workers.limits.protocol import (
    LEASE_S,
    AccountReport,
    CoordinatorUnavailableError,
    LeaseHolder,
    Renewal,
)
from muses_eval.workers.limits.rate_limiter import BUSY_RENEWAL_S, IDLE_RENEWAL_S, RateLimiter
from muses_eval.workers.limits.registry import AccountRegistry, LocalAccountRegistry

_URGENT_RENEWAL_S = 0.02
"""Seconds between two renewals after a refusal, which other workers must learn of quickly."""
_REPLY_TIMEOUT_S = 5.0
"""Seconds for the coordinator to answer."""
_EXPIRY_MARGIN_S = 0.5
"""Seconds by which a lease expires earlier for the worker than for the coordinator."""
_CLOCK_SAMPLES = 16
"""Number of comparisons with the coordinator's clock that are remembered."""


class LimitsCoordinator(Protocol):
    """The part of the coordinator's client that limits need.  Its methods raise CoordinatorUnavailableError."""

    async def renew(self, holder: LeaseHolder, reports: Mapping[Account, AccountReport]) -> Renewal: ...

    async def leave(self, holder: LeaseHolder, reports: Mapping[Account, AccountReport]) -> None: ...


class LimitsClient:
    """The limits of one worker.

    Args:
        coordinator: client of the coordinator; None for a registry of its own.
        holder: the worker and its run.
        clock: seconds; only differences matter.
    """

    def __init__(
        self,
        coordinator: LimitsCoordinator | None = None,
        holder: LeaseHolder | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._coordinator = coordinator or LocalAccountRegistry(AccountRegistry(clock))
        self._holder = holder or LeaseHolder("run", secrets.token_hex(4))
        self._clock = clock
        self._by_account: dict[Account, RateLimiter] = {}
        self._coordinator_name = ""
        self._holds_leases = False
        self._clocks: deque[tuple[float, float]] = deque(maxlen=_CLOCK_SAMPLES)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._renewed = -math.inf
        self._due = math.inf
        self._asked_s = math.inf

    def limiter(self, endpoint: Endpoint) -> RateLimiter:
        """Returns the limiter of an endpoint's account; where its endpoints differ, the smallest limit holds."""
        account = Account.of(endpoint)
        limiter = self._by_account.get(account)
        if limiter is None:
            limiter = self._by_account[account] = RateLimiter(account, endpoint.limits, self._clock, self._ask)
        limiter.declared = smallest_limits((limiter.declared, endpoint.limits))
        return limiter

    async def close(self) -> None:
        """Gives all leases back.  May be called twice."""
        self._cancel_timer()
        if self._renewing is not None and self._loop is asyncio.get_running_loop():
            self._renewing.cancel()
            with suppress(asyncio.CancelledError):
                await self._renewing
        await self._leave()

    def _ask(self, urgent: bool) -> None:
        """Requests a renewal soon."""
        self._schedule(_URGENT_RENEWAL_S if urgent else BUSY_RENEWAL_S)

    def _schedule(self, after_s: float) -> None:
        """Schedules a renewal some time after the last one, unless an earlier one is due."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # a process may run several loops one after another
            self._loop, self._renewing, self._timer = loop, None, None
        if self._renewing is not None and not self._renewing.done():
            self._asked_s = min(self._asked_s, after_s)
            return
        due = self._renewed + after_s
        if self._timer is not None and self._due <= due:
            return
        self._cancel_timer()
        self._due = due
        self._timer = loop.call_later(max(0.0, due - self._clock()), self._start_renewing)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None

    def _start_renewing(self) -> None:
        self._timer = None
        self._renewing = asyncio.get_running_loop().create_task(self._renew())
        self._renewing.add_done_callback(self._renewed_once)

    def _renewed_once(self, task: "asyncio.Task[None]") -> None:
        """Schedules the next renewal; an unexpected error is raised in the attempts that wait."""
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, Exception):
            for limiter in self._by_account.values():
                limiter.abandon(error)
        elif error is not None:
            raise error  # a signal raised in the task
        asked, self._asked_s = self._asked_s, math.inf
        if any(limiter.waiting for limiter in self._by_account.values()):
            asked = min(asked, BUSY_RENEWAL_S)
        if self._holds_leases or asked < math.inf:
            self._schedule(min(asked, IDLE_RENEWAL_S))

    async def _renew(self) -> None:
        sent = self._renewed = self._clock()
        if all(limiter.idle for limiter in self._by_account.values()):
            await self._leave()
            return
        ahead = self._ahead
        reports = {limiter.account: limiter.report(sent, ahead) for limiter in self._by_account.values()}
        try:
            renewal = await asyncio.wait_for(self._coordinator.renew(self._holder, reports), _REPLY_TIMEOUT_S)
        except (CoordinatorUnavailableError, TimeoutError):
            self._asked_s = BUSY_RENEWAL_S
            return
        self._holds_leases = True
        self._note_clock(renewal, sent)
        for account, lease in renewal.leases.items():
            self._by_account[account].take_lease(lease, self._ahead, sent + LEASE_S - _EXPIRY_MARGIN_S)

    async def _leave(self) -> None:
        now, ahead = self._clock(), self._ahead
        reports = {limiter.account: limiter.report(now, ahead) for limiter in self._by_account.values()}
        for limiter in self._by_account.values():
            limiter.void_lease()
        if self._holds_leases:
            self._holds_leases = False
            with suppress(CoordinatorUnavailableError, TimeoutError):
                await asyncio.wait_for(self._coordinator.leave(self._holder, reports), _REPLY_TIMEOUT_S)

    def _note_clock(self, renewal: Renewal, sent: float) -> None:
        received = self._clock()
        if renewal.coordinator != self._coordinator_name:
            self._coordinator_name = renewal.coordinator
            self._clocks.clear()
            for limiter in self._by_account.values():
                limiter.void_lease()
        self._clocks.append((received - sent, renewal.now - (sent + received) / 2))

    @property
    def _ahead(self) -> float:
        """Seconds by which the coordinator's clock is ahead of the worker's, from the fastest of the last exchanges."""
        return min(self._clocks, default=(0.0, 0.0))[1]
