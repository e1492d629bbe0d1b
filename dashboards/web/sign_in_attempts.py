"""Limits the attempts to guess the token."""

from collections import deque
from collections.abc import Callable

MAX_FAILURES = 10
WINDOW_S = 60.0
MAX_CLIENTS = 10_000
"""Addresses that are remembered; the one that failed longest ago is forgotten first."""


class SignInAttempts:
    """Failed attempts of each address within the last ``WINDOW_S`` seconds.

    Args:
        clock: monotonic clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures: dict[str, deque[float]] = {}

    def wait_s(self, client: str) -> int:
        """Returns the seconds until this address may try again; 0 when it may try now."""
        failures = self._failures.get(client)
        if failures is None or len(failures) < MAX_FAILURES:
            return 0
        return max(0, round(failures[0] + WINDOW_S - self._clock() + 0.5))

    def record_failure(self, client: str) -> None:
        failures = self._failures.pop(client, None) or deque[float](maxlen=MAX_FAILURES)
        failures.append(self._clock())
        self._failures[client] = failures  # now the last one
        if len(self._failures) > MAX_CLIENTS:
            del self._failures[next(iter(self._failures))]
