"""Student's t distribution and the incomplete beta function behind it, in plain Python."""

import math
from statistics import NormalDist

CONVERGED = 1e-15
"""Relative change at which iterations stop."""
_MAX_TERMS = 100_000
_TINY = 1e-300
"""Replaces a zero denominator."""


def t_sf(t: float, df: float) -> float:
    """Returns the probability that Student's t with *df* degrees exceeds *t*.

    For t > 0 it is half of I_x(df / 2, 1 / 2) at x = df / (df + t²).
    """
    half = incomplete_beta(df / 2, 0.5, df / (df + t * t), t * t / (df + t * t)) / 2
    return half if t > 0 else 1 - half


def t_quantile(probability: float, df: float) -> float:
    """Returns the value that Student's t with *df* degrees stays below with this probability.

    Raises:
        ValueError: the probability is not between 0 and 1.
    """
    tail = min(probability, 1 - probability)
    if not tail > 0:
        raise ValueError(f"the probability of a quantile is {probability!r}; expected a number between 0 and 1")
    # The tail is convex, so Newton's method never overshoots from the normal quantile, which is too small.
    t = -NormalDist().inv_cdf(tail)
    while True:
        step = (t_sf(t, df) - tail) / _t_density(t, df)
        t += step
        if step <= 1e-14 * t:
            return math.copysign(t, probability - 0.5)


def _t_density(t: float, df: float) -> float:
    scale = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - math.log(df * math.pi) / 2
    return math.exp(scale - (df + 1) / 2 * math.log1p(t * t / df))


def incomplete_beta(a: float, b: float, x: float, y: float) -> float:
    """Returns the regularised incomplete beta function I_x(a, b); *y* is 1 - x, as exactly as the caller knows it."""
    if x <= 0 or y <= 0:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast only on the other side
        return 1 - incomplete_beta(b, a, y, x)
    log_x, log_y = (math.log1p(-y) if y < x else math.log(x)), (math.log1p(-x) if x < y else math.log(y))
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(scale + a * log_x + b * log_y) / (a * _beta_fraction(a, b, x))


def _beta_fraction(a: float, b: float, x: float) -> float:
    """Evaluates the continued fraction 1 + d₁/(1 + d₂/(1 + …)) of DLMF 8.17.22 by Lentz's method."""
    value = numerator = 1.0
    denominator = 0.0
    for term in range(1, _MAX_TERMS):
        m = term // 2
        if term % 2:
            d = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            d = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        denominator = 1 / ((1 + d * denominator) or _TINY)
        numerator = (1 + d / numerator) or _TINY
        change = numerator * denominator
        value *= change
        if abs(change - 1) < CONVERGED:
            break
    return value
