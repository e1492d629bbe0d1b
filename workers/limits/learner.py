"""Learns undeclared limits from refusals: a request rate, and a number of calls in flight.

* Slow start: a few calls in flight, then twice as many each time they are answered, as long as more are waiting.
* A refusal cuts once.  Refusals of tries that had been started before the cut are no news; they only correct it.
* Refusals that go on after the cut are of a provider whose budget is used up.  Nothing is sent for a while, then one
  try; and once that is let in, what was let in since the account was last free, over the time it took, is the rate that
  the provider allows, whatever its window.
* After a cut a bound grows back along a cubic curve: to where it was cut within some hundred calls, slowly around
  there, then faster and faster.  So a refusal is rare, and a limit that was raised is found.
* Only a bound that holds something back grows, and none grows while calls fail for other reasons.

Everything here is arithmetic on what workers report; docs/limits.md has the reasons and the numbers.
"""

import math
from dataclasses import dataclass

from muses_eval.workers.limits.protocol import LearnedLimits
from muses_eval.workers.limits.sliding_sum import SlidingSum

FIRST_WINDOW = 16.0
_UNANSWERED_DOUBLING_S = 4.0
"""Slow start does not wait for answers that take minutes."""
_RATE_CUT, _WINDOW_CUT, _MEASURED = 0.95, 0.9, 0.97
"""What is left of a bound after a cut, and of a rate that was measured."""
_ENOUGH = 10
"""Before so many tries were let in, a refusal says nothing about how many may be."""
_ISOLATED = 100
"""A refusal after so many tries since the last cut is a new one, and not more of the same."""
_FAILURE_HOLD_S = 5.0
_BREATH_S = 0.25
"""After every cut: until all workers know of it, and what they were lent before is void."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 5.0
_LONGEST_ASKED_PAUSE_S = 300.0
"""A provider may ask for hours; we look whether it means it."""
_PROBE_S = 1.0
"""Refusals come quickly: a try that was not refused for so long was let in."""
_WHOLE_S = 1.0
"""Pauses that a provider asks for are whole seconds, rounded up."""
_USED_UP_S = 3.0
"""A provider that asks for so long a pause reports that its limit is used up."""
_SAME_CUT_S = 2.0
_MEMORY_S = 120.0
_MEASURE_S = 60.0
"""A rate is measured over so long, if the account was in use: after too many calls little is let in for a while."""
_IDLE_S = 10.0
_PACED_S, _PACED_LEAST = 10.0, 0.98
"""So long is looked back for what was let in of a rate that was too high; no less than a share of it is believed."""
_LEAST_RATE = 1 / 60
_STEEPEST, _LEFT_BEHIND, _AWAY = 0.01, 1.25, 0.03
"""A rate that grows fast fills the provider's window with calls that were too many, and then nothing is let in.  So it
grows by a share of 0.01 a second at the most; by 0.03 where it is 1.25 times what was thought to be the limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountActivity:
    """What somebody did with an account since the last one."""

    started: int = 0
    answered: int = 0
    failed: int = 0
    refused: int = 0
    refused_anew: int = 0
    """Started after the last cut."""
    answered_anew: int = 0
    in_flight: int = 0
    """Attempts in flight now, over all workers."""
    crowded: bool = False
    """Tries wait for others to end."""
    paced: bool = False
    """Tries wait for their time on the line."""
    retry_after_s: float | None = None


@dataclass(slots=True)
class Curve:
    """A bound that was cut and grows back: slowly around *limit*, where it met a refusal, and faster beyond."""

    limit: float
    value: float
    period_s: float
    """How long it takes to grow back to *limit*."""
    steepest: float = math.inf
    """By which share it grows a second, at the most, until it has left *limit* behind."""
    _step: float = 0.0
    _grown_s: float = 0.0

    def __post_init__(self) -> None:
        self._step = self.limit - self.value

    @property
    def untouched(self) -> bool:
        return not self._grown_s

    def grow(self, seconds: float) -> None:
        self._grown_s += seconds
        cubic = self.limit + self._step * (self._grown_s / self.period_s - 1.0) ** 3
        if cubic <= self.limit or self.steepest == math.inf:
            self.value = cubic
        elif self.value <= _LEFT_BEHIND * self.limit:
            self.value = min(max(self.value, cubic), self.value * (1 + self.steepest * seconds))
        else:
            self.value *= 1 + _AWAY * seconds


