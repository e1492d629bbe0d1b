"""One account in one worker: attempts wait here until their lease allows them to start.

No attempt asks the coordinator by itself.  Between two renewals of its lease, an attempt starts at once when the lease
has room and its time slot has come.  When a lease expires, nothing starts until it is renewed.
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
from muses_eval.workers.limits.headers import limits_from_headers
from muses_eval.workers.limits.protocol import HORIZON_S, AccountReport, LearnedLimits, Lease, Rates, TokenStats
from muses_eval.workers.limits.time_slots import LATE_S, OWED_SHARE, HeldTime

BUSY_RENEWAL_S = 0.2
"""Between two renewals while an attempt waits."""
IDLE_RENEWAL_S = 0.5
"""Between two renewals while no attempt waits."""
_ROUNDING = 1e-3
_PIECES = 32
"""How many of the next attempts are reported one by one."""
_FIRST_ESTIMATE = 1000
"""Tokens of an attempt while nothing is known."""


class LeasedAttempt:
    """One attempt: waits on entering, and is the Permit inside."""

    __slots__ = ("_ended", "_limiter", "cut", "paid", "tokens")

    def __init__(self, limiter: "LeasedLimiter", tokens: int) -> None:
        self._limiter, self.tokens, self.cut, self._ended = limiter, tokens, 0, False
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

    def ended(self, end: AttemptOutcome) -> None:
        if not self._ended:
            self._ended = True
            self._limiter.learn(self, end)


@dataclass(slots=True)
class _Tally:
    """What happened since the last report."""

    started: int = 0
    answered: int = 0
    answered_anew: int = 0
    failed: int = 0
    refused: int = 0
    refused_anew: int = 0
    tokens: int = 0
    pause_until: float | None = None
    headers: Mapping[str, str] | None = None
    problem: str | None = None


class LeasedLimiter:
    """The limiter of one account in one worker, first come, first served.  All times are on the worker's clock.

    Args:
        account: the account.
        declared: its declared limits.
        clock: seconds; only differences matter.
        ask: requests a renewal; True: at once.
    """

    def __init__(
        self, account: Account, declared: Limits, clock: Callable[[], float], ask: Callable[[bool], None]
    ) -> None:
        self.account, self.declared = account, declared
        self.in_flight = 0
        self._clock, self._ask = clock, ask
        self._waiting: deque[tuple[asyncio.Future[None], LeasedAttempt]] = deque()
        self._expires = self._hold_until = -math.inf
        self._refusal_pending = False
        """Whether a refusal has not been reported yet."""
        self._most_in_flight: int | None = 0
        self._paced = False
        self._only: int | None = None
        self._held_time = HeldTime()
        self._cut, self._learned = 0, LearnedLimits()
        self._timer: asyncio.TimerHandle | None = None
        self._sizes = TokenStats()
        self._tally, self._reported = _Tally(), -math.inf

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def quiet(self) -> bool:
        """Whether it needs nothing and has nothing to report."""
        plays = self.in_flight or self._waiting
        return not (plays or self._tally.started or self._tally.answered or self._held_time.owes(self._mean))

    def permit(self, tokens: int) -> LeasedAttempt:
        """See :class:`muses_eval.workers.limits.account.Limiter`."""
        return LeasedAttempt(self, tokens)

    # Attempts

    def start(self, attempt: LeasedAttempt) -> bool:
        """Starts an attempt if it may start now; attempts that already wait come first."""
        if self._waiting:
            return False
        now = self._clock()
        if self._paced:
            self._held_time.drop_late(now)
        if not self._may_start(attempt, now):
            return False
        self._begin(attempt, now)
        return True

    async def wait(self, attempt: LeasedAttempt) -> None:
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

    def learn(self, attempt: LeasedAttempt, end: AttemptOutcome) -> None:
        tally, anew = self._tally, attempt.cut == self._cut
        if end.headers:
            tally.headers = end.headers
        if end.kind == "answered":
            tokens = attempt.tokens if end.tokens is None else end.tokens
            self._sizes = self._sizes.updated(tokens, attempt.tokens)
            tally.answered += 1
            tally.answered_anew += anew
            tally.tokens += tokens
            if self._paced:
                self._held_time.correct(tokens - attempt.paid)
            return
        tally.problem = end.problem or end.kind
        if end.kind == "failed":
            tally.failed += 1
            return
        tally.refused += 1
        tally.refused_anew += anew
        if end.retry_after_s is not None:
            tally.pause_until = max(tally.pause_until or -math.inf, self._clock() + end.retry_after_s)
        if anew:
            self._refusal_pending = True
            self._ask(True)

    # Leases

    def report(self, now: float, ahead: float) -> AccountReport:
        """Returns what happened since the last report.  *ahead*: lead of the coordinator's clock, in seconds."""
        tally, self._tally = self._tally, _Tally()
        elapsed, self._reported = min(now - self._reported, IDLE_RENEWAL_S), now
        expected = math.ceil(1.5 * tally.started * BUSY_RENEWAL_S / max(elapsed, BUSY_RENEWAL_S))
        if not self._waiting:
            self._held_time.drop_late(now)
        soon, held_s = self._soon(expected, tally), self._held_time.seconds
        each_s = self._held_time.cost(self._mean)
        surplus = int((held_s - soon[-1]) / each_s + _ROUNDING) - 1 if each_s else 0
        pieces = tuple(after_s - held_s for after_s in soon if after_s > held_s + OWED_SHARE * each_s)
        crowded = bool(self._waiting) and self._most_in_flight is not None and self.in_flight >= self._most_in_flight
        return AccountReport(
            declared=self.declared,
            cut=self._cut,
            in_flight=self.in_flight,
            waiting=len(self._waiting),
            wanted_s=pieces[-1] if pieces else 0.0,
            pieces=pieces[:_PIECES],
            at_once=bool(self._waiting) and self._held_time.due(self._tokens_of(self._waiting[0][1])) is None,
            returned=tuple(part.later(ahead) for part in self._held_time.take_back(surplus * each_s, now)),
            held_until=None if self._held_time.end is None else self._held_time.end + ahead,
            sizes=self._sizes,
            crowded=crowded,
            paced=bool(self._waiting) and self._paced and not crowded,
            learned=self._learned,
            started=tally.started,
            answered=tally.answered,
            failed=tally.failed,
            refused=tally.refused,
            refused_anew=tally.refused_anew,
            answered_anew=tally.answered_anew,
            tokens=tally.tokens,
            retry_after_s=None if tally.pause_until is None else max(0.0, tally.pause_until - now),
            header_limits=limits_from_headers(tally.headers) if tally.headers else None,
            problem=tally.problem,
        )

    def take(self, lease: Lease, ahead: float, expires: float) -> None:
        """Takes a new lease and starts what may start now."""
        hold_until = lease.hold_until - ahead
        if hold_until > self._hold_until + LATE_S:
            self._held_time.clear()
        if lease.cut != self._cut:
            self._tally.refused_anew = self._tally.answered_anew = 0
        self._cut, self._learned = lease.cut, lease.learned
        self._expires, self._hold_until = expires, hold_until
        self._most_in_flight, self._only = lease.concurrency, lease.only
        self._paced = lease.only is not None or lease.rates != Rates()
        self._refusal_pending = self._tally.refused_anew > 0
        news = self._held_time.rates == Rates() != lease.rates
        self._held_time.rates = lease.rates
        if lease.slot is not None:
            self._held_time.add(lease.slot.later(-ahead))
        self._release()
        if news and self._waiting:
            self._ask(True)

    def forget(self) -> None:
        """Voids the lease and all time slots."""
        self._expires = self._hold_until = -math.inf
        self._held_time.clear()

    def abandon(self, error: Exception) -> None:
        """Raises *error* in all attempts that wait."""
        while self._waiting:
            turn, _ = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(error)

    def _may_start(self, attempt: LeasedAttempt, now: float) -> bool:
        if self._refusal_pending or now >= self._expires or now < self._hold_until:
            return False
        if self._most_in_flight is not None and self.in_flight >= self._most_in_flight:
            return False
        if not self._paced:
            return True
        if self._only is not None:
            return self._only > 0
        due = self._held_time.due(self._tokens_of(attempt))
        return due is not None and due <= now

    def _tokens_of(self, attempt: LeasedAttempt) -> float:
        """The estimate, corrected by how wrong earlier estimates were."""
        estimate, mean = attempt.tokens, self._sizes.mean
        if not estimate:
            return mean or _FIRST_ESTIMATE
        # One estimate that was far too high does not make other attempts free.
        return max(1.0, estimate + self._sizes.bias, min(estimate, mean))

    def _begin(self, attempt: LeasedAttempt, now: float) -> None:
        attempt.cut = self._cut
        attempt.paid = self._tokens_of(attempt)
        attempt.tokens = attempt.tokens or int(attempt.paid)
        self.in_flight += 1
        self._tally.started += 1
        if self._paced:
            self._held_time.pay(attempt.paid, now)
        if self._only is not None:
            self._only -= 1

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
        next_s = max(self._held_time.due(self._tokens_of(self._waiting[0][1])) or -math.inf, self._hold_until)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if next_s > now:
            self._timer = asyncio.get_running_loop().call_later(next_s - now, self._release)

    def _soon(self, expected: int, tally: _Tally) -> list[float]:
        """Seconds owed, then with the next attempt, the next two, and so on; expected attempts come last."""
        count = len(self._waiting) + expected
        if self._most_in_flight is not None:
            ended = tally.answered + tally.failed + tally.refused
            count = min(count, max(self._most_in_flight - self.in_flight, 0) + ended + 1)
        waiting = (self._tokens_of(attempt) for _, attempt in self._waiting)
        soon, mean = [self._held_time.cost(0, 0)], self._mean
        if self._held_time.rates != Rates():
            for number, tokens in enumerate(accumulate(islice(chain(waiting, repeat(mean)), count)), 1):
                soon.append(self._held_time.cost(tokens, number))
                if soon[-1] > HORIZON_S:
                    break
        return soon

    @property
    def _mean(self) -> float:
        """Mean tokens of an attempt."""
        return self._sizes.mean or self._first_estimate()

    def _first_estimate(self) -> float:
        """Mean estimate of the waiting attempts, before any was answered."""
        known = [attempt.tokens or _FIRST_ESTIMATE for _, attempt in self._waiting]
        return sum(known) / len(known) if known else float(_FIRST_ESTIMATE)
