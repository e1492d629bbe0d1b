"""Estimates the calls, tokens, cost and duration of a run before it is played, each with an interval.

A few small modules compute it, in this order: ``usage_estimator`` for one episode, ``cell_estimate`` for a cell,
``model_role`` for a model in one role, and ``duration`` for the time under the rate limits.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from muses_eval.pipeline.config.endpoint import Endpoint
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.users import UsersSpec
from muses_eval.pipeline.plan.cell_estimate import CellEstimate
from muses_eval.pipeline.plan.duration import AccountOf, estimate_duration
from muses_eval.pipeline.plan.episode_usage import EpisodeUsage
from muses_eval.pipeline.plan.interval import CriticalValue, Interval, sum_totals
from muses_eval.pipeline.plan.model_role import ModelRole, model_roles
from muses_eval.pipeline.prices import prices_of


@dataclass(frozen=True, slots=True)
class ModelCostEstimate:
    """Estimated usage and cost of one model in one role, with one agent."""

    model: str
    role: str
    calls: Interval
    prompt_tokens: Interval
    completion_tokens: Interval
    cost_usd: Interval | None
    """None when the price is unknown."""
    agent: str | None = None
    """Name of the agent that calls the model, ``chat`` for the model alone; None for users."""
    assumes_chat: bool = False
    """True when the agent was not measured: the numbers are those of the model alone, with one call per turn."""


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """Estimated usage, cost and duration of a run, or of several runs that are played in parallel."""

    by_model: tuple[ModelCostEstimate, ...]
    calls: Interval
    tokens: Interval
    cost_usd: Interval | None
    """None when the price of a model is unknown."""
    seconds: Interval
    sampled_cells: int
    """Number of cells that are estimated from played episodes."""
    sampled_episodes: int
    cells: int
    """Number of cells that call a model."""
    unpriced: tuple[str, ...] = ()
    """Names of the models without a known price."""
    undeclared: tuple[str, ...] = ()
    """Names of the models whose account declares no limits."""
    unmeasured: tuple[str, ...] = ()
    """Names of the agents that are estimated like the model alone."""


def estimate_cost(cells: Sequence[CellEstimate], critical_value: CriticalValue, account_of: AccountOf) -> CostEstimate:
    """Returns the totals of all cells of a run, or of several runs that are played in parallel."""
    roles = [role for role in model_roles(cells) if role.total(lambda usage: usage.calls).mid > 0]
    calling = [cell for cell in cells if cell.total(_calls).mid > 0]
    usd = sum_totals(cell.total(partial(_cost_usd, cell.model, cell.users)) for cell in calling)
    sampled = [cell for cell in calling if cell.sampled]
    return CostEstimate(
        by_model=tuple(_estimate_model(role, critical_value) for role in roles),
        calls=sum_totals(cell.total(_calls) for cell in calling).interval(critical_value),
        tokens=sum_totals(cell.total(lambda usage: usage.tokens) for cell in calling).interval(critical_value),
        cost_usd=None if math.isnan(usd.mid) else usd.interval(critical_value),
        seconds=estimate_duration(roles, critical_value, account_of),
        sampled_cells=len(sampled),
        sampled_episodes=sum(len(cell.played) for cell in sampled),
        cells=len(calling),
        unpriced=_names(role for role in roles if prices_of(role.model) is None),
        unmeasured=tuple(dict.fromkeys(role.agent for role in roles if role.agent and role.assumes_chat)),
        undeclared=_names(role for role in roles if role.model.endpoint and not _declares(role.model.endpoint)),
    )


def _calls(usage: EpisodeUsage) -> float:
    return usage.calls


def _cost_usd(model: ModelSpec, users: UsersSpec, usage: EpisodeUsage) -> float:
    return usage.cost_usd(model, users)


def _names(roles: Iterable[ModelRole]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(role.model.name for role in roles))


def _declares(endpoint: Endpoint) -> bool:
    limits = endpoint.limits
    return any((limits.requests_per_minute, limits.tokens_per_minute, limits.concurrency))


def _estimate_model(role: ModelRole, critical_value: CriticalValue) -> ModelCostEstimate:
    prices = prices_of(role.model)
    usd = role.total(lambda usage: usage.cost_usd(prices))
    return ModelCostEstimate(
        model=role.model.name,
        role=role.role,
        calls=role.total(lambda usage: usage.calls).interval(critical_value),
        prompt_tokens=role.total(lambda usage: usage.prompt_tokens).interval(critical_value),
        completion_tokens=role.total(lambda usage: usage.completion_tokens).interval(critical_value),
        cost_usd=None if math.isnan(usd.mid) else usd.interval(critical_value),
        agent=role.agent,
        assumes_chat=role.assumes_chat,
    )
