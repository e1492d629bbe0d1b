"""Arithmetic that several families share."""

from collections.abc import Sequence


def weighted_mean(pairs: Sequence[tuple[float, float]]) -> float:
    """Mean of (weight, value) pairs; 0 when there is no weight."""
    total = sum(weight for weight, _ in pairs)
    return sum(weight * value for weight, value in pairs) / total if total else 0.0
