"""Scores, differences and p-values as they are printed in text tables: in percentage points."""

from muses_eval.pipeline.leaderboard_columns import COLUMNS
from muses_eval.storage.analysis.compare import AVERAGE, ColumnComparison
from muses_eval.storage.analysis.mean_estimate import MeanEstimate

SHOWN_AS_ZERO = 5e-4
"""Scores and differences below this are printed as 0.0."""
NO_VALUE = "–"
STRUCTURED_NOTE = (
    "facts structured: the agent receives who may read what as data; one that enforces it keeps privacy by construction"
)
"""Note below a table with such an agent."""


def mean_text(estimate: MeanEstimate | None) -> str:
    """Returns "50.0 ± 2.0"; without a known error, the mean alone."""
    if estimate is None:
        return NO_VALUE
    error = "" if estimate.se is None else f" ± {100 * estimate.se:.1f}"
    return f"{100 * estimate.mean:.1f}{error}"


def share_text(share: float | None) -> str:
    """Returns a share as "12.5 %"."""
    return NO_VALUE if share is None else f"{100 * share:.3g} %"


def difference_text(compared: ColumnComparison) -> str:
    """Returns the difference with its sign and its standard error, as "+3.1 ± 6.3"."""
    mean, se, _, _ = compared.difference
    shown = "0.0" if abs(mean) < SHOWN_AS_ZERO else f"{100 * mean:+.1f}"
    return shown if se is None else f"{shown} ± {100 * se:.1f}"


def interval_text(compared: ColumnComparison, alpha: float) -> str:
    """Returns the confidence interval of the difference at the level 1 - *alpha*."""
    found = compared.difference.interval(1 - alpha)
    return NO_VALUE if found is None else f"{100 * found.low:+.1f} to {100 * found.high:+.1f}"


def p_text(p: float | None) -> str:
    """Returns a p-value with three decimals."""
    if p is None:
        return NO_VALUE
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def column_title(column: str, columns: int) -> str:
    """Returns the heading of a column; *columns* is the number of columns that an average is over."""
    if column != AVERAGE:
        return COLUMNS[column].title
    return "average" if columns == len(COLUMNS) else f"average of {columns}"
