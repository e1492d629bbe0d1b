"""Precision, recall and F1 of a set of accepted instructions (paper, appendix A.3)."""

from collections.abc import Collection
from typing import NamedTuple


class PrecisionRecallF1(NamedTuple):
    """Each value is 0 when its denominator is 0."""

    precision: float
    recall: float
    f1: float


def precision_recall_f1(accepted: Collection[str], valid: Collection[str]) -> PrecisionRecallF1:
    """Computes F1 = 2 |A n V| / (|A| + |V|) for the accepted set A and the valid set V."""
    hits = len(set(accepted) & set(valid))
    precision = hits / len(accepted) if accepted else 0.0
    recall = hits / len(valid) if valid else 0.0
    f1 = 2 * hits / (len(accepted) + len(valid)) if hits else 0.0
    return PrecisionRecallF1(precision, recall, f1)
