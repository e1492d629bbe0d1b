"""Workers, a coordinator and a provider with hard limits in virtual time: the real limits, no network, no waiting."""

import asyncio
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from muses_eval.pipeline.config.endpoint import Endpoint, Limits
from muses_eval.workers.coordinator.coordinator import Coordinator
from muses_eval.workers.limits import (
    Account,
    AttemptOutcome,
    LeaseHolder,
    LimitsClient,
    LimitsSnapshot,
    Permit,
    RateLimiter,
)
from muses_eval.workers.limits.protocol import AccountReport, CoordinatorUnavailableError, Renewal
from muses_eval.workers.rehearsal.fault_profile import HardLimits
from muses_eval.workers.rehearsal.hard_limits import AccountUsage
from muses_eval.workers.rehearsal.request_log import largest_window_sum

from tests.workers.virtual_time import clock, run

URL = "http://provider/v1"
Dice = random.Random


def lognormal(rng: Dice) -> float:
    """Returns a random latency in seconds, with a median of one."""
    return rng.lognormvariate(0, 0.5)


class RemoteCoordinator:
    """A coordinator behind a slow network, which may be lost and replaced by one without any state."""

    def __init__(self, rng: Dice, lag_s: float = 0.002) -> None:
        self.coordinator = Coordinator(clock)
        self.asked = 0
        self._rng, self._lag_s = rng, lag_s
        self._away_until = -math.inf

    def lose(self, away_s: float, recovery_s: float) -> None:
        self._away_until = clock() + away_s
        self.coordinator = Coordinator(clock, recovery_s)

    async def renew(self, holder: LeaseHolder, reports: Mapping[Account, AccountReport]) -> Renewal:
        self.asked += 1
        await self._travel()
        renewal = self.coordinator.renew(holder, reports)
        await self._travel()
        return renewal

    async def leave(self, holder: LeaseHolder, reports: Mapping[Account, AccountReport]) -> None:
        await self._travel()
        self.coordinator.leave(holder, reports)

    async def _travel(self) -> None:
        await asyncio.sleep(self._rng.expovariate(1 / self._lag_s))
        if clock() < self._away_until:
            raise CoordinatorUnavailableError("it starts again")


@dataclass
class SimulatedProvider:
    """A provider that refuses exactly what exceeds its limits, and records all attempts; times are in seconds."""

    limits: Callable[[float], HardLimits]
    rng: Dice
    latency: Callable[[Dice], float] = lambda _: 0.2
    tokens: Callable[[Dice], int] = lambda _: 100
    way_s: float = 0.003
    """Mean time that a request needs to reach the provider."""
    retry_after: bool = True
    storm: Callable[[float], bool] = lambda _: False
    arrived: list[float] = field(default_factory=list)
    admitted: list[tuple[float, int]] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    peak: int = 0
    _use: AccountUsage = field(default_factory=AccountUsage)
    _start: float = field(default_factory=clock)

    @property
    def now(self) -> float:
        return clock() - self._start

    async def ask(self, permit: Permit, tokens: int) -> bool:
        """Makes one attempt of *tokens* tokens; returns whether it was admitted."""
        await asyncio.sleep(self.rng.expovariate(1 / self.way_s))
        now = self.now
        self.arrived.append(now)
        refusal = None if self.storm(now) else self._use.admit(self.limits(now), tokens, now)
        if refusal is not None or self.storm(now):
            self.refused.append(now)
            await asyncio.sleep(self.rng.expovariate(1 / self.way_s))
            wait = math.ceil(refusal.wait_s) if refusal and self.retry_after else None
            permit.record(AttemptOutcome("refused", retry_after_s=wait))
            return False
        self.admitted.append((now, tokens))
        self.peak = max(self.peak, self._use.in_flight)
        try:
            await asyncio.sleep(self.latency(self.rng))
        finally:
            self._use.leave()
        permit.record(AttemptOutcome("answered", tokens))
        return True

    def used(self, from_s: float, to_s: float) -> float:
        """Returns the admitted attempts per second."""
        return sum(from_s <= at < to_s for at, _ in self.admitted) / (to_s - from_s)

    def tokens_used(self, from_s: float, to_s: float) -> float:
        return sum(tokens for at, tokens in self.admitted if from_s <= at < to_s) / (to_s - from_s)

    def refused_share(self, from_s: float, to_s: float) -> float:
        refused = sum(from_s <= at < to_s for at in self.refused)
        return refused / max(1, refused + self.used(from_s, to_s) * (to_s - from_s))

    def largest(self, window_s: float = 60.0) -> int:
        """Returns the largest number of attempts that arrived within any window."""
        return largest_window_sum([(at, 1) for at in self.arrived], window_s)

    def largest_tokens(self, window_s: float = 60.0) -> int:
        return largest_window_sum(self.admitted, window_s)


