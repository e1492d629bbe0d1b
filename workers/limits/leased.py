"""A worker's end of the limits: tries wait here for what the keeper lends.

Nobody asks the keeper for a single try.  A worker renews the leases of all its accounts together, a few times a second
while something waits, less often otherwise; between renewals a try starts at once if its lease has room and its time on
the line has come.  A lease that cannot be renewed runs out, and then nothing starts.
"""

import asyncio
import math
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate, chain, islice, repeat
from types import TracebackType
from typing import Protocol, Self

from pipeline.config.endpoint import Endpoint, Limits
from workers.limits.account import Account, TryEnd
from workers.limits.book import LimitBook, LocalBook
from workers.limits.headers import smallest, told_limits
from workers.limits.lease import (
    HORIZON_S,
    LEASE_S,
    Holder,
    KeeperAwayError,
    Learned,
    Lease,
    Rates,
    Renewal,
    Report,
    Sizes,
)
from workers.limits.lent import LATE_S, OWED, LentTime

_SOONEST_S = 0.2
"""Between two renewals while something waits."""
_URGENT_S = 0.02
"""Between two renewals after a refusal, of which the others have to know."""
_USUAL_S = 0.5
"""Between two renewals while nothing waits."""
_PATIENCE_S = 5.0
"""For a keeper's answer."""
_SPARE_S = 0.5
"""A worker believes its lease to run out so much earlier than the keeper does."""
_CLOCKS = 16
"""So many comparisons with the keeper's clock are remembered."""
_ROUNDING = 1e-3
_PIECES = 32
"""So many of the next tries are told one by one."""
_FIRST_GUESS = 1000
"""Tokens of a try of which nobody knows anything."""


class Lender(Protocol):
    """Who lends: the part of the keeper's client that is needed here.  Raises KeeperAwayError."""

    async def renew(self, holder: Holder, reports: Mapping[Account, Report]) -> Renewal: ...

    async def leave(self, holder: Holder, reports: Mapping[Account, Report]) -> None: ...


