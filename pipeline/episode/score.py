"""A score, with the rules by which it was computed."""

from dataclasses import dataclass
from typing import Literal, get_args

Scoring = Literal["published", "corrected"]
"""``published`` agrees with the released scorer, quirks included; ``corrected`` follows the paper's definitions."""
SCORINGS: tuple[Scoring, ...] = get_args(Scoring)


@dataclass(frozen=True, slots=True)
class Score:
    """Value of one metric for one episode."""

    scoring: Scoring
    metric: str
    value: float
    """From 0 to 1, except for metrics that are counts, such as ``turns``."""
    round: int | None = None
    """Last turn that the value covers; None for the whole episode, which the leaderboard shows."""
