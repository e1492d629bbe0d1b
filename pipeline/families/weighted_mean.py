"""The weighted mean, which several metrics use."""

from collections.abc import Sequence


def weighted_mean(pairs: Sequence[tuple[float, float]]) -> float:
    """Returns the weighted mean of (weight, value) pairs; 0 when the weights sum to 0."""
    total = sum(weight for weight, _ in pairs)
    return sum(weight * value for weight, value in pairs) / total if total else 0.0
