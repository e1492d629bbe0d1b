"""The arithmetic of a leaderboard, as pure functions over plain sequences.

The unit is the scenario: what a model does in the epochs of one scenario is alike, so errors are clustered by scenario
and two models are compared on the scenarios that both have played.  Scores are of the order of 1; what is smaller than
1e-12 is taken for rounding.  A number that is not finite is refused with ValueError: it is a defect of its maker.

Sources: E. Miller, "Adding Error Bars to Evals: A Statistical Approach to Language Model Evaluations" (2024,
arXiv:2411.00640), the others where they are used.  docs/statistics.md has the formulas on one page.
``views/clustered.sql`` computes :func:`mean_se` over millions of rows; tests hold the two against each other.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal, NamedTuple

Correction = Literal["holm", "bh"]
"""For many comparisons at once.  ``holm``: the chance of any false claim is held; ``bh``: the share of false ones."""

_ROUNDING = 1e-12
_CONVERGED = 1e-15
_TERMS = 100_000
_TINY = 1e-300


class Estimate(NamedTuple):
    """A mean and how sure we are of it."""

    mean: float
    se: float | None
    """Standard error; None when there are too few clusters to tell."""


class Bounds(NamedTuple):
    """The least and the most that something can be."""

    low: float
    high: float


class Difference(NamedTuple):
    """How far two means lie apart, and whether chance alone explains it."""

    mean: float
    se: float | None
    """None when there are too few clusters to tell, and so are ``df`` and ``p``."""
    df: float | None
    """Degrees of freedom of ``se``."""
    p: float | None
    """Two-sided: how often chance alone would give a difference as large as this one."""

    def interval(self, level: float = 0.95) -> Bounds | None:
        """Mean ± t · SE; None when there are too few clusters to tell."""
        if self.se is None or self.df is None:
            return None
        reach = t_quantile((1 + level) / 2, self.df) * self.se
        return Bounds(self.mean - reach, self.mean + reach)

    def detectable(self, alpha: float = 0.05, power: float = 0.8) -> float | None:
        """The true difference that such data would show with this *power*; see :func:`smallest_difference`."""
        return None if self.se is None or self.df is None else _reach(alpha, power, self.df) * self.se


class RankBand(NamedTuple):
    """The ranks that a model can have."""

    best: int
    worst: int

    def __str__(self) -> str:
        return str(self.best) if self.best == self.worst else f"{self.best}-{self.worst}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """What is planned, and what is assumed of scores between 0 and 1, for :func:`smallest_difference`.

    The two deviations are those of Miller's example (2024, section 3.1): right or wrong, with chances that are spread
    evenly over the scenarios, so that the variance of 1/4 is 1/12 between scenarios and 1/6 between epochs.
    """

    scenarios: int
    """That each of the two models plays."""
    epochs: int = 1
    sd_scenarios: float = math.sqrt(1 / 12)
    """Of one model's true scores, from scenario to scenario."""
    sd_epochs: float = math.sqrt(1 / 6)
    """Of one model's scores, from epoch to epoch of a scenario."""
    correlation: float | None = 0.5
    """Of two models' true scores over the scenarios; None: each model plays scenarios of its own."""
    alpha: float = 0.05
    """Chance of claiming a difference that is not there, over all comparisons together."""
    power: float = 0.8
    """Chance of seeing the difference."""
    comparisons: int = 1
    """How many are made at once; each then has to pass alpha / comparisons (Bonferroni, the first step of Holm's)."""


def mean_se(values: Sequence[float], clusters: Sequence[Hashable]) -> Estimate | None:
    """Mean and its standard error, clustered; None without values.

    *clusters* names each value's cluster: values of one cluster (the epochs of a scenario) are not independent.
    Miller 2024, section 2.2, with the small-sample factor G / (G - 1), so that clusters of one value each give the
    usual s / sqrt(n):  SE² = G / (G - 1) · Σ_g (Σ_i (x_gi - mean))² / n².
    """
    _refuse_non_finite(values)
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


