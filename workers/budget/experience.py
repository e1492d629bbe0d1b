"""What finished episodes used compared with what was expected of them; it corrects what the next ones reserve."""

from collections.abc import Mapping
from dataclasses import dataclass

from muses_eval.workers.budget.cost import Cost


@dataclass(frozen=True, slots=True)
class Experience:
    """What finished episodes of a cell used, beside what had been expected of them."""

    expected: Cost = Cost()
    used: Cost = Cost()
    episodes: int = 1

    def __add__(self, other: "Experience") -> "Experience":
        return Experience(self.expected + other.expected, self.used + other.used, self.episodes + other.episodes)

    def correct(self, expected: Cost) -> Cost:
        """Returns what to reserve for an episode of which *expected* is expected."""
        return Cost(
            _corrected(expected.usd, self.expected.usd, self.used.usd, self.episodes),
            _corrected(expected.tokens, self.expected.tokens, self.used.tokens, self.episodes),
        )


UNKNOWN = Experience(episodes=0)

ExperienceByCell = Mapping[str, Experience]


def _corrected(expected: float, all_expected: float, all_used: float, episodes: int) -> float:
    """Scales *expected* by the ratio seen in finished episodes; the result is at least their average."""
    if not episodes:
        return expected
    ratio = all_used / all_expected if all_expected > 0 else 1.0
    return max(expected * ratio, all_used / episodes)
