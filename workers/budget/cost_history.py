"""The costs of finished episodes beside their expected costs; they correct the reservations of the next episodes."""

from collections.abc import Mapping
from dataclasses import dataclass

from muses_eval.workers.budget.cost import Cost


@dataclass(frozen=True, slots=True)
class CostHistory:
    """Total costs of finished episodes of a cell, expected and real."""

    expected: Cost = Cost()
    used: Cost = Cost()
    episodes: int = 1

    def __add__(self, other: "CostHistory") -> "CostHistory":
        return CostHistory(self.expected + other.expected, self.used + other.used, self.episodes + other.episodes)

    def scale(self, expected: Cost) -> Cost:
        """Returns the expected cost of an episode of another cell, whose own costs are unknown.

        Without any finished episode it is the lower bound of the rules of thumb.
        """
        if not self.episodes:
            return Cost(expected.usd / RULES_OF_THUMB_FACTOR, expected.tokens / RULES_OF_THUMB_FACTOR)
        return Cost(
            expected.usd * _ratio(self.expected.usd, self.used.usd),
            expected.tokens * _ratio(self.expected.tokens, self.used.tokens),
        )

    def correct(self, expected: Cost) -> Cost:
        """Returns the reservation of an episode with this expected cost."""
        return Cost(
            _corrected(expected.usd, self.expected.usd, self.used.usd, self.episodes),
            _corrected(expected.tokens, self.expected.tokens, self.used.tokens, self.episodes),
        )


RULES_OF_THUMB_FACTOR = 3.0
"""Factor within which rules of thumb estimate the cost of an episode."""
NO_HISTORY = CostHistory(episodes=0)

CostHistoryByCell = Mapping[str, CostHistory]


def _corrected(expected: float, all_expected: float, all_used: float, episodes: int) -> float:
    """Scales *expected* by the ratio seen in finished episodes; the result is at least their average."""
    if not episodes:
        return expected
    return max(expected * _ratio(all_expected, all_used), all_used / episodes)


def _ratio(expected: float, used: float) -> float:
    return used / expected if expected > 0 else 1.0
