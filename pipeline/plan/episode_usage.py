"""Usage of an episode: calls, tokens and time of the agent and of the simulated users, estimated or measured."""

import math
from dataclasses import dataclass

from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.prices import Prices
from muses_eval.pipeline.config.users import UsersSpec
from muses_eval.pipeline.prices import prices_of

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class RoleUsage:
    """Sums over the calls of one role, agent or user."""

    calls: float = 0.0
    prompt_tokens: float = 0.0
    completion_tokens: float = 0.0
    seconds: float = 0.0
    """Total latency of the calls, as if they were made one after the other."""

    @property
    def tokens(self) -> float:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: "RoleUsage") -> "RoleUsage":
        return RoleUsage(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.seconds + other.seconds,
        )

    def cost_usd(self, prices: Prices | None) -> float:
        """Returns the cost of the tokens when none of them is cached; NaN when the price is unknown."""
        if prices is None:
            return math.nan if self.calls else 0.0
        return (self.prompt_tokens * prices.input + self.completion_tokens * prices.output) / _MILLION


@dataclass(frozen=True, slots=True)
class EpisodeUsage:
    """Usage of one episode, or the sum over several episodes."""

    agent: RoleUsage = RoleUsage()
    user: RoleUsage = RoleUsage()
    """Sum over all simulated users."""

    @property
    def calls(self) -> float:
        return self.agent.calls + self.user.calls

    @property
    def tokens(self) -> float:
        return self.agent.tokens + self.user.tokens

    def __add__(self, other: "EpisodeUsage") -> "EpisodeUsage":
        return EpisodeUsage(self.agent + other.agent, self.user + other.user)

    def cost_usd(self, model: ModelSpec, users: UsersSpec) -> float:
        """Returns the cost with this agent and these users; NaN when a price is unknown."""
        users_prices = None if users.model is None else prices_of(users.model)
        return self.agent.cost_usd(prices_of(model)) + self.user.cost_usd(users_prices)
