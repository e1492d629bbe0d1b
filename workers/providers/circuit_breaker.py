"""A circuit breaker: stops calls to a server that fails repeatedly, and probes from time to time whether it is back.

*Closed*: calls go through; several failures in a row open the breaker.  *Open*: no call goes through for a pause.
*Half-open*: when the pause is over, one call goes through as a probe.  If it is answered, the breaker closes; if it
fails, the pause doubles.  Any answer closes the breaker, even one to a call from before it opened.

A failure is a broken connection, a timeout or a server's error.  Any other response, a refusal by its rate limit
included, counts as an answer.

A breaker only decides: the time is an argument, and nothing waits here.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CircuitBreakerRules:
    """When a breaker opens, and for how long."""

    failures: int = 8
    """Number of failures in a row that open it.  A server that fails every third call rarely reaches it."""
    first_pause_s: float = 1.0
    longest_pause_s: float = 30.0


class CircuitBreaker:
    """The breaker of one server."""

    def __init__(self, rules: CircuitBreakerRules) -> None:
        self._rules = rules
        self._failures = 0
        self._pause_s = 0.0
        self._open_until: float | None = None
        """Time until which it is open; None when it is closed."""
        self._probing = False

    @property
    def closed(self) -> bool:
        return self._open_until is None

    def admits(self, now: float) -> bool:
        """Returns True when a call may go through."""
        return self._open_until is None or (not self._probing and now >= self._open_until)

    def wait_s(self, now: float) -> float:
        """Returns the seconds until the next call may go through; infinity while a probe is under way."""
        if self._open_until is None:
            return 0.0
        return math.inf if self._probing else max(0.0, self._open_until - now)

    def begin(self, now: float) -> bool:
        """Records a call that goes through, admitted or not; returns True when it is the probe."""
        probe = self._open_until is not None and self.admits(now)
        self._probing = self._probing or probe
        return probe

    def answered(self) -> None:
        self._failures, self._pause_s, self._open_until, self._probing = 0, 0.0, None, False

    def failed(self, now: float, *, probe: bool) -> None:
        self._failures += 1
        if probe or (self.closed and self._failures >= self._rules.failures):
            self._pause_s = min(max(2 * self._pause_s, self._rules.first_pause_s), self._rules.longest_pause_s)
            self._open_until, self._probing = now + self._pause_s, False

    def abandoned(self, *, probe: bool) -> None:
        """Records a call that was cancelled; if it was the probe, another call may probe."""
        if probe:
            self._probing = False
