"""The coordinator of a Ray cluster: one named actor for all runs.

It outlives the run that started it, so that the next run finds what is known of every account.  When it dies, Ray
restarts it, and the workers' reports tell it what it has to know.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import ray
from muses_eval.pipeline.errors import MusesError
from muses_eval.workers.budget import BudgetSpec, BudgetStatus, ReservationReply, WorkerReport
from muses_eval.workers.coordinator.gauges import Figures, Gauges
from muses_eval.workers.coordinator.local import Coordinator
from muses_eval.workers.limits.account import Account
from muses_eval.workers.limits.protocol import (
    AccountReport,
    AccountStatus,
    CoordinatorUnavailableError,
    LeaseHolder,
    Renewal,
    Snapshot,
)
from ray.exceptions import RayActorError, TaskCancelledError
from ray.util.metrics import Counter, Gauge

T = TypeVar("T")

NAME, NAMESPACE = "coordinator", "muses"
RECOVERY_S = 2.0
"""How long a restarted coordinator listens; all workers that hold leases renew more often than that."""
_AWAY = (RayActorError, TaskCancelledError)
"""TaskCancelledError: Ray treats a call made on behalf of a shard as part of the shard, and cancels both together."""
_METRICS_EVERY_S = 2.0
_TRY_AGAIN_S = 0.25
_PATIENCE_S = 60.0


def connect_coordinator() -> "RayCoordinator":
    """Returns the way to the cluster's coordinator, which is started when it does not run yet."""
    actor = ray.remote(num_cpus=0, max_restarts=-1)(_CoordinatorActor)
    options = actor.options(name=NAME, namespace=NAMESPACE, lifetime="detached", get_if_exists=True)
    return RayCoordinator(options.remote())


class RayCoordinator:
    """The way to the coordinator of a cluster; pickled and sent to workers."""

    def __init__(self, actor: Any) -> None:  # noqa: ANN401 - Ray's handles have no type
        self._actor = actor

    async def renew(self, holder: LeaseHolder, reports: Mapping[Account, AccountReport]) -> Renewal:
        return await _now(self._actor.renew.remote(holder, reports))

    async def leave(self, holder: LeaseHolder, reports: Mapping[Account, AccountReport]) -> None:
        await _now(self._actor.leave.remote(holder, reports))

    async def snapshot(self, run: str | None = None) -> Snapshot:
        return await _patiently(lambda: self._actor.snapshot.remote(run))

    async def update_budget(self, budget: BudgetSpec, report: WorkerReport) -> ReservationReply:
        return await _patiently(lambda: self._actor.update_budget.remote(budget, report))


async def _now(call: Awaitable[T]) -> T:
    try:
        return await call
    except _AWAY as error:
        raise CoordinatorUnavailableError(str(error)) from None


async def _patiently(call: Callable[[], Awaitable[T]]) -> T:
    """Repeats a call while the coordinator restarts.

    Raises:
        MusesError: it has not answered for a minute.
    """
    give_up = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return await call()
        except _AWAY:
            if time.monotonic() > give_up:
                raise MusesError(
                    f"the coordinator of the Ray cluster (actor {NAME} in namespace {NAMESPACE}) has not answered for "
                    f"{_PATIENCE_S:g} s; look for it in Ray's logs, then start the run again"
                ) from None
            await asyncio.sleep(_TRY_AGAIN_S)


class _CoordinatorActor(Coordinator):
    """The coordinator as a Ray actor; it also feeds Ray's metrics."""

    def __init__(self) -> None:
        restarted = ray.get_runtime_context().was_current_actor_reconstructed
        super().__init__(recovery_s=RECOVERY_S if restarted else 0.0)
        self._metrics = Metrics()
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


_GAUGES: Figures[AccountStatus] = {
    "muses_calls_per_second": ("Tries started a second, over ten seconds", lambda s: s.calls_per_s),
    "muses_tokens_per_second": ("Prompt and completion tokens a second, over ten seconds", lambda s: s.tokens_per_s),
    "muses_calls_in_flight": ("Tries in flight", lambda s: s.in_flight),
    "muses_calls_waiting": ("Tries that wait for the limit", lambda s: s.waiting),
    "muses_requests_limit_per_minute": ("Bound on requests; -1: none", lambda s: s.requests_per_minute),
    "muses_tokens_limit_per_minute": ("Bound on tokens; -1: none", lambda s: s.tokens_per_minute),
    "muses_concurrency_limit": ("Bound on tries in flight; -1: none", lambda s: s.concurrency),
    "muses_paused_seconds": ("How long nothing may start yet, after a refusal", lambda s: s.paused_s),
}
_BUDGET_GAUGES: Figures[BudgetStatus] = {
    "muses_spent_usd": ("Spent by a run or sweep with a budget, all its starts", lambda s: s.spent.usd),
    "muses_reserved_usd": ("Set aside for its episodes in flight", lambda s: s.held.usd),
    "muses_budget_usd": ("What it may spend; -1: no bound", lambda s: s.cap.usd),
    "muses_spent_tokens": ("Prompt and completion tokens of one with a budget", lambda s: s.spent.tokens),
    "muses_budget_tokens": ("How many it may use; -1: no bound", lambda s: s.cap.tokens),
}
_COUNTERS: Mapping[str, tuple[str, Callable[[AccountStatus], int]]] = {
    "muses_answered": ("Tries that were answered", lambda s: s.answered),
    "muses_refused": ("Tries that a limit of the provider refused", lambda s: s.refused),
    "muses_failed": ("Tries that failed otherwise", lambda s: s.failed),
}


class Metrics:
    """The state of all accounts and budgets as Ray's metrics, which Prometheus reads."""

    def __init__(self) -> None:
        self._gauges, self._budgets = Gauges(Gauge, _GAUGES, "account"), Gauges(Gauge, _BUDGET_GAUGES, "run")
        self._counters = {name: Counter(name, text, ("account",)) for name, (text, _) in _COUNTERS.items()}
        self._counted: dict[tuple[str, str], int] = {}

    def show(self, snapshot: Snapshot) -> None:
        for status in snapshot.accounts:
            tags = {"account": status.name}
            self._gauges.show(status.name, status)
            for name, (_, counted) in _COUNTERS.items():
                total, before = counted(status), self._counted.get((name, status.name), 0)
                self._counted[name, status.name] = total
                if total > before:
                    self._counters[name].inc(total - before, tags)

    def show_budget(self, budget: BudgetStatus) -> None:
        self._budgets.show(budget.name, budget)