class LeasedTry:
    """One try: waits on entering; inside it is a Slot."""

    __slots__ = ("_limit", "_told", "cut", "paid", "tokens")

    def __init__(self, limit: "LeasedLimit", tokens: int) -> None:
        self._limit, self.tokens, self.cut, self._told = limit, tokens, 0, False
        self.paid = 0.0
        """Tokens, of the line."""

    async def __aenter__(self) -> Self:
        if not self._limit.start(self):
            await self._limit.wait(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._limit.leave()

    def ended(self, end: TryEnd) -> None:
        if not self._told:
            self._told = True
            self._limit.learn(self, end)


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


class LeasedLimit:
    """One account in one worker; first come, first served.  All its times are on the worker's clock.

    Args:
        ask: wants a renewal; True: at once.
    """

    def __init__(
        self, account: Account, declared: Limits, clock: Callable[[], float], ask: Callable[[bool], None]
    ) -> None:
        self.account, self.declared = account, declared
        self.in_flight = 0
        self._clock, self._ask = clock, ask
        self._waiting: deque[tuple[asyncio.Future[None], LeasedTry]] = deque()
        self._expires = self._hold_until = -math.inf
        self._held_back = False
        """Whether a refusal is still to be told."""
        self._room: int | None = 0
        self._paced = False
        self._only: int | None = None
        self._lent = LentTime()
        self._cut, self._learned = 0, Learned()
        self._timer: asyncio.TimerHandle | None = None
        self._sizes = Sizes()
        self._tally, self._reported = _Tally(), -math.inf

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def quiet(self) -> bool:
        """Whether it needs nothing and has nothing to tell."""
        plays = self.in_flight or self._waiting
        return not (plays or self._tally.started or self._tally.answered or self._lent.owes(self._mean))

    def slot(self, tokens: int) -> LeasedTry:
        """See :class:`workers.limits.account.Limit`."""
        return LeasedTry(self, tokens)

    # Tries

    def start(self, attempt: LeasedTry) -> bool:
        """Starts a try if it may start now; who waits already comes first."""
        if self._waiting:
            return False
        now = self._clock()
        if self._paced:
            self._lent.drop_late(now)
        if not self._may_start(attempt, now):
            return False
        self._begin(attempt, now)
        return True

    async def wait(self, attempt: LeasedTry) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, attempt))
        if len(self._waiting) == 1:
            self._look_ahead()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was started in the same moment
                self.leave()
            raise

    def leave(self) -> None:
        self.in_flight -= 1
        if self._waiting:
            self._release()

    def learn(self, attempt: LeasedTry, end: TryEnd) -> None:
        tally, anew = self._tally, attempt.cut == self._cut
        if end.headers:
            tally.headers = end.headers
        if end.kind == "answered":
            tokens = attempt.tokens if end.tokens is None else end.tokens
            self._sizes = self._sizes.seen(tokens, attempt.tokens)
            tally.answered += 1
            tally.answered_anew += anew
            tally.tokens += tokens
            if self._paced:
                self._lent.correct(tokens - attempt.paid)
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
            self._held_back = True
            self._ask(True)

    # Leases

    def report(self, now: float, ahead: float) -> Report:
        """What there is to tell; told once.  *ahead*: by how much the keeper's clock is ahead of ours."""
        tally, self._tally = self._tally, _Tally()
        elapsed, self._reported = min(now - self._reported, _USUAL_S), now
        expected = math.ceil(1.5 * tally.started * _SOONEST_S / max(elapsed, _SOONEST_S))
        if not self._waiting:
            self._lent.drop_late(now)
        soon, held_s = self._soon(expected, tally), self._lent.seconds
        each_s = self._lent.cost(self._mean)
        surplus = int((held_s - soon[-1]) / each_s + _ROUNDING) - 1 if each_s else 0
        pieces = tuple(after_s - held_s for after_s in soon if after_s > held_s + OWED * each_s)
        crowded = bool(self._waiting) and self._room is not None and self.in_flight >= self._room
        return Report(
            declared=self.declared,
            cut=self._cut,
            in_flight=self.in_flight,
            waiting=len(self._waiting),
            wanted_s=pieces[-1] if pieces else 0.0,
            pieces=pieces[:_PIECES],
            at_once=bool(self._waiting) and self._lent.due(self._tokens_of(self._waiting[0][1])) is None,
            returned=tuple(part.later(ahead) for part in self._lent.take_back(surplus * each_s, now)),
            held_until=None if self._lent.end is None else self._lent.end + ahead,
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
            told=told_limits(tally.headers) if tally.headers else None,
            problem=tally.problem,
        )

    def take(self, lease: Lease, ahead: float, expires: float) -> None:
        """A new lease; what may start now, starts."""
        hold_until = lease.hold_until - ahead
        if hold_until > self._hold_until + LATE_S:
            self._lent.clear()
        if lease.cut != self._cut:
            self._tally.refused_anew = self._tally.answered_anew = 0
        self._cut, self._learned = lease.cut, lease.learned
        self._expires, self._hold_until = expires, hold_until
        self._room, self._only = lease.concurrency, lease.only
        self._paced = lease.only is not None or lease.rates != Rates()
        self._held_back = self._tally.refused_anew > 0
        news = self._lent.rates == Rates() != lease.rates
        self._lent.rates = lease.rates
        if lease.stretch is not None:
            self._lent.add(lease.stretch.later(-ahead))
        self._release()
        if news and self._waiting:
            self._ask(True)

    def forget(self) -> None:
        """Whatever was lent is void."""
        self._expires = self._hold_until = -math.inf
        self._lent.clear()

    def abandon(self, error: Exception) -> None:
        """Tells those who wait that it is no use."""
        while self._waiting:
            turn, _ = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(error)

    def _may_start(self, attempt: LeasedTry, now: float) -> bool:
        if self._held_back or now >= self._expires or now < self._hold_until:
            return False
        if self._room is not None and self.in_flight >= self._room:
            return False
        if not self._paced:
            return True
        if self._only is not None:
            return self._only > 0
        due = self._lent.due(self._tokens_of(attempt))
        return due is not None and due <= now

    def _tokens_of(self, attempt: LeasedTry) -> float:
        """As guessed, and by how much such guesses were wrong before."""
        guess, mean = attempt.tokens, self._sizes.mean
        if not guess:
            return mean or _FIRST_GUESS
        # One guess that was far too high makes no other try free.
        return max(1.0, guess + self._sizes.bias, min(guess, mean))

    def _begin(self, attempt: LeasedTry, now: float) -> None:
        attempt.cut = self._cut
        attempt.paid = self._tokens_of(attempt)
        attempt.tokens = attempt.tokens or int(attempt.paid)
        self.in_flight += 1
        self._tally.started += 1
        if self._paced:
            self._lent.pay(attempt.paid, now)
        if self._only is not None:
            self._only -= 1

    def _release(self) -> None:
        """Starts those who wait, as many as may start now."""
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
        """Somebody waits: comes back when the next try is due, and asks for more."""
        now = self._clock()
        self._ask(now >= self._expires)
        next_s = max(self._lent.due(self._tokens_of(self._waiting[0][1])) or -math.inf, self._hold_until)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if next_s > now:
            self._timer = asyncio.get_running_loop().call_later(next_s - now, self._release)

    def _soon(self, expected: int, tally: _Tally) -> list[float]:
        """How much of the line is owed, then with the next try, the next two, and so on; who will come is last."""
        count = len(self._waiting) + expected
        if self._room is not None:
            ended = tally.answered + tally.failed + tally.refused
            count = min(count, max(self._room - self.in_flight, 0) + ended + 1)
        waiting = (self._tokens_of(attempt) for _, attempt in self._waiting)
        soon, mean = [self._lent.cost(0, 0)], self._mean
        if self._lent.rates != Rates():
            for number, tokens in enumerate(accumulate(islice(chain(waiting, repeat(mean)), count)), 1):
                soon.append(self._lent.cost(tokens, number))
                if soon[-1] > HORIZON_S:
                    break
        return soon

    @property
    def _mean(self) -> float:
        """Tokens of a try."""
        return self._sizes.mean or self._first_guess()

    def _first_guess(self) -> float:
        """Before anything was answered."""
        known = [attempt.tokens or _FIRST_GUESS for _, attempt in self._waiting]
        return sum(known) / len(known) if known else float(_FIRST_GUESS)