Estimate = Callable[[int], int]
"""Maps the tokens that a call will use to the tokens that its caller estimates."""


def a_hundred(_: int) -> int:
    return 100


class SimulatedWorker:
    """A worker whose callers call as often as the limit allows."""

    def __init__(
        self, coordinator: RemoteCoordinator, provider: SimulatedProvider, declared: Limits, holder: LeaseHolder
    ) -> None:
        self.limits = LimitsClient(coordinator, holder, clock)
        self.limit: RateLimiter = self.limits.limiter(Endpoint((URL,), limits=declared))
        self.answered = 0
        self._provider = provider
        self._callers: list[asyncio.Task[None]] = []

    def work(self, callers: int, estimate: Estimate = a_hundred) -> None:
        self._callers += [asyncio.create_task(self._call(estimate)) for _ in range(callers)]

    async def stop(self) -> None:
        """Stops the callers and gives back all leases."""
        for caller in self._callers:
            caller.cancel()
        await asyncio.gather(*self._callers, return_exceptions=True)
        await self.limits.close()

    def vanish(self) -> None:
        """Stops the callers without ever reporting to the coordinator again."""
        self.limits._cancel_timer()
        self.limits._schedule = lambda _: None  # type: ignore[method-assign]
        self.limits._holds_leases = False
        for caller in self._callers:
            caller.cancel()

    async def _call(self, estimate: Estimate) -> None:
        rng = Dice(self._provider.rng.random())
        while True:
            tokens = self._provider.tokens(self._provider.rng)
            async with self.limit.permit(estimate(tokens)) as permit:
                good = await self._provider.ask(permit, tokens)
            self.answered += good
            if not good:
                await asyncio.sleep(rng.uniform(0, 1))


@dataclass
class Scene:
    """The coordinator, the provider and the workers of one simulation."""

    coordinator: RemoteCoordinator
    provider: SimulatedProvider
    workers: list[SimulatedWorker]

    @property
    def snapshot(self) -> LimitsSnapshot:
        return self.coordinator.coordinator.snapshot()


def play(
    declared: Limits,
    provider: Callable[[Dice], SimulatedProvider],
    seconds: float,
    *,
    workers: int = 4,
    callers: int = 32,
    estimate: Estimate = a_hundred,
    runs: int = 1,
    events: Mapping[float, Callable[[Scene], None]] | None = None,
) -> Scene:
    """Lets workers call for *seconds*; each of *events* is run at its time."""

    async def job() -> Scene:
        rng = Dice(1)
        coordinator, there = RemoteCoordinator(rng), provider(rng)
        team = [
            SimulatedWorker(coordinator, there, declared, LeaseHolder(f"run-{n % runs}", f"w{n}"))
            for n in range(workers)
        ]
        scene = Scene(coordinator, there, team)
        for worker in team:
            worker.work(callers, estimate)
        for at, event in sorted((events or {}).items()):
            await asyncio.sleep(at - there.now)
            event(scene)
        await asyncio.sleep(seconds - there.now)
        for worker in team:
            await worker.stop()
        return scene

    return run(job())