def bounds(mean: float | None, scored: int, planned: int) -> Bounds:
    """What the mean of values in 0-1 over all planned episodes can be, when only *scored* of them are known.

    At worst every missing episode would have scored 0, at best 1: no assumption on why they are missing (the
    worst-case bounds of C. Manski, "Partial Identification of Probability Distributions", 2003).
    """
    if not 0 <= scored <= planned:
        raise ValueError(f"{scored} episodes are scored of {planned} that are planned; expected no more than planned")
    if planned == 0:
        return Bounds(0.0, 1.0)
    total = (mean or 0.0) * scored
    _refuse_non_finite([total])
    return Bounds(total / planned, (total + planned - scored) / planned)


def wilson_interval(successes: int, trials: int, level: float = 0.95) -> Bounds:
    """Where a proportion lies, given independent trials: narrow, and right on average over all proportions.

    The proportions p that the score test does not reject, |successes/n - p| <= z · sqrt(p (1 - p) / n):
    (s + z²/2 ± z · sqrt(s (n - s) / n + z²/4)) / (n + z²).  E. B. Wilson, "Probable Inference, the Law of Succession,
    and Statistical Inference", JASA 22 (1927).  Without trials anything is possible.
    """
    _check_counts(successes, trials)
    if trials == 0:
        return Bounds(0.0, 1.0)
    z = NormalDist().inv_cdf((1 + level) / 2)
    middle = successes + z * z / 2
    reach = z * math.sqrt(successes * (trials - successes) / trials + z * z / 4)
    low, high = (middle - reach) / (trials + z * z), (middle + reach) / (trials + z * z)
    # At the ends the formula gives 0 and 1 but for rounding.
    return Bounds(0.0 if successes == 0 else low, 1.0 if successes == trials else high)


def exact_interval(successes: int, trials: int, level: float = 0.95) -> Bounds:
    """Where a proportion lies, given independent trials: covers at least at *level* whatever the proportion is.

    The quantiles of Beta(s, n - s + 1) and Beta(s + 1, n - s).  C. Clopper and E. S. Pearson, "The Use of Confidence
    or Fiducial Limits Illustrated in the Case of the Binomial", Biometrika 26 (1934).
    """
    _check_counts(successes, trials)
    tail, failures = (1 - level) / 2, trials - successes
    return Bounds(
        0.0 if successes == 0 else _beta_quantile(tail, successes, failures + 1),
        1.0 if failures == 0 else 1.0 - _beta_quantile(tail, failures, successes + 1),
    )


def paired_difference(
    first: Sequence[float], second: Sequence[float], clusters: Sequence[Hashable]
) -> Difference | None:
    """The mean of first minus second over pairs, clustered; None without pairs.

    Miller 2024, section 4.2: the mean and error of the differences d_i, so that what makes a scenario hard for both
    models cancels; see :func:`difference` for the test.
    """
    _refuse_non_finite(first)
    _refuse_non_finite(second)
    estimate = mean_se([a - b for a, b in zip(first, second, strict=True)], clusters)
    return None if estimate is None else difference(estimate.mean, estimate.se, len(set(clusters)))


def difference(mean: float, se: float | None, clusters: int) -> Difference:
    """The test of a mean of differences whose clustered error is known: t = mean / SE with clusters - 1 degrees.

    Where all differences are equal, SE = 0 and t says nothing.  Then p is that of the sign test: if chance gave each
    difference its sign, all would have the same one with probability 2^(1 - clusters).
    """
    _refuse_non_finite([mean] if se is None else [mean, se])
    if se is None or clusters < 2:
        return Difference(mean, None, None, None)
    if se > _ROUNDING:
        return Difference(mean, se, clusters - 1, _two_sided(mean / se, clusters - 1))
    return Difference(mean, se, clusters - 1, 1.0 if abs(mean) <= _ROUNDING else 2.0 ** (1 - clusters))


