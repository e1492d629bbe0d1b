"""The time that an agent itself takes for a turn."""

import time
from collections.abc import Callable
from types import TracebackType


class OwnTime:
    """A stopwatch that stands still while the agent waits for its model.

    As a context, which may be entered several times at once, it marks such a wait::

        with own_time:
            reply = await model.chat(...)
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start = self._stopped_at = clock()
        self._waited = 0.0
        self._waits = 0

    def restart(self) -> None:
        """Begins a turn."""
        self._start = self._stopped_at = self._clock()
        self._waited = 0.0

    @property
    def waiting(self) -> bool:
        return self._waits > 0

    @property
    def seconds(self) -> float:
        """Seconds of this turn so far."""
        now = self._stopped_at if self._waits else self._clock()
        return now - self._start - self._waited

    def __enter__(self) -> None:
        if not self._waits:
            self._stopped_at = self._clock()
        self._waits += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waits -= 1
        if not self._waits:
            self._waited += self._clock() - self._stopped_at