class Learner:
    """What is known of one account by experience.

    Args:
        now: on the clock of all later times.
        slow_start: whether the number in flight has to be found; else only refusals bound it.
    """

    def __init__(self, now: float, *, slow_start: bool) -> None:
        self.cut = 0
        self.hold_until = -math.inf
        self.probing = False
        """Whether a single try is to find out if the provider lets us in again."""
        self._window: float | None = FIRST_WINDOW if slow_start else None
        self._window_curve: Curve | None = None
        self._rate_curve: Curve | None = None
        self._let_in = SlidingSum(_MEMORY_S)
        self._seen_at = self._free_since = self._active_since = now
        self._cut_at = self._failed_at = -math.inf
        self._before_cut: tuple[float | None, Curve | None] = (self._window, None)
        self._probe_at: float | None = None
        self._probe_started: float | None = None
        self._guessed_s = 0.0
        """So much of the last pause may have been longer than it had to be."""
        self._measuring = False
        self._refusals_in_a_row = 0
        self._let_in_since_cut = 0

    @property
    def rate(self) -> float | None:
        """Tries a second; None: no bound that we know of."""
        return None if self._rate_curve is None else max(_LEAST_RATE, self._rate_curve.value)

    @property
    def window(self) -> float | None:
        """Tries in flight, at least 1; None: no bound that we know of."""
        bound = self._window if self._window_curve is None else self._window_curve.value
        return None if bound is None else max(1.0, bound)

    @property
    def learned(self) -> LearnedLimits:
        return LearnedLimits(self.rate, self.window)

    def adopt(self, learned: LearnedLimits) -> None:
        """Goes on from what an earlier coordinator had learned."""
        if learned.requests_per_s is not None and self._rate_curve is None:
            self._rate_curve = _rate_curve(learned.requests_per_s, learned.requests_per_s * _RATE_CUT, calls=500)
        if learned.concurrency is not None and self._window is not None:
            self._window = max(self._window, learned.concurrency)

    def may_probe(self, now: float) -> bool:
        """While probing: whether the next probe is due."""
        return self._probe_at is None or now - self._probe_at > 2 * _PROBE_S

    def probe_sent(self, now: float) -> None:
        self._probe_at = now

    def observe(self, seen: AccountActivity, now: float) -> None:
        """Takes in what happened and sets the bounds anew."""
        elapsed = now - self._seen_at
        self._seen_at = now
        if elapsed > _IDLE_S:
            self._free_since = self._active_since = now
        self._let_in.add(now, seen.started - seen.refused)
        self._let_in_since_cut += seen.started - seen.refused
        if seen.failed:
            self._failed_at = now
        if seen.refused_anew:
            self._cut_down(seen, now)
        elif seen.refused:
            self._correct_cut(seen, now)
        elif self.probing:
            self._watch_probe(seen, now)
        elif now >= self.hold_until and now - self._failed_at > _FAILURE_HOLD_S:
            self._grow(seen, min(elapsed, 1.0))

    def _cut_down(self, seen: AccountActivity, now: float) -> None:
        if self._let_in_since_cut >= _ISOLATED:
            self._refusals_in_a_row = 0
        pause = min(seen.retry_after_s or 0.0, _LONGEST_ASKED_PAUSE_S)
        self._guessed_s = min(pause, _WHOLE_S)
        if self._refusals_in_a_row:
            doublings = min(self._refusals_in_a_row - 1, 10)
            guess = min(_FIRST_PAUSE_S * 2**doublings, _LONGEST_PAUSE_S)
            if guess > pause:
                pause = self._guessed_s = guess
        else:
            self._cut_bound(seen, now)
        if pause:
            self.probing, self._probe_at, self._probe_started = True, None, None
            self._measuring = self._measuring or pause >= _USED_UP_S or self._refusals_in_a_row > 0
        self.cut += 1
        self._cut_at, self._let_in_since_cut = now, 0
        self._refusals_in_a_row += 1
        self.hold_until = max(self.hold_until, now + max(pause, _BREATH_S))

    def _cut_bound(self, seen: AccountActivity, now: float) -> None:
        """The bound that held something back is the one that was too high."""
        in_flight = max(1.0, float(seen.in_flight))
        self._before_cut = (self._window, self._window_curve)
        if seen.paced and self.rate is None:
            return  # a declared rate held calls back; one refusal may come from the network, and more will be measured
        if seen.paced and self.rate is not None:
            let_in = self._let_in.rate(now, max(self._free_since, now - _PACED_S))
            limit = min(max(let_in, self.rate * _PACED_LEAST), self.rate)
            self._rate_curve = _rate_curve(limit, limit * _RATE_CUT, calls=500)
        elif self._known(now):
            self._window_curve = self._new_window(in_flight, now)
        elif self._window is not None:
            self._window = min(self._window, in_flight)

    def _correct_cut(self, seen: AccountActivity, now: float) -> None:
        """Tries that were in flight at the cut are refused as well: fewer had been let in than it looked."""
        if now - self._cut_at > _SAME_CUT_S or self._refusals_in_a_row != 1:
            return
        curve = self._window_curve
        if curve is not None and curve.untouched:
            self._window_curve = self._new_window(max(1.0, seen.in_flight, curve.limit - seen.refused), now)
        elif curve is None and self._window is not None and not self._known(now):
            self._window = max(1.0, self._window - seen.refused)

    def _new_window(self, limit: float, now: float) -> Curve:
        """Small numbers grow by whole calls."""
        period_s = _period_s(self._let_in.rate(now, self._free_since), 250, 10.0)
        return Curve(limit, min(limit * _WINDOW_CUT, limit - 1.0), period_s)

    def _known(self, now: float) -> bool:
        """Whether enough was let in to say how much may be."""
        sums = self._let_in.sums(now, self._free_since)
        return bool(sums) and sums[0] >= _ENOUGH

    def _watch_probe(self, seen: AccountActivity, now: float) -> None:
        if self._probe_at is None or now < self.hold_until:
            return  # what started now started before the cut was known everywhere
        if seen.started and self._probe_started is None:
            self._probe_started = now
        if seen.answered_anew or (self._probe_started is not None and now - self._probe_started > _PROBE_S):
            self._recover(now)

    def _recover(self, now: float) -> None:
        """The provider lets us in again."""
        if self._measuring and self._known(now):
            # The budget was free again at some time in the last pause.
            since = max(self._active_since, min(self._free_since, now - _MEASURE_S))
            least, most = (self._let_in.rate(at, since) for at in (now, now - self._guessed_s))
            self._rate_curve = _rate_curve(most, least * _MEASURED, calls=200)
            self._window, self._window_curve = self._before_cut  # it was not for the calls in flight
            self._free_since = now
            self._refusals_in_a_row = 0
        self.probing = self._measuring = False

    def _grow(self, seen: AccountActivity, seconds: float) -> None:
        if seen.paced and self._rate_curve is not None:
            self._rate_curve.grow(seconds)
        if not seen.crowded:
            return
        if self._window_curve is not None:
            self._window_curve.grow(seconds)
        elif self._window is not None:
            self._window += max(seen.answered, self._window * seconds / _UNANSWERED_DOUBLING_S)


def _rate_curve(limit: float, value: float, calls: float) -> Curve:
    return Curve(limit, value, _period_s(limit, calls, 20.0), _STEEPEST)


def _period_s(rate: float, calls: float, least_s: float) -> float:
    """How long a bound takes to grow back: so many calls, and no less than some seconds."""
    return min(max(least_s, calls / max(rate, 0.1)), 600.0)
