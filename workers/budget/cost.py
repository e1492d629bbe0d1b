"""The cost of episodes, in money and in tokens."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from muses_eval.pipeline.config.budget import Budget
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.users import UsersSpec
from muses_eval.pipeline.plan.episode_usage import EpisodeUsage


@dataclass(frozen=True, slots=True)
class Cost:
    """An amount in both currencies of a budget."""

    usd: float = 0.0
    tokens: float = 0.0

    @classmethod
    def of(cls, usage: EpisodeUsage, model: ModelSpec, users: UsersSpec) -> "Cost":
        """Prices a usage.

        An unknown price counts as 0 USD: a config that caps USD needs the price of every model, so no cap is affected.
        """
        usd = usage.cost_usd(model, users)
        return cls(0.0 if math.isnan(usd) else usd, usage.tokens)

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.usd + other.usd, self.tokens + other.tokens)

    def up_to(self, cap: Budget, spent: "Cost") -> "Cost":
        """Returns this amount, and at most what is left of the cap beside *spent*."""
        return Cost(
            min(self.usd, or_infinity(cap.usd) - spent.usd), min(self.tokens, or_infinity(cap.tokens) - spent.tokens)
        )

    def within(self, cap: Budget) -> bool:
        """Returns True when neither currency exceeds the cap."""
        return self.usd <= or_infinity(cap.usd) and self.tokens <= or_infinity(cap.tokens)


def is_used_up(cap: Budget, spent: Cost) -> bool:
    """Returns True when nothing is left of one of the caps."""
    return spent.usd >= or_infinity(cap.usd) or spent.tokens >= or_infinity(cap.tokens)


def or_infinity(most: float | None) -> float:
    """Returns a cap as a number; infinity when there is none."""
    return math.inf if most is None else most


def total(costs: Iterable[Cost]) -> Cost:
    """Returns the sum of several costs."""
    return sum(costs, Cost())
