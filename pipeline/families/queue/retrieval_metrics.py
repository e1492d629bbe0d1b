"""Arithmetic on sets of accepted instructions (paper, appendix A.3)."""

from collections.abc import Collection
from typing import NamedTuple


class Retrieval(NamedTuple):
    """How well one set finds another; each is 0 when its denominator is 0."""

    precision: float
    recall: float
    f1: float


def retrieval(accepted: Collection[str], wanted: Collection[str]) -> Retrieval:
    """F1 = 2 |A n V| / (|A| + |V|) for the accepted set A and the valid set V."""
    hits = len(set(accepted) & set(wanted))
    precision = hits / len(accepted) if accepted else 0.0
    recall = hits / len(wanted) if wanted else 0.0
    f1 = 2 * hits / (len(accepted) + len(wanted)) if hits else 0.0
    return Retrieval(precision, recall, f1)
