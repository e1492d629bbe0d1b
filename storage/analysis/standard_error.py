"""A mean with its standard error, clustered by scenario.

The epochs of one scenario are not independent, so the scenario is the unit of the error (E. Miller, "Adding Error Bars
to Evals: A Statistical Approach to Language Model Evaluations", 2024, arXiv:2411.00640).  docs/statistics.md has the
formulas on one page.  A number that is not finite is refused with ValueError: it is a defect of its producer.
"""

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import NamedTuple


class Estimate(NamedTuple):
    """A mean and how sure we are of it."""

    mean: float
    se: float | None
    """Standard error; None when there are too few clusters to tell."""


def mean_se(values: Sequence[float], clusters: Sequence[Hashable]) -> Estimate | None:
    """Mean and its standard error, clustered; None without values.

    *clusters* names each value's cluster: values of one cluster (the epochs of a scenario) are not independent.
    Miller 2024, section 2.2, with the small-sample factor G / (G - 1), so that clusters of one value each give the
    usual s / sqrt(n):  SE² = G / (G - 1) · Σ_g (Σ_i (x_gi - mean))² / n².
    """
    refuse_non_finite(values)
    if not values:
        return None
    mean = math.fsum(values) / len(values)
    residuals: dict[Hashable, list[float]] = defaultdict(list)
    for value, cluster in zip(values, clusters, strict=True):
        residuals[cluster].append(value - mean)
    count = len(residuals)
    if count < 2:
        return Estimate(mean, None)
    squares = math.fsum(math.fsum(members) ** 2 for members in residuals.values())
    return Estimate(mean, math.sqrt(count / (count - 1) * squares) / len(values))


def mean_of_means(estimates: Sequence[Estimate]) -> Estimate | None:
    """The unweighted mean of independent estimates, SE = sqrt(Σ SE²) / k; None without estimates.

    One unknown error makes the result's unknown.
    """
    if not estimates:
        return None
    count = len(estimates)
    mean = math.fsum(estimate.mean for estimate in estimates) / count
    squares = [estimate.se**2 for estimate in estimates if estimate.se is not None]
    return Estimate(mean, math.sqrt(math.fsum(squares)) / count if len(squares) == count else None)


def refuse_non_finite(values: Sequence[float]) -> None:
    for index, value in enumerate(values):
        if not math.isfinite(value):
            raise ValueError(f"value {index} of {len(values)} is {value!r}; expected finite numbers only")
