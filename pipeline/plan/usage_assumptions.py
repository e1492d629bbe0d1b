"""Assumptions about the lengths of episodes and replies, for estimates without any played episode."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from muses_eval.pipeline.families import FAMILIES


@dataclass(frozen=True, slots=True)
class TypicalEpisode:
    """Number of turns and lengths of replies in the episodes of a family."""

    turns: tuple[float, float, float]
    """Low, typical and high number of turns."""
    reply_tokens: float
    """Tokens of an agent's reply, without the part that grows with the number of principals."""
    reply_tokens_per_user: float
    message_tokens: float = 40.0
    """Tokens of a simulated user's message."""


TYPICAL_EPISODES: Mapping[str, TypicalEpisode] = {
    "queue": TypicalEpisode((1, 1, 1), 200, 25),
    "instruct": TypicalEpisode((1, 1, 1), 100, 70),
    "access": TypicalEpisode((2, 8, 10), 60, 45),
    "meeting": TypicalEpisode((2, 5, 10), 60, 40),
}
"""Typical episodes by family."""


def typical_episode(family: str) -> TypicalEpisode:
    """Returns the entry of a family, or values derived from its maximum number of turns when it has no entry."""
    known = TYPICAL_EPISODES.get(family)
    if known is not None:
        return known
    max_turns = FAMILIES[family].max_turns
    return TypicalEpisode((min(2, max_turns), math.ceil(max_turns / 2), max_turns), 100, 50)


@dataclass(frozen=True, slots=True)
class Assumptions:
    """One set of assumptions about all models: low, typical or high usage."""

    turns: int
    """Index into :attr:`TypicalEpisode.turns`."""
    verbosity: float
    """Factor on the typical length of a reply."""
    chars_per_token: float
    time_to_first_token_s: float
    tokens_per_second: float


LOW = Assumptions(0, 0.5, 4.6, 0.3, 120)
MID = Assumptions(1, 1.0, 4.0, 0.8, 60)
HIGH = Assumptions(2, 3.0, 3.4, 2.0, 25)
