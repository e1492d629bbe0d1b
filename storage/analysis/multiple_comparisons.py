"""Corrections of p-values for many comparisons at once: Holm, and Benjamini-Hochberg."""

from collections.abc import Sequence
from typing import Literal

Correction = Literal["holm", "bh"]
"""``holm`` controls the probability of any false claim (FWER), ``bh`` the share of false claims (FDR)."""


def adjusted(p_values: Sequence[float], correction: Correction) -> list[float]:
    """Returns the adjusted p-values of comparisons that are made together, in their order; compare each with alpha."""
    return holm(p_values) if correction == "holm" else benjamini_hochberg(p_values)


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns p-values adjusted so that the probability of any false claim is at most alpha, however tests depend.

    The i-th smallest of m: max over j <= i of (m - j + 1) · p_j, at most 1.  S. Holm, "A Simple Sequentially Rejective
    Multiple Test Procedure", Scandinavian Journal of Statistics 6 (1979).
    """
    _check_p_values(p_values)
    result, highest = [0.0] * len(p_values), 0.0
    for done, index in enumerate(_ascending(p_values)):
        highest = max(highest, min(1.0, (len(p_values) - done) * p_values[index]))
        result[index] = highest
    return result


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Returns p-values adjusted so that the expected share of false claims among all claims is at most alpha.

    The i-th smallest of m: min over j >= i of m / j · p_j.  Y. Benjamini and Y. Hochberg, "Controlling the False
    Discovery Rate", Journal of the Royal Statistical Society B 57 (1995); holds for independent and for positively
    dependent tests.
    """
    _check_p_values(p_values)
    count = len(p_values)
    result, lowest = [0.0] * count, 1.0
    for below, index in reversed(list(enumerate(_ascending(p_values), 1))):
        lowest = min(lowest, count / below * p_values[index])
        result[index] = lowest
    return result


def _ascending(values: Sequence[float]) -> list[int]:
    """Returns the indices in the order of the values."""
    return sorted(range(len(values)), key=values.__getitem__)


def _check_p_values(p_values: Sequence[float]) -> None:
    for index, p in enumerate(p_values):
        if not 0 <= p <= 1:
            raise ValueError(f"p-value {index} of {len(p_values)} is {p!r}; expected numbers between 0 and 1")
