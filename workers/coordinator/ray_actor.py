"""The coordinator of a Ray cluster: one named actor for all runs.

It outlives the run that started it, so that the next run continues with the learned limits of every account.  When it
dies, Ray restarts it, and it recovers its state from the workers' reports.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import ray
from muses_eval.pipeline.errors import MusesError
from muses_eval.workers.budget import BudgetSpec, ReservationReply, WorkerReport
from muses_eval.workers.coordinator.coordinator import Coordinator
from muses_eval.workers.coordinator.ray_metrics import RayMetrics
from muses_eval.workers.limits.account import Account
from muses_eval.workers.limits.protocol import (
    AccountReport,
    CoordinatorUnavailableError,
    LeaseHolder,
    LimitsSnapshot,
    Renewal,
)
from ray.exceptions import RayActorError, TaskCancelledError

T = TypeVar("T")

NAME, NAMESPACE = "coordinator-1", "muses"
"""The actor outlives a run, so the number rises when workers and coordinators of two versions could not communicate."""
RECOVERY_S = 2.0
"""Seconds for which a restarted coordinator only collects reports; every worker with a lease renews more often."""
_UNAVAILABLE = (RayActorError, TaskCancelledError)
"""TaskCancelledError: Ray treats a call made on behalf of a shard as part of the shard, and cancels both together."""
_METRICS_EVERY_S = 2.0
_RETRY_INTERVAL_S = 0.25
_RETRY_TIMEOUT_S = 60.0


def connect_coordinator() -> "RayCoordinator":
    """Returns a client of the cluster's coordinator, which is started when it does not run yet."""
    actor = ray.remote(num_cpus=0, max_restarts=-1)(_CoordinatorActor)
    options = actor.options(name=NAME, namespace=NAMESPACE, lifetime="detached", get_if_exists=True)
    return RayCoordinator(options.remote())


class RayCoordinator:
    """The client of a cluster's coordinator; it is pickled and sent to workers."""

    def __init__(self, actor: Any) -> None:  # noqa: ANN401 - Ray's handles have no type
        self._actor = actor

    async def renew(self, holder: LeaseHolder, reports: Mapping[Account, AccountReport]) -> Renewal:
        return await _call_once(self._actor.renew.remote(holder, reports))

    async def leave(self, holder: LeaseHolder, reports: Mapping[Account, AccountReport]) -> None:
        await _call_once(self._actor.leave.remote(holder, reports))

    async def snapshot(self, run: str | None = None) -> LimitsSnapshot:
        return await _call_with_retries(lambda: self._actor.snapshot.remote(run))

    async def update_budget(self, budget: BudgetSpec, report: WorkerReport) -> ReservationReply:
        return await _call_with_retries(lambda: self._actor.update_budget.remote(budget, report))


async def _call_once(call: Awaitable[T]) -> T:
    try:
        return await call
    except _UNAVAILABLE as error:
        raise CoordinatorUnavailableError(str(error)) from None


async def _call_with_retries(call: Callable[[], Awaitable[T]]) -> T:
    """Repeats a call while the coordinator restarts.

    Raises:
        MusesError: the coordinator has not responded for a minute.
    """
    give_up = time.monotonic() + _RETRY_TIMEOUT_S
    while True:
        try:
            return await call()
        except _UNAVAILABLE:
            if time.monotonic() > give_up:
                raise MusesError(
                    f"the coordinator of the Ray cluster (actor {NAME} in namespace {NAMESPACE}) has not responded for "
                    f"{_RETRY_TIMEOUT_S:g} s; look for it in Ray's logs, then start the run again"
                ) from None
            await asyncio.sleep(_RETRY_INTERVAL_S)


class _CoordinatorActor(Coordinator):
    """The coordinator as a Ray actor; it also exports metrics."""

    def __init__(self) -> None:
        restarted = ray.get_runtime_context().was_current_actor_reconstructed
        super().__init__(recovery_s=RECOVERY_S if restarted else 0.0)
        self._metrics = RayMetrics()
        self._measured = 0.0

    def renew(self, holder: LeaseHolder, reports: Mapping[Account, AccountReport]) -> Renewal:
        renewal = super().renew(holder, reports)
        if renewal.now - self._measured > _METRICS_EVERY_S:
            self._measured = renewal.now
            self._metrics.show(self.snapshot())
        return renewal

    def leave(self, holder: LeaseHolder, reports: Mapping[Account, AccountReport]) -> None:
        super().leave(holder, reports)
        self._metrics.show(self.snapshot())

    def update_budget(self, budget: BudgetSpec, report: WorkerReport) -> ReservationReply:
        reply = super().update_budget(budget, report)
        self._metrics.show_budget(self.budget_status(budget))
        return reply
