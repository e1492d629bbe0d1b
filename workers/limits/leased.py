"""A worker's end of the limits: tries wait here for what the keeper lends.

Nobody asks the keeper for a single try.  A worker renews the leases of all its accounts together, a few times a second
while something waits, less often otherwise; between renewals a try starts at once if its lease has room and a sending
time that has come.  A lease that cannot be renewed runs out, and then nothing starts.
"""

import asyncio
import math
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from pipeline.specs import Endpoint, Limits
from workers.limits.account import Account, TryEnd
from workers.limits.book import LimitBook, LocalBook
from workers.limits.headers import smallest, told_limits
from workers.limits.lease import LEASE_S, Holder, KeeperAwayError, Learned, Lease, Renewal, Report, Slots

_SOONEST_S = 0.2
"""Between two renewals while something waits."""
_URGENT_S = 0.02
"""Between two renewals after a refusal, of which the others have to know."""
_USUAL_S = 0.5
"""Between two renewals while nothing waits."""
_LATE_S = 0.1
"""A sending time that nobody has used for so long is void; else a worker would send in bursts."""
_PATIENCE_S = 5.0
"""For a keeper's answer."""
_SPARE_S = 0.5
"""A worker believes its lease to run out so much earlier than the keeper does."""
_CLOCKS = 16
"""So many comparisons with the keeper's clock are remembered."""
_FORGETFUL = 0.05
"""Weight of a new try in the mean of what tries take."""
_FIRST_GUESS = 1000
"""Tokens of a try of which nobody knows anything."""
_LEFT_OVER = 8.0
"""Sending times' worth of tokens that small tries may leave to those after them."""


class Lender(Protocol):
    """Who lends: the part of the keeper's client that is needed here.  Raises KeeperAwayError."""

    async def renew(self, holder: Holder, reports: Mapping[Account, Report]) -> Renewal: ...

    async def leave(self, holder: Holder, reports: Mapping[Account, Report]) -> None: ...


