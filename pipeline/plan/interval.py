"""Intervals of estimated totals: systematic errors of assumptions and sampling errors of played episodes."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

CONFIDENCE_LEVEL = 0.9
"""Confidence level of intervals that come from played episodes."""

CriticalValue = Callable[[float], float]
"""Degrees of freedom -> half-width of an interval of :data:`CONFIDENCE_LEVEL`, in standard errors."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A point estimate with a lower and an upper bound."""

    low: float
    mid: float
    high: float


@dataclass(frozen=True, slots=True)
class UncertainTotal:
    """An estimated total and its errors.

    Assumptions are wrong for all cells at once, so systematic errors add up linearly.  Samples of different cells are
    independent, so their variances add up.
    """

    mid: float = 0.0
    spent: float = 0.0
    """Part that is used already; a lower bound of every interval."""
    systematic_below: float = 0.0
    """Systematic error to the lower side."""
    systematic_above: float = 0.0
    """Systematic error to the upper side."""
    samples: tuple[tuple[float, float], ...] = ()
    """(variance, degrees of freedom) of independent samples."""

    def __add__(self, other: "UncertainTotal") -> "UncertainTotal":
        return UncertainTotal(
            self.mid + other.mid,
            self.spent + other.spent,
            self.systematic_below + other.systematic_below,
            self.systematic_above + other.systematic_above,
            (*self.samples, *other.samples),
        )

    def interval(self, critical_value: CriticalValue) -> Interval:
        """Returns the interval, with the Welch–Satterthwaite degrees of freedom of all samples together."""
        variance = math.fsum(part for part, _ in self.samples)
        error = 0.0
        if variance > 0:
            df = 1 / math.fsum((part / variance) ** 2 / degrees for part, degrees in self.samples)
            error = critical_value(df) * math.sqrt(variance)
        low = max(self.spent, self.mid - self.systematic_below - error)
        return Interval(low, self.mid, self.mid + self.systematic_above + error)


def sum_totals(totals: Iterable[UncertainTotal]) -> UncertainTotal:
    """Returns the sum of several totals."""
    return sum(totals, UncertainTotal())
