"""The difference of two models on the same scenarios, and whether chance alone explains it.

Scores are of the order of 1; a value smaller than 1e-12 counts as rounding.  A number that is not finite is refused
with ValueError: it is a defect of its producer.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from muses_eval.storage.analysis.intervals import Bounds, check_finite
from muses_eval.storage.analysis.power import standard_errors_to_detect
from muses_eval.storage.analysis.student_t import t_quantile, t_sf

_ROUNDING = 1e-12


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
        return (
            None if self.se is None or self.df is None else standard_errors_to_detect(alpha, power, self.df) * self.se
        )


def paired_t_test(mean: float, se: float | None, clusters: int) -> Difference:
    """The test of a mean of differences whose clustered error is known: t = mean / SE with clusters - 1 degrees.

    Where all differences are equal, SE = 0 and t says nothing.  Then p is that of the sign test: if chance gave each
    difference its sign, all would have the same one with probability 2^(1 - clusters).
    """
    check_finite([mean] if se is None else [mean, se])
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
    Variance Components", Biometrics Bulletin 2 (1946).  Where no part varies, the sign test of :func:`paired_t_test`
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