class LeasedTry:
    """One try: waits on entering; inside it is a Slot."""

    __slots__ = ("_limit", "_told", "cut", "owed", "tokens")

    def __init__(self, limit: "LeasedLimit", tokens: int) -> None:
        self._limit, self.tokens, self.cut, self._told = limit, tokens, 0, False
        self.owed: float | None = None
        """Tokens for which sending times have still to come; None: for all of them."""

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
    debt: float = 0.0
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
        self._slots: deque[Slots] = deque()
        self._left_over = 0.0
        self._cut, self._learned = 0, Learned()
        self._timer: asyncio.TimerHandle | None = None
        self._tokens_each = 0.0
        self._tally, self._reported = _Tally(), -math.inf

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def quiet(self) -> bool:
        """Whether it needs nothing and has nothing to tell."""
        return not (self.in_flight or self._waiting or self._tally.started or self._tally.answered)

    def slot(self, tokens: int) -> LeasedTry:
        """See :class:`workers.limits.account.Limit`."""
        return LeasedTry(self, tokens)

    # Tries

    def start(self, attempt: LeasedTry) -> bool:
        """Starts a try if it may start now; who waits already comes first."""
        if self._waiting or not self._may_start(attempt, self._clock()):
            return False
        self._begin(attempt)
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
            self._tokens_each += _FORGETFUL * (tokens - self._tokens_each) if self._tokens_each else tokens
            tally.answered += 1
            tally.answered_anew += anew
            tally.tokens += tokens
            tally.debt += tokens - attempt.tokens
            return
        tally.problem = end.problem or end.kind
        if end.kind == "failed":
            tally.failed += 1
            return
        tally.refused += 1
        tally.refused_anew += anew
        tally.debt -= attempt.tokens
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
        self._drop_late(now)
        crowded = bool(self._waiting) and self._room is not None and self.in_flight >= self._room
        return Report(
            declared=self.declared,
            cut=self._cut,
            in_flight=self.in_flight,
            waiting=len(self._waiting),
            wanted=self._wanted(expected, tally),
            held_until=self._slots[-1].end + ahead if self._slots else None,
            returned=tuple(slots.later(ahead) for slots in self._surplus(expected)),
            tokens_each=self._tokens_each or self._first_guess(),
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
            debt=tally.debt,
            retry_after_s=None if tally.pause_until is None else max(0.0, tally.pause_until - now),
            told=told_limits(tally.headers) if tally.headers else None,
            problem=tally.problem,
        )

    def take(self, lease: Lease, ahead: float, expires: float) -> None:
        """A new lease; what may start now, starts."""
        hold_until = lease.hold_until - ahead
        if hold_until > self._hold_until + _LATE_S and hold_until > self._clock():
            self._slots.clear()
            self._left_over = 0.0
        if lease.cut != self._cut:
            self._tally.refused_anew = self._tally.answered_anew = 0
        self._cut, self._learned = lease.cut, lease.learned
        self._expires, self._hold_until = expires, hold_until
        self._room, self._paced = lease.concurrency, lease.paced
        self._held_back = self._tally.refused_anew > 0
        if lease.slots is not None:
            self._slots.append(lease.slots.later(-ahead))
        self._release()

    def forget(self) -> None:
        """Whatever was lent is void."""
        self._expires = self._hold_until = -math.inf
        self._slots.clear()

    def abandon(self, error: Exception) -> None:
        """Tells those who wait that it is no use."""
        while self._waiting:
            turn, _ = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(error)

    def _may_start(self, attempt: LeasedTry, now: float) -> bool:
        """Whether a try may start now; it uses up sending times where some are needed."""
        if self._held_back or now >= self._expires or now < self._hold_until:
            return False
        if self._room is not None and self.in_flight >= self._room:
            return False
        return not self._paced or self._use_slots(attempt, now)

    def _use_slots(self, attempt: LeasedTry, now: float) -> bool:
        """Whether the sending times that have come are enough: at least one, and more for a try of many tokens."""
        self._drop_late(now)
        while (attempt.owed is None or attempt.owed > 0) and self._slots and self._slots[0].start <= now:
            slots = self._slots[0]
            if attempt.owed is None:
                attempt.owed, self._left_over = self._tokens_of(attempt) - self._left_over, 0.0
            attempt.owed = attempt.owed - slots.tokens_each if slots.tokens_each else 0.0
            self._left_over = min(max(-attempt.owed, 0.0), _LEFT_OVER * slots.tokens_each)
            self._tally.debt -= slots.tokens_each
            if slots.count > 1:
                self._slots[0] = slots.without_first(1)
            else:
                self._slots.popleft()
                if not self._slots:
                    self._ask(False)
        return attempt.owed is not None and attempt.owed <= 0

    def _tokens_of(self, attempt: LeasedTry) -> int:
        return attempt.tokens or int(self._tokens_each) or _FIRST_GUESS

    def _drop_late(self, now: float) -> None:
        while self._slots and self._slots[0].start < now - _LATE_S:
            slots = self._slots.popleft()
            late = slots.count_before(now - _LATE_S)
            self._tally.debt -= late * slots.tokens_each
            if late < slots.count:
                self._slots.appendleft(slots.without_first(late))

    def _begin(self, attempt: LeasedTry) -> None:
        attempt.cut = self._cut
        attempt.tokens = self._tokens_of(attempt)
        self.in_flight += 1
        self._tally.started += 1
        self._tally.debt += attempt.tokens

    def _release(self) -> None:
        """Starts those who wait, as many as may start now."""
        now = self._clock()
        while self._waiting:
            turn, attempt = self._waiting[0]
            if not turn.done():
                if not self._may_start(attempt, now):
                    self._look_ahead()
                    return
                self._begin(attempt)
                turn.set_result(None)
            self._waiting.popleft()

    def _look_ahead(self) -> None:
        """Somebody waits: comes back when the next sending time is due, and asks for more."""
        now = self._clock()
        self._ask(now >= self._expires)
        next_s = self._slots[0].start if self._paced and self._slots else self._hold_until
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if next_s > now:
            self._timer = asyncio.get_running_loop().call_later(next_s - now, self._release)

    @property
    def _needed(self) -> int:
        """Sending times for those who wait: one each, and more for the first one if it is large."""
        if not self._waiting:
            return 0
        _, first = self._waiting[0]
        owed = self._tokens_of(first) if first.owed is None else first.owed
        return len(self._waiting) - 1 + max(1, math.ceil(owed / (self._tokens_each or self._first_guess())))

    def _wanted(self, expected: int, tally: _Tally) -> int:
        """How many more sending times would be used soon."""
        soon = self._needed + expected
        if self._room is not None:
            ended = tally.answered + tally.failed + tally.refused
            more = self._needed - len(self._waiting) if self.in_flight < self._room else 0
            soon = min(soon, max(self._room - self.in_flight, 0) + ended + 1 + more)
        return max(0, soon - sum(slots.count for slots in self._slots))

    def _surplus(self, expected: int) -> list[Slots]:
        """Takes away the last sending times where there are more than will be used."""
        surplus = sum(slots.count for slots in self._slots) - self._needed - expected - 1
        found = []
        while self._slots and surplus >= self._slots[-1].count:
            found.append(self._slots.pop())
            surplus -= found[-1].count
        return found

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
