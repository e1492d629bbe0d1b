"""Confidence intervals of proportions, and bounds of a mean when some episodes are missing."""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

from muses_eval.storage.analysis.student_t import CONVERGED, incomplete_beta


class Bounds(NamedTuple):
    """Lower and upper bound."""

    low: float
    high: float


def worst_case_bounds(mean: float | None, scored: int, planned: int) -> Bounds:
    """Returns the possible range of a mean over all *planned* episodes when only *scored* of them are known.

    *mean* is that of the scored ones; values are 0 to 1.  The bounds are reached when every missing episode scores 0,
    or 1; they need no assumption about why episodes are missing (C. Manski, "Partial Identification of Probability
    Distributions", 2003).
    """
    if not 0 <= scored <= planned:
        raise ValueError(f"{scored} episodes are scored of {planned} that are planned; expected no more than planned")
    if planned == 0:
        return Bounds(0.0, 1.0)
    total = (mean or 0.0) * scored
    check_finite([total])
    return Bounds(total / planned, (total + planned - scored) / planned)


def wilson_interval(successes: int, trials: int, level: float = 0.95) -> Bounds:
    """Returns Wilson's interval of a proportion of independent trials: narrow, with the right coverage on average.

    It contains the proportions p that the score test does not reject, |successes/n - p| <= z · sqrt(p (1 - p) / n):
    (s + z²/2 ± z · sqrt(s (n - s) / n + z²/4)) / (n + z²).  E. B. Wilson, "Probable Inference, the Law of Succession,
    and Statistical Inference", JASA 22 (1927).  Without trials it is 0 to 1.
    """
    _check_counts(successes, trials)
    if trials == 0:
        return Bounds(0.0, 1.0)
    z = NormalDist().inv_cdf((1 + level) / 2)
    middle = successes + z * z / 2
    reach = z * math.sqrt(successes * (trials - successes) / trials + z * z / 4)
    low, high = (middle - reach) / (trials + z * z), (middle + reach) / (trials + z * z)
    # At the ends the formula gives 0 and 1 except for rounding errors.
    return Bounds(0.0 if successes == 0 else low, 1.0 if successes == trials else high)


def exact_interval(successes: int, trials: int, level: float = 0.95) -> Bounds:
    """Returns the exact interval of a proportion of independent trials: its coverage is never below *level*.

    Its ends are quantiles of Beta(s, n - s + 1) and Beta(s + 1, n - s).  C. Clopper and E. S. Pearson, "The Use of
    Confidence or Fiducial Limits Illustrated in the Case of the Binomial", Biometrika 26 (1934).
    """
    _check_counts(successes, trials)
    tail, failures = (1 - level) / 2, trials - successes
    return Bounds(
        0.0 if successes == 0 else _beta_quantile(tail, successes, failures + 1),
        1.0 if failures == 0 else 1.0 - _beta_quantile(tail, failures, successes + 1),
    )


def _beta_quantile(probability: float, a: float, b: float) -> float:
    """Returns the quantile by bisection."""
    low, high = 0.0, 1.0
    while high - low > CONVERGED * high:
        middle = (low + high) / 2
        if incomplete_beta(a, b, middle, 1 - middle) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _check_counts(successes: int, trials: int) -> None:
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes!r} successes in {trials!r} trials; expected between 0 and the number of trials")


def check_finite(values: Sequence[float]) -> None:
    """Raises ValueError for a value that is infinite or not a number: a defect of its producer."""
    for index, value in enumerate(values):
        if not math.isfinite(value):
            raise ValueError(f"value {index} of {len(values)} is {value!r}; expected finite numbers only")