class AccountLimits:
    """The limits of one worker, one an account.

    Args:
        lender: the keeper; None: one of its own.
        holder: which worker it is.
        clock: seconds; only differences count.
    """

    def __init__(
        self,
        lender: Lender | None = None,
        holder: Holder | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lender = lender or LocalBook(LimitBook(clock))
        self._holder = holder or Holder("run", secrets.token_hex(4))
        self._clock = clock
        self._by_account: dict[Account, LeasedLimit] = {}
        self._keeper = ""
        self._lent = False
        self._clocks: deque[tuple[float, float]] = deque(maxlen=_CLOCKS)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._renewed = -math.inf
        self._due = math.inf
        self._asked_s = math.inf

    def limit(self, endpoint: Endpoint) -> LeasedLimit:
        """The account's limit.  Where endpoints of one account disagree about its size, the smallest one holds."""
        account = Account.of(endpoint)
        limit = self._by_account.get(account)
        if limit is None:
            limit = self._by_account[account] = LeasedLimit(account, endpoint.limits, self._clock, self._ask)
        limit.declared = smallest((limit.declared, endpoint.limits))
        return limit

    async def close(self) -> None:
        """Gives everything back.  May be called twice."""
        self._cancel_timer()
        if self._renewing is not None and self._loop is asyncio.get_running_loop():
            self._renewing.cancel()
            with suppress(asyncio.CancelledError):
                await self._renewing
        await self._leave()

    def _ask(self, urgent: bool) -> None:
        """Has the leases renewed soon."""
        self._schedule(_URGENT_S if urgent else _SOONEST_S)

    def _schedule(self, after_s: float) -> None:
        """So long after the last renewal, unless one is due before."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # a worker may run one after another
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
        """Plans the next renewal; a mistake of ours ends those who wait, rather than letting them wait for ever."""
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, Exception):
            for limit in self._by_account.values():
                limit.abandon(error)
        elif error is not None:
            raise error  # a signal that was raised in here
        asked, self._asked_s = self._asked_s, math.inf
        if any(limit.waiting for limit in self._by_account.values()):
            asked = min(asked, _SOONEST_S)
        if self._lent or asked < math.inf:
            self._schedule(min(asked, _USUAL_S))

    async def _renew(self) -> None:
        sent = self._renewed = self._clock()
        if all(limit.quiet for limit in self._by_account.values()):
            await self._leave()
            return
        ahead = self._ahead
        reports = {limit.account: limit.report(sent, ahead) for limit in self._by_account.values()}
        try:
            renewal = await asyncio.wait_for(self._lender.renew(self._holder, reports), _PATIENCE_S)
        except (KeeperAwayError, TimeoutError):
            self._asked_s = _SOONEST_S
            return
        self._lent = True
        self._note_clock(renewal, sent)
        for account, lease in renewal.leases.items():
            self._by_account[account].take(lease, self._ahead, sent + LEASE_S - _SPARE_S)

    async def _leave(self) -> None:
        now, ahead = self._clock(), self._ahead
        reports = {limit.account: limit.report(now, ahead) for limit in self._by_account.values()}
        for limit in self._by_account.values():
            limit.forget()
        if self._lent:
            self._lent = False
            with suppress(KeeperAwayError, TimeoutError):
                await asyncio.wait_for(self._lender.leave(self._holder, reports), _PATIENCE_S)

    def _note_clock(self, renewal: Renewal, sent: float) -> None:
        received = self._clock()
        if renewal.keeper != self._keeper:
            self._keeper = renewal.keeper
            self._clocks.clear()
            for limit in self._by_account.values():
                limit.forget()
        self._clocks.append((received - sent, renewal.now - (sent + received) / 2))

    @property
    def _ahead(self) -> float:
        """By how much the keeper's clock is ahead of ours, by the quickest of the last exchanges."""
        return min(self._clocks, default=(0.0, 0.0))[1]
