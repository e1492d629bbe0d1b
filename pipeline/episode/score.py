"""A score says which rules it was given by."""

from dataclasses import dataclass
from typing import Literal, get_args

Scoring = Literal["published", "corrected"]
"""``published`` agrees with the released scorer, quirks included; ``corrected`` follows the paper's definitions."""
SCORINGS: tuple[Scoring, ...] = get_args(Scoring)


@dataclass(frozen=True, slots=True)
class Score:
    """One number about one episode."""

    scoring: Scoring
    metric: str
    value: float
    """0 to 1, unless the metric says otherwise (``turns`` is a count)."""
    round: int | None = None
    """The turn up to which the number counts; None: the whole episode, which is what a leaderboard shows."""
