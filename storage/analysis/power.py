"""Power analysis: the smallest difference of two models that a planned run can detect."""

import math
from dataclasses import dataclass

from muses_eval.storage.analysis.student_t import t_quantile


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Size of a planned run, and assumptions about scores between 0 and 1.

    The default deviations are those of Miller's example (2024, section 3.1): scores are right or wrong, with
    probabilities that are uniform over the scenarios, so the variance of 1/4 is 1/12 between scenarios and 1/6 between
    epochs.
    """

    scenarios: int
    """Number of scenarios that each of the two models plays."""
    epochs: int = 1
    """Number of epochs per scenario."""
    sd_scenarios: float = math.sqrt(1 / 12)
    """Standard deviation of one model's true scores between scenarios."""
    sd_epochs: float = math.sqrt(1 / 6)
    """Standard deviation of one model's scores between epochs of a scenario."""
    correlation: float | None = 0.5
    """Correlation of two models' true scores over the scenarios; None when each model has its own scenarios."""
    alpha: float = 0.05
    """Probability of any false claim, over all comparisons together."""
    power: float = 0.8
    """Probability of detecting the difference."""
    comparisons: int = 1
    """Number of comparisons; each is tested at alpha / comparisons (Bonferroni, the first step of Holm's procedure)."""


def smallest_difference(design: Design) -> float | None:
    """Returns the true difference of two models that a run of this design detects; None for fewer than two scenarios.

    Miller 2024, equation 10: (t_{1-alpha/2} + t_{power}) · sqrt(V / n) with V = 2 · sd_scenarios² · (1 - correlation) +
    2 · sd_epochs² / epochs and quantiles of t in place of the normal ones, because n may be small: from 20 scenarios on
    the power is within 0.01 of that of the noncentral t.
    """
    _check_design(design)
    n = design.scenarios
    if n < 2:
        return None
    shared, df = (0.0, 2 * n - 2) if design.correlation is None else (design.correlation, n - 1)
    variance = 2 * design.sd_scenarios**2 * (1 - shared) + 2 * design.sd_epochs**2 / design.epochs
    return standard_errors_to_detect(design.alpha / design.comparisons, design.power, df) * math.sqrt(variance / n)


def standard_errors_to_detect(alpha: float, power: float, df: float) -> float:
    """Returns the true difference, in standard errors, that is detected with this power."""
    return t_quantile(1 - alpha / 2, df) + t_quantile(power, df)


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
