"""Estimates the duration of a run from its usage and from the rate limits of the accounts."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from muses_eval.pipeline.config.endpoint import Endpoint
from muses_eval.pipeline.plan.interval import CriticalValue, Interval, sum_totals
from muses_eval.pipeline.plan.model_role import ModelRole

ASSUMED_CONCURRENCY = 64
"""Calls in flight that are assumed when an account declares no rate limit."""

AccountOf = Callable[[Endpoint], object]
"""Returns the account of an endpoint.  Endpoints with equal accounts share their limits."""


@dataclass(slots=True)
class _Account:
    """The rate limits of one account, and the models that share them."""

    requests_per_minute: float = math.inf
    tokens_per_minute: float = math.inf
    concurrency: float = math.inf
    roles: list[ModelRole] = field(default_factory=list)

    def add(self, role: ModelRole, endpoint: Endpoint) -> None:
        """Adds a model.  When endpoints of one account declare different limits, the smallest one applies."""
        limits = endpoint.limits
        self.requests_per_minute = min(self.requests_per_minute, limits.requests_per_minute or math.inf)
        self.tokens_per_minute = min(self.tokens_per_minute, limits.tokens_per_minute or math.inf)
        self.concurrency = min(self.concurrency, limits.concurrency or math.inf)
        self.roles.append(role)

    def seconds(self, critical_value: CriticalValue) -> Interval:
        """Returns the time that the tightest limit requires."""
        in_flight = min(self.concurrency, ASSUMED_CONCURRENCY if self._unlimited else math.inf)
        rates = (
            (lambda usage: usage.calls, self.requests_per_minute / 60),
            (lambda usage: usage.tokens, self.tokens_per_minute / 60),
            (lambda usage: usage.seconds, in_flight),
        )
        return _slowest(
            [
                _divide(sum_totals(role.total(measure) for role in self.roles).interval(critical_value), rate)
                for measure, rate in rates
            ]
        )

    @property
    def _unlimited(self) -> bool:
        return math.isinf(self.requests_per_minute) and math.isinf(self.tokens_per_minute)


def estimate_duration(roles: Sequence[ModelRole], critical_value: CriticalValue, account_of: AccountOf) -> Interval:
    """Returns the seconds that the calls take.  Accounts work in parallel, so the slowest one determines the result."""
    accounts: dict[object, _Account] = {}
    for role in roles:
        endpoint = role.model.endpoint
        if endpoint is not None:
            accounts.setdefault(account_of(endpoint), _Account()).add(role, endpoint)
    return _slowest([account.seconds(critical_value) for account in accounts.values()])


def sequential_duration(whole: Interval, waves: Sequence[Interval]) -> Interval:
    """Returns the seconds of a run whose waves of models are played one after the other.

    Args:
        whole: seconds when all models are played in parallel.
        waves: seconds of each wave.
    """
    bounds = [(wave.low, wave.mid, wave.high) for wave in waves]
    return _slowest([whole, Interval(*map(math.fsum, zip(*bounds, strict=True)))]) if bounds else whole


def _divide(amount: Interval, rate: float) -> Interval:
    return Interval(amount.low / rate, amount.mid / rate, amount.high / rate)


def _slowest(durations: Sequence[Interval]) -> Interval:
    if not durations:
        return Interval(0.0, 0.0, 0.0)
    return Interval(max(d.low for d in durations), max(d.mid for d in durations), max(d.high for d in durations))
