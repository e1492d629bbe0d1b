"""The usage of one account in sliding windows, exactly, and the refusal of requests above its limits."""

import math
from collections import deque
from dataclasses import dataclass, field

from muses_eval.workers.rehearsal.fault_profile import HardLimits
from muses_eval.workers.rehearsal.wire_format import Allowance, Allowances


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason why a request is refused, and the wait until it would be admitted."""

    reason: str
    """``requests``, ``tokens``, ``concurrency`` or ``storm``."""
    wait_s: float


@dataclass(slots=True)
class SlidingWindow:
    """Amounts that were taken in the last seconds."""

    total: int = 0
    _taken: deque[tuple[float, int]] = field(default_factory=deque)

    def take(self, amount: int, now: float) -> None:
        self._taken.append((now, amount))
        self.total += amount

    def forget(self, before: float) -> None:
        """Drops the amounts that were taken at or before a time."""
        while self._taken and self._taken[0][0] <= before:
            self.total -= self._taken.popleft()[1]

    def time_for(self, amount: int, limit: int) -> float:
        """Returns the time of the entry that must be forgotten before *amount* fits under *limit*."""
        excess = self.total + amount - limit
        for at, taken in self._taken:
            excess -= taken
            if excess <= 0:
                return at
        return self._taken[-1][0] if self._taken else -math.inf

    @property
    def newest(self) -> float | None:
        return self._taken[-1][0] if self._taken else None


@dataclass(slots=True)
class AccountUsage:
    """The requests in flight and the recent usage of one account."""

    in_flight: int = 0
    _requests: SlidingWindow = field(default_factory=SlidingWindow)
    _tokens: SlidingWindow = field(default_factory=SlidingWindow)

    def admit(self, limits: HardLimits, tokens: int, now: float) -> Refusal | None:
        """Admits one request, which is in flight until :meth:`leave`; or returns the reason of its refusal."""
        if limits.concurrency is not None and self.in_flight >= limits.concurrency:
            return Refusal("concurrency", 1.0)
        for window, amount, limit, what in (
            (self._requests, 1, allowed_in_window(limits.requests_per_minute, limits.window_s), "requests"),
            (self._tokens, tokens, allowed_in_window(limits.tokens_per_minute, limits.window_s), "tokens"),
        ):
            window.forget(now - limits.window_s)
            if limit is not None and window.total + amount > limit:
                at = window.time_for(amount, limit)
                return Refusal(what, min(max(at + limits.window_s - now, 0.0), limits.window_s))
        self._requests.take(1, now)
        self._tokens.take(tokens, now)
        self.in_flight += 1
        return None

    def leave(self) -> None:
        self.in_flight -= 1

    def left(self, limits: HardLimits, now: float) -> Allowances:
        """Returns the rest of each limit that is set; ``limit`` is the number for a minute."""
        allowances: dict[str, Allowance] = {}
        for what, window, rate in (
            ("requests", self._requests, limits.requests_per_minute),
            ("tokens", self._tokens, limits.tokens_per_minute),
        ):
            limit = allowed_in_window(rate, limits.window_s)
            if rate is None or limit is None:
                continue
            window.forget(now - limits.window_s)
            reset = 0.0 if window.newest is None else window.newest + limits.window_s - now
            allowances[what] = Allowance(int(rate), max(0, limit - window.total), reset)
        return allowances


def allowed_in_window(per_minute: float | None, window_s: float) -> int | None:
    """Returns the number that a rate allows in one window; at least 1, so that a request is possible at all."""
    return None if per_minute is None else max(1, math.floor(per_minute * window_s / 60 + 1e-9))