def average_difference(parts: Sequence[Difference], columns: int) -> Difference | None:
    """The difference of two averages over *columns* columns; None without parts.

    A part is what one family adds, the sum over its columns: families have scenarios of their own and are independent,
    while columns of one family are scored on the same episodes and are not.  mean = Σ mean_f / columns, SE =
    sqrt(Σ SE_f²) / columns, degrees of freedom by F. E. Satterthwaite, "An Approximate Distribution of Estimates of
    Variance Components", Biometrics Bulletin 2 (1946).  Where no part varies, the sign test of :func:`difference`
    over all of them, as long as they agree on the sign; if they do not, p is unknown.
    """
    if not parts:
        return None
    mean = math.fsum(part.mean for part in parts) / columns
    known = [(part.se**2, part.df) for part in parts if part.se is not None and part.df is not None]
    if len(known) < len(parts):
        return Difference(mean, None, None, None)
    se, df = _welch(known)
    if se > _ROUNDING:
        return Difference(mean, se / columns, df, _two_sided(mean * columns / se, df))
    apart = [(part, part_df) for part, (_, part_df) in zip(parts, known, strict=True) if abs(part.mean) > _ROUNDING]
    if not apart:
        return Difference(mean, se / columns, df, 1.0)
    agree = len({part.mean > 0 for part, _ in apart}) == 1
    return Difference(mean, se / columns, df, 2.0 ** (1 - sum(df + 1 for _, df in apart)) if agree else None)


def adjusted(p_values: Sequence[float], correction: Correction) -> list[float]:
    """The p-values of comparisons that are made together, in their order; each may be held against alpha itself."""
    return holm(p_values) if correction == "holm" else benjamini_hochberg(p_values)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted so that the chance of one false claim or more stays below alpha, however the tests hang together.

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
    """Adjusted so that, of the claims made, the expected share of false ones stays below alpha.

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


def rank_bands(names: Sequence[str], better: Collection[tuple[str, str]]) -> dict[str, RankBand]:
    """The ranks that each can have, given all pairs (winner, loser) in which one is surely better.

    From 1 + those surely better than it, to the number of all less those surely worse.  With claims held together by
    Holm's correction all bands are right at once with probability 1 - alpha: M. Mogstad, J. Romano, A. Shaikh and
    D. Wilhelm, "Inference for Ranks", Review of Economic Studies 91 (2024).
    """
    listed = set(names)
    pairs = {(winner, loser) for winner, loser in better if winner in listed and loser in listed}
    above = dict.fromkeys(names, 0)
    below = dict.fromkeys(names, 0)
    for winner, loser in pairs:
        above[loser] += 1
        below[winner] += 1
    return {name: RankBand(1 + above[name], len(listed) - below[name]) for name in names}


def smallest_difference(design: Design) -> float | None:
    """The true difference of two models that a run of this design shows; None for fewer than two scenarios.

    Miller 2024, equation 10: (t_{1-alpha/2} + t_{power}) · sqrt(V / n) with V = 2 · sd_scenarios² · (1 - correlation) +
    2 · sd_epochs² / epochs and quantiles of t in place of the normal ones, since n may be small: from 20 scenarios on
    the power is within 0.01 of that of the noncentral t.
    """
    _check_design(design)
    n = design.scenarios
    if n < 2:
        return None
    shared, df = (0.0, 2 * n - 2) if design.correlation is None else (design.correlation, n - 1)
    variance = 2 * design.sd_scenarios**2 * (1 - shared) + 2 * design.sd_epochs**2 / design.epochs
    return _reach(design.alpha / design.comparisons, design.power, df) * math.sqrt(variance / n)


def t_sf(t: float, df: float) -> float:
    """The chance that Student's t with *df* degrees exceeds *t*: half of I_x(df / 2, 1 / 2) at x = df / (df + t²)."""
    half = _incomplete_beta(df / 2, 0.5, df / (df + t * t), t * t / (df + t * t)) / 2
    return half if t > 0 else 1 - half


def t_quantile(probability: float, df: float) -> float:
    """What Student's t with *df* degrees stays below with this probability, which lies between 0 and 1."""
    tail = min(probability, 1 - probability)
    if not tail > 0:
        raise ValueError(f"the quantile of probability {probability!r}; expected one between 0 and 1")
    # The tail is convex, so Newton's steps from the normal quantile, which is too small, never overshoot.
    t = -NormalDist().inv_cdf(tail)
    while True:
        step = (t_sf(t, df) - tail) / _t_density(t, df)
        t += step
        if step <= 1e-14 * t:
            return math.copysign(t, probability - 0.5)


