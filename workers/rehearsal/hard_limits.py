"""What one account has used of its limits, in windows that slide: exact, and without mercy."""

import math
from collections import deque
from dataclasses import dataclass, field

from muses_eval.workers.rehearsal.fault_profile import HardLimits
from muses_eval.workers.rehearsal.wire_format import Allowance, Allowances


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not let in, and when it would be."""

    reason: str
    """requests, tokens, concurrency, or storm."""
    wait_s: float


@dataclass(slots=True)
class Window:
    """What was taken in the last so many seconds; what is exactly that old no longer counts."""

    total: int = 0
    _taken: deque[tuple[float, int]] = field(default_factory=deque)

    def take(self, amount: int, now: float) -> None:
        self._taken.append((now, amount))
        self.total += amount

    def forget(self, before: float) -> None:
        """Drops what was taken at or before a time."""
        while self._taken and self._taken[0][0] <= before:
            self.total -= self._taken.popleft()[1]

    def time_for(self, amount: int, limit: int) -> float:
        """When the taking was that has to be forgotten before *amount* fits under *limit*."""
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
class AccountUse:
    """One account: what it has in flight and what it took."""

    in_flight: int = 0
    _requests: Window = field(default_factory=Window)
    _tokens: Window = field(default_factory=Window)

    def admit(self, limits: HardLimits, tokens: int, now: float) -> Refusal | None:
        """Lets one request of so many tokens in, or says why not.  What is let in is in flight until :meth:`leave`."""
        if limits.concurrency is not None and self.in_flight >= limits.concurrency:
            return Refusal("concurrency", 1.0)
        for window, amount, limit, what in (
            (self._requests, 1, allowed(limits.requests_per_minute, limits.window_s), "requests"),
            (self._tokens, tokens, allowed(limits.tokens_per_minute, limits.window_s), "tokens"),
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
        """What is left, of those limits that there are; ``limit`` is the number for a minute."""
        told: dict[str, Allowance] = {}
        for what, window, rate in (
            ("requests", self._requests, limits.requests_per_minute),
            ("tokens", self._tokens, limits.tokens_per_minute),
        ):
            limit = allowed(rate, limits.window_s)
            if rate is None or limit is None:
                continue
            window.forget(now - limits.window_s)
            reset = 0.0 if window.newest is None else window.newest + limits.window_s - now
            told[what] = Allowance(int(rate), max(0, limit - window.total), reset)
        return told


def allowed(per_minute: float | None, window_s: float) -> int | None:
    """How much a rate allows in one window; at least 1, or nothing could ever be asked."""
    return None if per_minute is None else max(1, math.floor(per_minute * window_s / 60 + 1e-9))
