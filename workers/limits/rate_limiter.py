"""The rate limiter of one account in one worker: attempts wait here until the worker's lease allows them to start.

The coordinator grants leases (``muses_eval.workers.limits.lease_allocator``); no attempt calls it.  Between two
renewals of the lease, an attempt starts at once when the lease has room and its time slot has come.  When a lease
expires, nothing starts until it is renewed.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate, chain, islice, repeat
from types import TracebackType
from typing import Self

from muses_eval.pipeline.config.endpoint import Limits
from muses_eval.workers.limits.account import Account, AttemptOutcome
from muses_eval.workers.limits.limit_headers import limits_from_headers
from muses_eval.workers.limits.protocol import HORIZON_S, AccountReport, LearnedLimits, Lease, Rates, TokenStats
from muses_eval.workers.limits.time_slots import DEBT_SHARE, LATE_S, HeldTimeSlots

BUSY_RENEWAL_S = 0.2
"""Seconds between two renewals while an attempt waits."""
IDLE_RENEWAL_S = 0.5
"""Seconds between two renewals while no attempt waits."""
_ROUNDING = 1e-3
_PIECES = 32
"""Number of the next attempts that are reported one by one."""
_FIRST_ESTIMATE = 1000
"""Tokens of an attempt before any attempt was answered."""


class AttemptPermit:
    """One attempt: waits on entering, and is the Permit inside."""

    __slots__ = ("_limiter", "_recorded", "cut", "paid", "tokens")

    def __init__(self, limiter: "RateLimiter", tokens: int) -> None:
        self._limiter, self.tokens, self.cut, self._recorded = limiter, tokens, 0, False
        self.paid = 0.0
        """Tokens that were paid with time slots."""

    async def __aenter__(self) -> Self:
        if not self._limiter.start(self):
            await self._limiter.wait(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._limiter.leave()

    def record(self, outcome: AttemptOutcome) -> None:
        if not self._recorded:
            self._recorded = True
            self._limiter.record(self, outcome)


@dataclass(slots=True)
class _Counts:
    """Counts since the last report."""

    started: int = 0
    answered: int = 0
    answered_after_cut: int = 0
    failed: int = 0
    refused: int = 0
    refused_after_cut: int = 0
    tokens: int = 0
    pause_until: float | None = None
    headers: Mapping[str, str] | None = None
    problem: str | None = None


class RateLimiter:
    """The limiter of one account in one worker, first come, first served.  All times are on the worker's clock.

    Args:
        account: the account.
        declared: its declared limits.
        clock: seconds; only differences matter.
        ask: requests a renewal; called with True when it is urgent.
    """

    def __init__(
        self, account: Account, declared: Limits, clock: Callable[[], float], ask: Callable[[bool], None]
    ) -> None:
        self.account, self.declared = account, declared
        self.in_flight = 0
        self._clock, self._ask = clock, ask
        self._waiting: deque[tuple[asyncio.Future[None], AttemptPermit]] = deque()
        self._expires = self._hold_until = -math.inf
        self._refusal_pending = False
        """True while a refusal has not been reported."""
        self._most_in_flight: int | None = 0
        self._paced = False
        self._max_starts: int | None = None
        self._held_slots = HeldTimeSlots()
        self._cut, self._learned = 0, LearnedLimits()
        self._timer: asyncio.TimerHandle | None = None
        self._sizes = TokenStats()
        self._counts, self._reported = _Counts(), -math.inf

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        """True when it needs nothing and has nothing to report."""
        busy = self.in_flight or self._waiting
        return not (busy or self._counts.started or self._counts.answered or self._held_slots.in_debt(self._mean))

    def permit(self, tokens: int) -> AttemptPermit:
        """See :class:`muses_eval.workers.limits.account.Limiter`."""
        return AttemptPermit(self, tokens)

    # Attempts

    def start(self, attempt: AttemptPermit) -> bool:
        """Starts an attempt if it may start now; attempts that already wait come first."""
        if self._waiting:
            return False
        now = self._clock()
        if self._paced:
            self._held_slots.drop_late(now)
        if not self._may_start(attempt, now):
            return False
        self._begin(attempt, now)
        return True

    async def wait(self, attempt: AttemptPermit) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, attempt))
        if len(self._waiting) == 1:
            self._look_ahead()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # started in the same moment
                self.leave()
            raise

    def leave(self) -> None:
        self.in_flight -= 1
        if self._waiting:
            self._release()

    def record(self, attempt: AttemptPermit, outcome: AttemptOutcome) -> None:
        counts, after_cut = self._counts, attempt.cut == self._cut
        if outcome.headers:
            counts.headers = outcome.headers
        if outcome.kind == "answered":
            tokens = attempt.tokens if outcome.tokens is None else outcome.tokens
            self._sizes = self._sizes.updated(tokens, attempt.tokens)
            counts.answered += 1
            counts.answered_after_cut += after_cut
            counts.tokens += tokens
            if self._paced:
                self._held_slots.correct(tokens - attempt.paid)
            return
        counts.problem = outcome.problem or outcome.kind
        if outcome.kind == "failed":
            counts.failed += 1
            return
        counts.refused += 1
        counts.refused_after_cut += after_cut
        if outcome.retry_after_s is not None:
            counts.pause_until = max(counts.pause_until or -math.inf, self._clock() + outcome.retry_after_s)
        if after_cut:
            self._refusal_pending = True
            self._ask(True)

    # Leases

    def report(self, now: float, ahead: float) -> AccountReport:
        """Returns the counts since the last report.  *ahead*: seconds by which the coordinator's clock is ahead."""
        counts, self._counts = self._counts, _Counts()
        elapsed, self._reported = min(now - self._reported, IDLE_RENEWAL_S), now
        expected = math.ceil(1.5 * counts.started * BUSY_RENEWAL_S / max(elapsed, BUSY_RENEWAL_S))
        if not self._waiting:
            self._held_slots.drop_late(now)
        soon, held_s = self._soon(expected, counts), self._held_slots.seconds
        each_s = self._held_slots.cost(self._mean)
        surplus = int((held_s - soon[-1]) / each_s + _ROUNDING) - 1 if each_s else 0
        slot_sizes_s = tuple(after_s - held_s for after_s in soon if after_s > held_s + DEBT_SHARE * each_s)
        crowded = bool(self._waiting) and self._most_in_flight is not None and self.in_flight >= self._most_in_flight
        return AccountReport(
            declared=self.declared,
            cut=self._cut,
            in_flight=self.in_flight,
            waiting=len(self._waiting),
            wanted_s=slot_sizes_s[-1] if slot_sizes_s else 0.0,
            slot_sizes_s=slot_sizes_s[:_PIECES],
            urgent=bool(self._waiting) and self._held_slots.due(self._tokens_of(self._waiting[0][1])) is None,
            returned=tuple(part.later(ahead) for part in self._held_slots.take_back(surplus * each_s, now)),
            held_until=None if self._held_slots.end is None else self._held_slots.end + ahead,
            sizes=self._sizes,
            crowded=crowded,
            paced=bool(self._waiting) and self._paced and not crowded,
            learned=self._learned,
            started=counts.started,
            answered=counts.answered,
            failed=counts.failed,
            refused=counts.refused,
            refused_after_cut=counts.refused_after_cut,
            answered_after_cut=counts.answered_after_cut,
            tokens=counts.tokens,
            retry_after_s=None if counts.pause_until is None else max(0.0, counts.pause_until - now),
            header_limits=limits_from_headers(counts.headers) if counts.headers else None,
            problem=counts.problem,
        )

    def take_lease(self, lease: Lease, ahead: float, expires: float) -> None:
        """Takes a new lease and starts what may start now."""
        hold_until = lease.hold_until - ahead
        if hold_until > self._hold_until + LATE_S:
            self._held_slots.clear()
        if lease.cut != self._cut:
            self._counts.refused_after_cut = self._counts.answered_after_cut = 0
        self._cut, self._learned = lease.cut, lease.learned
        self._expires, self._hold_until = expires, hold_until
        self._most_in_flight, self._max_starts = lease.concurrency, lease.max_starts
        self._paced = lease.max_starts is not None or lease.rates != Rates()
        self._refusal_pending = self._counts.refused_after_cut > 0
        first_rates = self._held_slots.rates == Rates() != lease.rates
        self._held_slots.rates = lease.rates
        if lease.slot is not None:
            self._held_slots.add(lease.slot.later(-ahead))
        self._release()
        if first_rates and self._waiting:
            self._ask(True)

    def void_lease(self) -> None:
        """Voids the lease and all time slots."""
        self._expires = self._hold_until = -math.inf
        self._held_slots.clear()

    def abandon(self, error: Exception) -> None:
        """Raises *error* in all attempts that wait."""
        while self._waiting:
            turn, _ = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(error)

    def _may_start(self, attempt: AttemptPermit, now: float) -> bool:
        if self._refusal_pending or now >= self._expires or now < self._hold_until:
            return False
        if self._most_in_flight is not None and self.in_flight >= self._most_in_flight:
            return False
        if not self._paced:
            return True
        if self._max_starts is not None:
            return self._max_starts > 0
        due = self._held_slots.due(self._tokens_of(attempt))
        return due is not None and due <= now

    def _tokens_of(self, attempt: AttemptPermit) -> float:
        """Returns the estimate, corrected by the bias of earlier estimates."""
        estimate, mean = attempt.tokens, self._sizes.mean
        if not estimate:
            return mean or _FIRST_ESTIMATE
        # One estimate that was far too high must not make other attempts free.
        return max(1.0, estimate + self._sizes.bias, min(estimate, mean))

    def _begin(self, attempt: AttemptPermit, now: float) -> None:
        attempt.cut = self._cut
        attempt.paid = self._tokens_of(attempt)
        attempt.tokens = attempt.tokens or int(attempt.paid)
        self.in_flight += 1
        self._counts.started += 1
        if self._paced:
            self._held_slots.pay(attempt.paid, now)
        if self._max_starts is not None:
            self._max_starts -= 1

    def _release(self) -> None:
        """Starts as many waiting attempts as may start now."""
        now = self._clock()
        while self._waiting:
            turn, attempt = self._waiting[0]
            if not turn.done():
                if not self._may_start(attempt, now):
                    self._look_ahead()
                    return
                self._begin(attempt, now)
                turn.set_result(None)
            self._waiting.popleft()

    def _look_ahead(self) -> None:
        """Sets a timer for the next waiting attempt, and requests a renewal."""
        now = self._clock()
        self._ask(now >= self._expires)
        next_s = max(self._held_slots.due(self._tokens_of(self._waiting[0][1])) or -math.inf, self._hold_until)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if next_s > now:
            self._timer = asyncio.get_running_loop().call_later(next_s - now, self._release)

    def _soon(self, expected: int, counts: _Counts) -> list[float]:
        """Returns the seconds that are missing for no attempt, for the next one, the next two and so on.

        The waiting attempts come first, then *expected* more attempts of mean size.
        """
        count = len(self._waiting) + expected
        if self._most_in_flight is not None:
            ended = counts.answered + counts.failed + counts.refused
            count = min(count, max(self._most_in_flight - self.in_flight, 0) + ended + 1)
        waiting = (self._tokens_of(attempt) for _, attempt in self._waiting)
        soon, mean = [self._held_slots.cost(0, 0)], self._mean
        if self._held_slots.rates != Rates():
            for number, tokens in enumerate(accumulate(islice(chain(waiting, repeat(mean)), count)), 1):
                soon.append(self._held_slots.cost(tokens, number))
                if soon[-1] > HORIZON_S:
                    break
        return soon

    @property
    def _mean(self) -> float:
        """Mean tokens of an attempt."""
        return self._sizes.mean or self._first_estimate()

    def _first_estimate(self) -> float:
        """Returns the mean estimate of the waiting attempts, before any was answered."""
        known = [attempt.tokens or _FIRST_ESTIMATE for _, attempt in self._waiting]
        return sum(known) / len(known) if known else float(_FIRST_ESTIMATE)
