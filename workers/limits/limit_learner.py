"""Learns undeclared limits from refusals: a request rate, and a number of calls in flight.

* Slow start: a few calls in flight, then twice as many each time they are answered, as long as more are waiting.
* A refusal cuts a bound once.  Later refusals of attempts that were started before the cut only correct it.
* Refusals of attempts after the cut mean that the provider's quota is used up.  Nothing is sent for a while, then a
  single probe.  When the probe is admitted, the attempts admitted since the account was last unrestricted, divided by
  the time they took, give the rate that the provider allows, whatever its window.
* After a cut a bound recovers along a cubic curve (as in TCP CUBIC): it returns to its old value within some hundred
  calls, grows slowly around it, and then faster and faster.  So refusals are rare, and a raised limit is found.
* A bound grows only while attempts wait for it, and not while calls fail for other reasons.

Everything here is arithmetic on the reports of workers; docs/limits.md has the reasons and the numbers.
"""

import math
from dataclasses import dataclass

from muses_eval.workers.limits.protocol import LearnedLimits
from muses_eval.workers.limits.sliding_sum import SlidingSum

FIRST_WINDOW = 16.0
_UNANSWERED_DOUBLING_S = 4.0
"""Seconds in which slow start doubles the window without any answer, for calls that take minutes."""
_RATE_CUT, _WINDOW_CUT, _MEASURED = 0.95, 0.9, 0.97
"""Factors on a rate and on a window at a cut, and on a measured rate."""
_LEAST_ADMITTED = 10
"""Number of admitted attempts before which a refusal says nothing about the bound."""
_ISOLATED = 100
"""Number of admitted attempts since the last cut after which a refusal counts as the first of a new series."""
_FAILURE_HOLD_S = 5.0
_SETTLE_S = 0.25
"""Seconds after a cut until every worker knows of it and its earlier slots are void."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 5.0
_LONGEST_ASKED_PAUSE_S = 300.0
"""Longest pause that is kept when a provider asks for one; some ask for hours, so a probe is sent earlier."""
_PROBE_S = 1.0
"""Seconds after which a probe without a response counts as admitted: refusals come quickly."""
_ROUNDING_S = 1.0
"""Error of a requested pause: providers round up to whole seconds."""
_USED_UP_S = 3.0
"""Length of a requested pause from which on the provider's quota is taken to be used up."""
_SAME_CUT_S = 2.0
_MEMORY_S = 120.0
_MEASURE_S = 60.0
"""Seconds of use over which a rate is measured: after too many calls, few are admitted for a while."""
_IDLE_S = 10.0
_PACED_S, _PACED_LEAST = 10.0, 0.98
"""Seconds over which the admitted part of a rate that was too high is measured, and the least share of the rate that
the measurement can give."""
_LEAST_RATE = 1 / 60
_STEEPEST, _FAR_BEYOND, _STEEPEST_BEYOND = 0.01, 1.25, 0.03
"""Most growth of a rate per second, as a share of it: 0.01, and 0.03 once it is 1.25 times the supposed limit.  A rate
that grows faster fills the provider's window with calls, and then none is admitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountActivity:
    """The activity of one worker on an account since its last report."""

    started: int = 0
    answered: int = 0
    failed: int = 0
    refused: int = 0
    refused_after_cut: int = 0
    """Refused attempts that were started after the last cut."""
    answered_after_cut: int = 0
    in_flight: int = 0
    """Attempts in flight now, over all workers."""
    crowded: bool = False
    """True when attempts wait for others to end."""
    paced: bool = False
    """True when attempts wait for their time slots."""
    retry_after_s: float | None = None


@dataclass(slots=True)
class RecoveryCurve:
    """A bound that recovers from a cut: slowly around *limit*, where it met a refusal, and faster beyond."""

    limit: float
    value: float
    period_s: float
    """Seconds until it is back at *limit*."""
    steepest: float = math.inf
    """Most growth per second, as a share, until it is well beyond *limit*."""
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
        elif self.value <= _FAR_BEYOND * self.limit:
            self.value = min(max(self.value, cubic), self.value * (1 + self.steepest * seconds))
        else:
            self.value *= 1 + _STEEPEST_BEYOND * seconds


class LimitLearner:
    """Learns the limits of one account.

    Args:
        now: on the clock of all later times.
        slow_start: True when the number in flight has to be found; otherwise only refusals bound it.
    """

    def __init__(self, now: float, *, slow_start: bool) -> None:
        self.cut = 0
        self.hold_until = -math.inf
        self.probing = False
        """True while a single attempt finds out whether the provider admits calls again."""
        self._window: float | None = FIRST_WINDOW if slow_start else None
        self._window_curve: RecoveryCurve | None = None
        self._rate_curve: RecoveryCurve | None = None
        self._admitted = SlidingSum(_MEMORY_S)
        self._seen_at = self._free_since = self._active_since = now
        self._cut_at = self._failed_at = -math.inf
        self._before_cut: tuple[float | None, RecoveryCurve | None] = (self._window, None)
        self._probe_at: float | None = None
        self._probe_started: float | None = None
        self._excess_s = 0.0
        """Seconds by which the last pause may have been longer than necessary."""
        self._measuring = False
        self._refusals_in_a_row = 0
        self._admitted_since_cut = 0

    @property
    def rate(self) -> float | None:
        """Attempts per second; None: no known bound."""
        return None if self._rate_curve is None else max(_LEAST_RATE, self._rate_curve.value)

    @property
    def window(self) -> float | None:
        """Attempts in flight, at least 1; None: no known bound."""
        bound = self._window if self._window_curve is None else self._window_curve.value
        return None if bound is None else max(1.0, bound)

    @property
    def learned(self) -> LearnedLimits:
        return LearnedLimits(self.rate, self.window)

    def adopt(self, learned: LearnedLimits) -> None:
        """Continues with the bounds that an earlier coordinator had learned."""
        if learned.requests_per_s is not None and self._rate_curve is None:
            self._rate_curve = _rate_curve(learned.requests_per_s, learned.requests_per_s * _RATE_CUT, calls=500)
        if learned.concurrency is not None and self._window is not None:
            self._window = max(self._window, learned.concurrency)

    def may_probe(self, now: float) -> bool:
        """Returns True when the next probe is due."""
        return self._probe_at is None or now - self._probe_at > 2 * _PROBE_S

    def probe_sent(self, now: float) -> None:
        self._probe_at = now

    def observe(self, seen: AccountActivity, now: float) -> None:
        """Takes in a worker's activity and updates the bounds."""
        elapsed = now - self._seen_at
        self._seen_at = now
        if elapsed > _IDLE_S:
            self._free_since = self._active_since = now
        self._admitted.add(now, seen.started - seen.refused)
        self._admitted_since_cut += seen.started - seen.refused
        if seen.failed:
            self._failed_at = now
        if seen.refused_after_cut:
            self._cut_down(seen, now)
        elif seen.refused:
            self._correct_cut(seen, now)
        elif self.probing:
            self._watch_probe(seen, now)
        elif now >= self.hold_until and now - self._failed_at > _FAILURE_HOLD_S:
            self._grow(seen, min(elapsed, 1.0))

    def _cut_down(self, seen: AccountActivity, now: float) -> None:
        if self._admitted_since_cut >= _ISOLATED:
            self._refusals_in_a_row = 0
        pause = min(seen.retry_after_s or 0.0, _LONGEST_ASKED_PAUSE_S)
        self._excess_s = min(pause, _ROUNDING_S)
        if self._refusals_in_a_row:
            doublings = min(self._refusals_in_a_row - 1, 10)
            guess = min(_FIRST_PAUSE_S * 2**doublings, _LONGEST_PAUSE_S)
            if guess > pause:
                pause = self._excess_s = guess
        else:
            self._cut_bound(seen, now)
        if pause:
            self.probing, self._probe_at, self._probe_started = True, None, None
            self._measuring = self._measuring or pause >= _USED_UP_S or self._refusals_in_a_row > 0
        self.cut += 1
        self._cut_at, self._admitted_since_cut = now, 0
        self._refusals_in_a_row += 1
        self.hold_until = max(self.hold_until, now + max(pause, _SETTLE_S))

    def _cut_bound(self, seen: AccountActivity, now: float) -> None:
        """Cuts the bound for which attempts waited: it was too high."""
        in_flight = max(1.0, float(seen.in_flight))
        self._before_cut = (self._window, self._window_curve)
        if seen.paced and self.rate is None:
            return  # the rate is declared: one refusal may come from uneven latency, and more start a measurement
        if seen.paced and self.rate is not None:
            admitted = self._admitted.rate(now, max(self._free_since, now - _PACED_S))
            limit = min(max(admitted, self.rate * _PACED_LEAST), self.rate)
            self._rate_curve = _rate_curve(limit, limit * _RATE_CUT, calls=500)
        elif self._known(now):
            self._window_curve = self._new_window(in_flight, now)
        elif self._window is not None:
            self._window = min(self._window, in_flight)

    def _correct_cut(self, seen: AccountActivity, now: float) -> None:
        """Lowers the cut bound by attempts that were in flight at the cut and are refused now."""
        if now - self._cut_at > _SAME_CUT_S or self._refusals_in_a_row != 1:
            return
        curve = self._window_curve
        if curve is not None and curve.untouched:
            self._window_curve = self._new_window(max(1.0, seen.in_flight, curve.limit - seen.refused), now)
        elif curve is None and self._window is not None and not self._known(now):
            self._window = max(1.0, self._window - seen.refused)

    def _new_window(self, limit: float, now: float) -> RecoveryCurve:
        """Returns a cut window; a small one is cut by at least one call."""
        period_s = _period_s(self._admitted.rate(now, self._free_since), 250, 10.0)
        return RecoveryCurve(limit, min(limit * _WINDOW_CUT, limit - 1.0), period_s)

    def _known(self, now: float) -> bool:
        """Returns True when enough attempts were admitted to estimate a bound."""
        sums = self._admitted.sums(now, self._free_since)
        return bool(sums) and sums[0] >= _LEAST_ADMITTED

    def _watch_probe(self, seen: AccountActivity, now: float) -> None:
        if self._probe_at is None or now < self.hold_until:
            return  # what started by now may have started before every worker knew of the cut
        if seen.started and self._probe_started is None:
            self._probe_started = now
        if seen.answered_after_cut or (self._probe_started is not None and now - self._probe_started > _PROBE_S):
            self._recover(now)

    def _recover(self, now: float) -> None:
        """Ends the pause: the provider admits calls again."""
        if self._measuring and self._known(now):
            # The quota was free again at some time in the last pause.
            since = max(self._active_since, min(self._free_since, now - _MEASURE_S))
            least, most = (self._admitted.rate(at, since) for at in (now, now - self._excess_s))
            self._rate_curve = _rate_curve(most, least * _MEASURED, calls=200)
            self._window, self._window_curve = self._before_cut  # the rate was too high, not the window
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


def _rate_curve(limit: float, value: float, calls: float) -> RecoveryCurve:
    return RecoveryCurve(limit, value, _period_s(limit, calls, 20.0), _STEEPEST)


def _period_s(rate: float, calls: float, least_s: float) -> float:
    """Returns the seconds in which a bound recovers: the time of *calls* at *rate*, at least *least_s*, at most 600."""
    return min(max(least_s, calls / max(rate, 0.1)), 600.0)
