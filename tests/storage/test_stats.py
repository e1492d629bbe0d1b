"""Means and errors, against numbers worked out by hand and against the textbook."""

import math
import statistics

import pytest
from hypothesis import given, strategies as st

from storage.stats import Bounds, Estimate, bounds, mean_of_means, mean_se

unit = st.floats(0, 1)


def test_by_hand() -> None:
    """Two scenarios of two epochs: residuals add up to -1 and +1, so SE² = 2/1 · (1 + 1) / 16."""
    assert mean_se([0, 0, 1, 1], ["a", "a", "b", "b"]) == Estimate(0.5, 0.5)
    assert mean_se([0, 1, 0, 1], ["a", "a", "b", "b"]) == Estimate(0.5, 0.0)


def test_too_little_to_tell() -> None:
    """One scenario says nothing of the others, however often it was played."""
    assert mean_se([], []) is None
    assert mean_se([0.0, 1.0], ["a", "a"]) == Estimate(0.5, None)


@given(st.lists(unit, min_size=2, max_size=30))
def test_clusters_of_one_are_the_usual_error(values: list[float]) -> None:
    """Without repetitions it is s / sqrt(n)."""
    found = mean_se(values, range(len(values)))
    assert found is not None
    assert found.mean == pytest.approx(statistics.fmean(values))
    assert found.se == pytest.approx(statistics.stdev(values) / math.sqrt(len(values)), abs=1e-12)


@given(st.lists(unit, min_size=2, max_size=10), st.integers(1, 5))
def test_repeating_adds_no_certainty(values: list[float], epochs: int) -> None:
    """The same answer in every epoch is one observation a scenario, not several."""
    once = mean_se(values, range(len(values)))
    often = mean_se(values * epochs, [*range(len(values))] * epochs)
    assert once is not None
    assert often is not None
    assert often.se == pytest.approx(once.se, abs=1e-12)


def test_mean_of_means() -> None:
    """Errors add up in squares; one unknown error makes the whole unknown."""
    assert mean_of_means([Estimate(0.25, 0.3), Estimate(0.75, 0.4)]) == Estimate(0.5, 0.25)
    assert mean_of_means([Estimate(0.25, 0.3), Estimate(0.75, None)]) == Estimate(0.5, None)
    assert mean_of_means([]) is None


@given(st.lists(unit, max_size=10), st.lists(unit, max_size=10))
def test_bounds_hold_whatever_is_missing(known: list[float], missing: list[float]) -> None:
    """The mean over all episodes lies within, and the bounds are reached."""
    everything = known + missing
    if not everything:
        return
    mean = statistics.fmean(known) if known else None
    found = bounds(mean, len(known), len(everything))
    assert found.low - 1e-9 <= statistics.fmean(everything) <= found.high + 1e-9
    assert found.low == pytest.approx(statistics.fmean(known + [0.0] * len(missing)))
    assert found.high == pytest.approx(statistics.fmean(known + [1.0] * len(missing)))


def test_nothing_known() -> None:
    """Then anything is possible."""
    assert bounds(None, 0, 5) == Bounds(0.0, 1.0)
