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

    def correct(self, expected: Cost) -> Cost:
        """Returns the reservation of an episode with this expected cost."""
        return Cost(
            _corrected(expected.usd, self.expected.usd, self.used.usd, self.episodes),
            _corrected(expected.tokens, self.expected.tokens, self.used.tokens, self.episodes),
        )


NO_HISTORY = CostHistory(episodes=0)

CostHistoryByCell = Mapping[str, CostHistory]


def _corrected(expected: float, all_expected: float, all_used: float, episodes: int) -> float:
    """Scales *expected* by the ratio seen in finished episodes; the result is at least their average."""
    if not episodes:
        return expected
    ratio = all_used / all_expected if all_expected > 0 else 1.0
    return max(expected * ratio, all_used / episodes)
