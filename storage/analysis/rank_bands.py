"""The ranks that each model can have, given which differences are significant."""

from collections.abc import Collection, Sequence
from typing import NamedTuple


class RankBand(NamedTuple):
    """The ranks that a model can have."""

    best: int
    worst: int

    def __str__(self) -> str:
        return str(self.best) if self.best == self.worst else f"{self.best}-{self.worst}"


def rank_bands(names: Sequence[str], better: Collection[tuple[str, str]]) -> dict[str, RankBand]:
    """The ranks that each can have, given all pairs (winner, loser) in which one is surely better.

    From 1 + those surely better than it, to the number of all less those surely worse.  With claims held together by
    Holm's correction all bands are right at once with probability 1 - alpha: M. Mogstad, J. Romano, A. Shaikh and
    D. Wilhelm, "Inference for Ranks", Review of Economic Studies 91 (2024).
    """
    listed = set(names)
    pairs = {(winner, loser) for winner, loser in better if winner in listed and loser in listed}
    above = dict.fromkeys(names, 0)
    below = dict.fromkeys(names, 0)
    for winner, loser in pairs:
        above[loser] += 1
        below[winner] += 1
    return {name: RankBand(1 + above[name], len(listed) - below[name]) for name in names}
