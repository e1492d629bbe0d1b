"""Sums over a sliding window of time, in buckets of one second."""

from collections import deque


class SlidingSum:
    """Sums of several amounts over the last seconds.

    Args:
        span_s: length of the window.
    """

    def __init__(self, span_s: float) -> None:
        self._span_s = span_s
        self._seconds: deque[tuple[float, tuple[float, ...]]] = deque()

    def add(self, now: float, *amounts: float) -> None:
        """Adds amounts at a time; every call passes the same number of them."""
        if self._seconds and now - self._seconds[-1][0] < 1.0:
            at, before = self._seconds.pop()
            self._seconds.append((at, tuple(a + b for a, b in zip(before, amounts, strict=True))))
        else:
            self._seconds.append((now, amounts))
        while self._seconds[0][0] < now - self._span_s:
            self._seconds.popleft()

    def sums(self, now: float, since: float | None = None) -> tuple[float, ...]:
        """Returns the sums since *since*, or over the whole window; empty when nothing was added."""
        start = max(now - self._span_s, now - self._span_s if since is None else since)
        return tuple(map(sum, zip(*(amounts for at, amounts in self._seconds if start <= at <= now), strict=True)))

    def rate(self, now: float, since: float) -> float:
        """Returns the first amount per second since *since*; at least one second is counted."""
        sums = self.sums(now, since)
        return max(0.0, sums[0]) / max(now - max(since, now - self._span_s), 1.0) if sums else 0.0
