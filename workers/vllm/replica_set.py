"""The Ray actor of one model: runs as many replicas as its load needs, and knows their addresses."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import ray
from muses_eval.workers.coordinator.gauges import GaugeDefinitions, Gauges
from muses_eval.workers.vllm.autoscaler import Autoscaler
from muses_eval.workers.vllm.gpu_capacity import count_of, free_gpus
from muses_eval.workers.vllm.replica import ReplicaStatus
from muses_eval.workers.vllm.replica_actor import ReplicaActor
from muses_eval.workers.vllm.replica_set_spec import ReplicaSetSpec
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.util.metrics import Gauge

_INTERVAL_S = 1.0
"""Seconds between two looks at the replicas."""
_DRAIN_TIMEOUT_S = 300.0
"""Seconds for a replica that is being removed to finish its requests."""
_STOP_TIMEOUT_S = 30.0
_PORT_TAKEN = "address already in use"


@dataclass(slots=True)
class _Member:
    """A replica, as the actor of its model sees it."""

    index: int
    actor: Any
    status: ReplicaStatus = field(default_factory=ReplicaStatus)
    watching: "asyncio.Task[None] | None" = None
    removed_at: float | None = None
    """Time at which it is ended; it gets no new calls.  None while it is not being removed."""


_GAUGES: GaugeDefinitions[Sequence[ReplicaStatus]] = {
    "muses_replicas": ("Replicas of a model, ready or not", len),
    "muses_replicas_ready": ("Replicas of a model that are ready", lambda all_: sum(1 for one in all_ if one.url)),
    "muses_replica_starts": ("Server starts of a model's replicas", lambda all_: sum(one.starts for one in all_)),
    "muses_replica_requests": ("Requests in flight", lambda all_: sum(one.load.in_flight for one in all_)),
}


class ReplicaSet:
    """The Ray actor of one model.

    Ray restarts a replica whose actor or machine dies; the replica's own actor restarts a server that dies.
    """

    def __init__(self, spec: ReplicaSetSpec) -> None:
        self._spec = spec
        self._members: list[_Member] = []
        self._autoscaler = Autoscaler(spec.min_replicas, spec.max_replicas, spec.settings.scaling)
        self._running: asyncio.Task[None] | None = None
        self._gauges = Gauges(Gauge, _GAUGES, "model")

    async def wait_ready(self) -> str | None:
        """Waits until the least replicas are ready.  Returns None, or the reason why one of them cannot start."""
        timeout_s = self._spec.settings.replica.health.startup_timeout_s
        until = time.monotonic() + timeout_s
        while True:
            self._start()
            for member in self._members:
                failure = member.status.failure
                if failure and not member.status.was_ready and _PORT_TAKEN not in failure.lower():
                    return failure
            if len(self._urls()) >= self._spec.min_replicas:
                return None
            if time.monotonic() > until and not all(member.status.starts for member in self._members):
                gpus = count_of(self._spec.gpus_per_replica, "GPU")
                return f"no machine had {gpus} free within {timeout_s:.0f} s; others of the cluster hold them"
            await asyncio.sleep(0.1)

    async def addresses(self, wait_s: float) -> tuple[str, ...]:
        """Returns the base URLs of the servers that are ready; waits for some seconds while none is."""
        self._start()
        until = time.monotonic() + wait_s
        while not (urls := self._urls()) and time.monotonic() < until:  # noqa: ASYNC110 - many tasks change it
            await asyncio.sleep(0.1)
        return urls

    async def stop(self) -> None:
        if self._running:
            self._running.cancel()
        members, self._members = self._members, []
        await asyncio.gather(*map(self._end, members))

    def _start(self) -> None:
        """Starts the replicas at the first call, because Ray restarts an actor without calling any of its methods."""
        if self._running is None:
            for index in range(self._spec.min_replicas):
                self._add(index)
            self._running = asyncio.create_task(self._run())
        elif self._running.done() and not self._running.cancelled():
            self._running.result()  # raises an unexpected error

    def _urls(self) -> tuple[str, ...]:
        return tuple(url for member in self._staying() if (url := member.status.url))

    def _staying(self) -> list[_Member]:
        return [member for member in self._members if member.removed_at is None]

    def _add(self, index: int) -> None:
        actor = ray.remote(num_cpus=0, num_gpus=self._spec.gpus_per_replica, max_restarts=-1)(ReplicaActor)
        member = _Member(index, actor.remote(self._spec, index))
        member.watching = asyncio.create_task(_watch(member))
        self._members.append(member)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_INTERVAL_S)
            now = time.monotonic()
            self._gauges.show(self._spec.server.model, [member.status for member in self._members])
            self._scale(now)
            for member in [member for member in self._members if _may_end(member, now)]:
                self._members.remove(member)
                await self._end(member)

    def _scale(self, now: float) -> None:
        staying = self._staying()
        loads = [member.status.load for member in staying if member.status.url]
        wanted = self._autoscaler.wanted(len(staying), loads, now)
        if wanted > len(staying) and self._has_room():
            self._add(min(set(range(self._spec.max_replicas)) - {member.index for member in self._members}))
        elif wanted < len(staying):
            staying[-1].removed_at = now + _DRAIN_TIMEOUT_S

    def _has_room(self) -> bool:
        full = len(self._members) >= self._spec.max_replicas  # a replica that is being removed still counts
        return not full and free_gpus() >= self._spec.gpus_per_replica

    async def _end(self, member: _Member) -> None:
        if member.watching:
            member.watching.cancel()
        if member.status.starts:  # otherwise it may wait for its GPUs, and would not reply before
            with suppress(RayError, TimeoutError):  # the actor is dead, and so is its server
                await asyncio.wait_for(member.actor.stop.remote(), _STOP_TIMEOUT_S)
        ray.kill(member.actor)


def _may_end(member: _Member, now: float) -> bool:
    if member.removed_at is None:
        return False
    return now >= member.removed_at or (member.status.url is None or not member.status.load.in_flight)


async def _watch(member: _Member) -> None:
    while True:
        try:
            member.status = await member.actor.status.remote()
        except RayActorError as error:  # the actor restarts, unless its constructor failed
            failure = str(error) if error.actor_init_failed else member.status.failure
            member.status = replace(member.status, url=None, failure=failure)
        except RayError as error:
            cause = error.cause if isinstance(error, RayTaskError) else error
            member.status = replace(member.status, url=None, failure=str(cause))
        await asyncio.sleep(_INTERVAL_S)
