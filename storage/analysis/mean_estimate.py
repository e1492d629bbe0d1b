"""A mean with its standard error, as ``storage/query/macros/mean_and_standard_error.sql`` computes them."""

from typing import NamedTuple


class MeanEstimate(NamedTuple):
    """A mean and its standard error."""

    mean: float
    se: float | None
    """Standard error, clustered by scenario; None when there are fewer than two scenarios."""
