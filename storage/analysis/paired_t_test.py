"""The paired t-test of two models on the same scenarios, for one column and for the average of columns.

Scores are of the order of 1; values below 1e-12 count as rounding errors.  Numbers that are not finite raise
ValueError: they are a defect of their producer.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from muses_eval.storage.analysis.intervals import Bounds, check_finite
from muses_eval.storage.analysis.power import standard_errors_to_detect
from muses_eval.storage.analysis.student_t import t_quantile, t_sf

_ROUNDING = 1e-12


class Difference(NamedTuple):
    """Difference of two means and its test."""

    mean: float
    se: float | None
    """Standard error; like ``df`` and ``p`` None when there are too few clusters."""
    df: float | None
    """Degrees of freedom of ``se``."""
    p: float | None
    """Two-sided p-value: probability of a difference at least as large when the true difference is 0."""

    def interval(self, level: float = 0.95) -> Bounds | None:
        """Returns the confidence interval mean ± t · SE; None when there are too few clusters."""
        if self.se is None or self.df is None:
            return None
        reach = t_quantile((1 + level) / 2, self.df) * self.se
        return Bounds(self.mean - reach, self.mean + reach)

    def detectable(self, alpha: float = 0.05, power: float = 0.8) -> float | None:
        """Returns the true difference that such data detect with this *power*; see ``power.smallest_difference``."""
        return (
            None if self.se is None or self.df is None else standard_errors_to_detect(alpha, power, self.df) * self.se
        )


def paired_t_test(mean: float, se: float | None, clusters: int) -> Difference:
    """Tests a mean of paired differences: t = mean / SE with clusters - 1 degrees (Miller 2024, section 4.2).

    *mean* and *se* are those of the differences, clustered by scenario.  When all differences are equal, SE = 0 and t
    is undefined; p is then that of the sign test: if each sign were random, all would agree with probability
    2^(1 - clusters).
    """
    check_finite([mean] if se is None else [mean, se])
    if se is None or clusters < 2:
        return Difference(mean, None, None, None)
    if se > _ROUNDING:
        return Difference(mean, se, clusters - 1, _two_sided(mean / se, clusters - 1))
    return Difference(mean, se, clusters - 1, 1.0 if abs(mean) <= _ROUNDING else 2.0 ** (1 - clusters))


def average_difference(parts: Sequence[Difference], columns: int) -> Difference | None:
    """Tests the difference of two averages over *columns* columns; None without parts.

    A part is the sum over the columns of one family.  Families have different scenarios and are independent; columns of
    one family are scored on the same episodes and are not.  mean = Σ mean_f / columns, SE = sqrt(Σ SE_f²) / columns,
    degrees of freedom by F. E. Satterthwaite, "An Approximate Distribution of Estimates of Variance Components",
    Biometrics Bulletin 2 (1946).  When no part varies, p is that of the sign test of :func:`paired_t_test` over all
    parts; None when their signs differ.
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


def _welch(parts: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """Returns the error and degrees of freedom of a sum of independent means, given as (variance, degrees)."""
    listed = list(parts)
    total = math.fsum(variance for variance, _ in listed)
    if math.sqrt(total) <= _ROUNDING:
        return math.sqrt(total), math.fsum(df for _, df in listed)
    # Shares of the total, because squares of variances would underflow.
    return math.sqrt(total), 1 / math.fsum((variance / total) ** 2 / df for variance, df in listed)


def _two_sided(t: float, df: float) -> float:
    return min(1.0, 2 * t_sf(abs(t), df))