def _reach(alpha: float, power: float, df: float) -> float:
    """How many standard errors a true difference has to have, to be seen with this power."""
    return t_quantile(1 - alpha / 2, df) + t_quantile(power, df)


def _welch(parts: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """Error and degrees of freedom of a sum of independent means, given as (variance, degrees)."""
    listed = list(parts)
    total = math.fsum(variance for variance, _ in listed)
    if math.sqrt(total) <= _ROUNDING:
        return math.sqrt(total), math.fsum(df for _, df in listed)
    # Shares, not squares of variances: those would underflow.
    return math.sqrt(total), 1 / math.fsum((variance / total) ** 2 / df for variance, df in listed)


def _two_sided(t: float, df: float) -> float:
    return min(1.0, 2 * t_sf(abs(t), df))


def _t_density(t: float, df: float) -> float:
    scale = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - math.log(df * math.pi) / 2
    return math.exp(scale - (df + 1) / 2 * math.log1p(t * t / df))


def _beta_quantile(probability: float, a: float, b: float) -> float:
    """By bisection: the distribution rises from 0 to 1."""
    low, high = 0.0, 1.0
    while high - low > _CONVERGED * high:
        middle = (low + high) / 2
        if _incomplete_beta(a, b, middle, 1 - middle) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _incomplete_beta(a: float, b: float, x: float, y: float) -> float:
    """The regularised incomplete beta function I_x(a, b); *y* is 1 - x, as exactly as the caller knows it."""
    if x <= 0 or y <= 0:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast on the other side only
        return 1 - _incomplete_beta(b, a, y, x)
    log_x, log_y = (math.log1p(-y) if y < x else math.log(x)), (math.log1p(-x) if x < y else math.log(y))
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(scale + a * log_x + b * log_y) / (a * _beta_fraction(a, b, x))


def _beta_fraction(a: float, b: float, x: float) -> float:
    """The continued fraction 1 + d₁/(1 + d₂/(1 + …)) of DLMF 8.17.22, evaluated forwards by Lentz's method."""
    value = numerator = 1.0
    denominator = 0.0
    for term in range(1, _TERMS):
        m = term // 2
        if term % 2:
            d = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            d = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        denominator = 1 / ((1 + d * denominator) or _TINY)
        numerator = (1 + d / numerator) or _TINY
        change = numerator * denominator
        value *= change
        if abs(change - 1) < _CONVERGED:
            break
    return value


def _ascending(values: Sequence[float]) -> list[int]:
    """Indices, from the smallest value up."""
    return sorted(range(len(values)), key=values.__getitem__)


def _refuse_non_finite(values: Sequence[float]) -> None:
    for index, value in enumerate(values):
        if not math.isfinite(value):
            raise ValueError(f"value {index} of {len(values)} is {value!r}; expected finite numbers only")


def _check_counts(successes: int, trials: int) -> None:
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes!r} successes in {trials!r} trials; expected between 0 and the number of trials")


def _check_design(design: Design) -> None:
    sizes = {"scenarios": design.scenarios, "epochs": design.epochs - 1, "comparisons": design.comparisons - 1}
    deviations = {"sd_scenarios": design.sd_scenarios, "sd_epochs": design.sd_epochs}
    for name, value in (sizes | deviations).items():
        if not 0 <= value < math.inf:
            raise ValueError(f"a design with {name} = {getattr(design, name)!r}; expected a count or a deviation")
    for name, value in {"alpha": design.alpha, "power": design.power}.items():
        if not 0 < value < 1:
            raise ValueError(f"a design with {name} = {value!r}; expected a number between 0 and 1")
    if design.correlation is not None and not -1 <= design.correlation <= 1:
        raise ValueError(f"a design with correlation = {design.correlation!r}; expected -1 to 1, or None for unpaired")


def _check_p_values(p_values: Sequence[float]) -> None:
    for index, p in enumerate(p_values):
        if not 0 <= p <= 1:
            raise ValueError(f"p-value {index} of {len(p_values)} is {p!r}; expected numbers between 0 and 1")
