"""Rank bands: the possible ranks of each model, given the significant differences."""

from collections.abc import Collection, Sequence
from typing import NamedTuple


class RankBand(NamedTuple):
    """Range of the possible ranks of a model."""

    best: int
    worst: int

    def __str__(self) -> str:
        return str(self.best) if self.best == self.worst else f"{self.best}-{self.worst}"


def rank_bands(names: Sequence[str], better: Collection[tuple[str, str]]) -> dict[str, RankBand]:
    """Returns the possible ranks of each name, given all pairs (winner, loser) with a significant difference.

    The best rank is 1 + the number of significantly better models, the worst the number of all models minus the number
    of significantly worse ones.  With Holm's correction all bands are correct together with probability 1 - alpha:
    M. Mogstad, J. Romano, A. Shaikh and D. Wilhelm, "Inference for Ranks", Review of Economic Studies 91 (2024).
    """
    listed = set(names)
    pairs = {(winner, loser) for winner, loser in better if winner in listed and loser in listed}
    above = dict.fromkeys(names, 0)
    below = dict.fromkeys(names, 0)
    for winner, loser in pairs:
        above[loser] += 1
        below[winner] += 1
    return {name: RankBand(1 + above[name], len(listed) - below[name]) for name in names}
