"""The vLLM servers of a run on a Ray cluster: replicas that hold their GPUs, and the word where they answer.

One actor a model (:class:`ModelServers`) keeps its replicas and is found by name from every worker of the run; one
actor a replica owns one server.  All of them end with the driver, however it goes, and the servers with them.  Models
that differ in their sampling only share their servers.
"""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import ray
from muses_eval.pipeline.config.engine import EngineSpec
from muses_eval.pipeline.config.model import ModelSpec
from muses_eval.pipeline.errors import ConfigError, ModelFailure, MusesError
from muses_eval.pipeline.hashing import digest
from muses_eval.pipeline.plan.gpu_waves import gpus_a_replica, pack
from muses_eval.workers.coordinator.gauges import Figures, Gauges
from muses_eval.workers.vllm.replica import Patience, Place, Replica, ReplicaStatus
from muses_eval.workers.vllm.server_load import Scaler, ScalingRules
from muses_eval.workers.vllm.server_process import (
    EngineBuild,
    ServerPlan,
    engine_arguments,
    find_engine,
    serving_arguments,
    share_of_cores,
)
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.util import get_node_ip_address
from ray.util.metrics import Gauge
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

RESOLVE_WAIT_S = 600.0
"""So long calls wait while no server of their model is up.  After that they fail at once, until one is up again."""
_FRESH_S = 1.0
_TURN_S = 1.0
_RETIRE_S = 300.0
"""So long a replica that is taken away may finish its requests."""
_STOP_S = 30.0
_PORT_TAKEN = "address already in use"


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """How servers are watched and scaled; the same for all models of a run."""

    patience: Patience = Patience()
    scaling: ScalingRules = ScalingRules()


@dataclass(frozen=True, slots=True)
class FleetOrder:
    """The servers of one model, as the cluster is asked for them."""

    plan: ServerPlan
    build: EngineBuild
    least: int
    most: int
    gpus: int
    """A replica's; 0 on a CPU build."""
    settings: FleetSettings
    many_nodes: bool = False
    """Then the servers listen on the address of their machine, else on the loopback."""
    first_slot: int = 0
    slots: int = 1
    """On a CPU build: this model's part of all replicas that share a machine's cores."""


@dataclass(frozen=True, slots=True)
class NodeRoom:
    """What one machine of the cluster has."""

    node_id: str
    gpus: int


def check_room(orders: Iterable[FleetOrder], nodes: Sequence[NodeRoom]) -> None:
    """Raises ConfigError when the cluster can never hold the least replicas of all models at once."""
    largest_first = sorted(orders, key=lambda order: -order.gpus)
    free = sorted((node.gpus for node in nodes), reverse=True)
    for order in largest_first:
        for _ in range(order.least):
            place = next((index for index, room in enumerate(free) if room >= order.gpus), None)
            if place is None:
                raise ConfigError(
                    f"the servers of {' and '.join(map(_demand, largest_first))} do not fit: {_supply(nodes)}; "
                    "lower engine.replicas or engine.tensor_parallel, or add GPUs"
                )
            free[place] -= order.gpus


def _demand(order: FleetOrder) -> str:
    return f"vllm:{order.plan.model} ({_many(order.least, 'replica')} of {_many(order.gpus, 'GPU')} on one machine)"


def _supply(nodes: Sequence[NodeRoom]) -> str:
    machines = ", ".join(_many(node.gpus, "GPU") for node in nodes)
    return f"the cluster has {_many(len(nodes), 'machine')} with {machines}"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def fleet_name(spec: ModelSpec) -> str:
    """Returns the name of the actor that keeps the servers of *spec*."""
    return f"muses-vllm-{digest((spec.model, asdict(_engine(spec))))}"


def _engine(spec: ModelSpec) -> EngineSpec:
    return spec.engine or EngineSpec()


# In the actors


class OwnerOfOneServer:
    """The Ray actor of one replica; the GPUs that it holds are its server's."""

    def __init__(self, order: FleetOrder, slot: int) -> None:
        cores = share_of_cores(_own_cores(), order.first_slot + slot, order.slots) if order.build.cpu else ()
        self._logs = Path(tempfile.mkdtemp(prefix="muses-vllm-"))
        host = str(get_node_ip_address()) if order.many_nodes else "127.0.0.1"  # type: ignore[no-untyped-call]
        self._trouble: str | None = None
        place = Place(host, self._logs)
        self._replica = Replica(replace(order.plan, cores=cores), place, order.settings.patience)

    async def status(self) -> ReplicaStatus:
        status = self._replica.status()
        self._trouble = status.trouble
        return status

    async def stop(self) -> None:
        await self._replica.stop()
        if self._trouble is None:  # else somebody may want to read on
            shutil.rmtree(self._logs, ignore_errors=True)


def _own_cores() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


@dataclass(slots=True)
class _Member:
    """A replica, as the actor of its model sees it."""

    slot: int
    handle: Any
    status: ReplicaStatus = field(default_factory=ReplicaStatus)
    watching: "asyncio.Task[None] | None" = None
    leaves_at: float | None = None
    """It takes no new calls and is gone by then; None: it stays."""


_GAUGES: Figures[Sequence[ReplicaStatus]] = {
    "muses_replicas": ("Replicas of a model, ready or not", len),
    "muses_replicas_ready": ("Of them, those that answer", lambda all_: sum(1 for one in all_ if one.url)),
    "muses_replica_starts": ("How often their servers were started", lambda all_: sum(one.starts for one in all_)),
    "muses_replica_requests": ("Requests that they hold", lambda all_: sum(one.load.in_flight for one in all_)),
}


class ModelServers:
    """The Ray actor of one model: keeps as many replicas as its load calls for, and knows where they answer.

    A replica whose actor or machine dies is brought back by Ray; one whose server dies, by its own actor.
    """

    def __init__(self, order: FleetOrder) -> None:
        self._order = order
        self._members: list[_Member] = []
        self._scaler = Scaler(order.least, order.most, order.settings.scaling)
        self._keeping: asyncio.Task[None] | None = None
        self._gauges = Gauges(Gauge, _GAUGES, "model")

    async def wait_ready(self) -> str | None:
        """Waits for the least replicas.  Returns None, or what kept one of them from its first start."""
        patience_s = self._order.settings.patience.start_s
        until = time.monotonic() + patience_s
        while True:
            self._begin()
            for member in self._members:
                trouble = member.status.trouble
                if trouble and not member.status.was_ready and _PORT_TAKEN not in trouble.lower():
                    return trouble
            if len(self._urls()) >= self._order.least:
                return None
            if time.monotonic() > until and not all(member.status.starts for member in self._members):
                wanted = _many(self._order.gpus, "GPU")
                return f"no machine had {wanted} free within {patience_s:.0f} s; others of the cluster hold them"
            await asyncio.sleep(0.1)

    async def addresses(self, wait_s: float) -> tuple[str, ...]:
        """The servers that are ready; waits for one while there is none, at most so long."""
        self._begin()
        until = time.monotonic() + wait_s
        while not (urls := self._urls()) and time.monotonic() < until:  # noqa: ASYNC110 - many tasks change it
            await asyncio.sleep(0.1)
        return urls

    async def stop(self) -> None:
        if self._keeping:
            self._keeping.cancel()
        members, self._members = self._members, []
        await asyncio.gather(*map(self._dismiss, members))

    def _begin(self) -> None:
        """Starts the replica at the first request, since Ray restarts an actor on its own."""
        if self._keeping is None:
            for slot in range(self._order.least):
                self._add(slot)
            self._keeping = asyncio.create_task(self._keep())
        elif self._keeping.done() and not self._keeping.cancelled():
            self._keeping.result()  # raises an unexpected error

    def _urls(self) -> tuple[str, ...]:
        staying = (member.status.url for member in self._members if member.leaves_at is None)
        return tuple(url for url in staying if url)

    def _add(self, slot: int) -> None:
        actor = ray.remote(num_cpus=0, num_gpus=self._order.gpus, max_restarts=-1)(OwnerOfOneServer)
        member = _Member(slot, actor.remote(self._order, slot))
        member.watching = asyncio.create_task(_watch(member))
        self._members.append(member)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(_TURN_S)
            now = time.monotonic()
            self._gauges.show(self._order.plan.model, [member.status for member in self._members])
            staying = [member for member in self._members if member.leaves_at is None]
            loads = [member.status.load for member in staying if member.status.url]
            wanted = self._scaler.wanted(len(staying), loads, now)
            if wanted > len(staying) and self._room_for_another():
                self._add(min(set(range(self._order.most)) - {member.slot for member in self._members}))
            elif wanted < len(staying):
                staying[-1].leaves_at = now + _RETIRE_S
            for member in [member for member in self._members if _may_leave(member, now)]:
                self._members.remove(member)
                await self._dismiss(member)

    def _room_for_another(self) -> bool:
        taken = len(self._members) >= self._order.most  # one that leaves still has its place
        return not taken and _free_gpus() >= self._order.gpus

    async def _dismiss(self, member: _Member) -> None:
        if member.watching:
            member.watching.cancel()
        if member.status.starts:  # else it may wait for its GPUs, and would not hear us before
            with suppress(RayError, TimeoutError):  # then it is dead, and its server with it
                await asyncio.wait_for(member.handle.stop.remote(), _STOP_S)
        ray.kill(member.handle)


def _free_gpus() -> float:
    resources: Mapping[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]
    return resources.get("GPU", 0.0)


def _may_leave(member: _Member, now: float) -> bool:
    if member.leaves_at is None:
        return False
    return now >= member.leaves_at or (member.status.url is None or not member.status.load.in_flight)


async def _watch(member: _Member) -> None:
    while True:
        try:
            member.status = await member.handle.status.remote()
        except RayActorError as error:  # it restarts, but for one that fails to be made
            trouble = str(error) if error.actor_init_failed else member.status.trouble
            member.status = replace(member.status, url=None, trouble=trouble)
        except RayError as error:
            cause = error.cause if isinstance(error, RayTaskError) else error
            member.status = replace(member.status, url=None, trouble=str(cause))
        await asyncio.sleep(_TURN_S)


# In the driver


class VllmFleet:
    """The servers that a run has started.  Ray is connected before and disconnected after."""

    def __init__(self, settings: FleetSettings = FleetSettings()) -> None:
        self._settings = settings
        self._actors: dict[str, Any] = {}
        self._orders: dict[str, FleetOrder] = {}
        self._builds: dict[ServerPlan, EngineBuild] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self, models: Iterable[ModelSpec]) -> None:
        """Starts the servers of all *models* at the same time, and waits until the least replicas of each are ready.

        Raises:
            ConfigError: an interpreter without vLLM, too few GPUs, or a server that does not start, with what it said.
        """
        specs = {fleet_name(spec): spec for spec in models}
        orders = await self._place({name: spec for name, spec in specs.items() if name not in self._orders})
        self._orders |= orders
        try:
            for name, order in orders.items():
                actor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(ModelServers)
                self._actors[name] = actor.options(name=name).remote(order)
            troubles = await asyncio.gather(*(self._actors[name].wait_ready.remote() for name in orders))
            for order, trouble in zip(orders.values(), troubles, strict=True):
                if trouble:
                    raise ConfigError(f"vllm:{order.plan.model} does not start: {trouble}")
        except BaseException:
            await self._end(orders)
            raise

    async def stop(self, models: Iterable[ModelSpec] | None = None) -> None:
        """Ends the servers of *models*, else all.  Their GPUs are free when this returns."""
        await self._end(list(self._orders) if models is None else map(fleet_name, models))

    async def waves(self, models: Iterable[ModelSpec]) -> list[list[ModelSpec]]:
        """The turns in which *models* are served on the GPUs that are left; those that are served already have none.

        Raises:
            ConfigError: a model alone needs more than there are, or has no vLLM to be served by.
        """
        alike: dict[str, list[ModelSpec]] = {}
        for spec in models:
            if fleet_name(spec) not in self._orders:
                alike.setdefault(fleet_name(spec), []).append(spec)
        first = [specs[0] for specs in alike.values()]
        builds = dict(zip(alike, await self.builds(first), strict=True))
        held = sum(order.gpus * order.least for order in self._orders.values())
        total = sum(node.gpus for node in node_rooms())
        on_gpus = pack((spec for spec in first if not builds[fleet_name(spec)].cpu), total - held)
        waves = [[fleet_name(spec) for spec in wave.models] for wave in on_gpus]
        if on_cpus := [name for name, build in builds.items() if build.cpu]:
            waves = [[*on_cpus, *(waves[0] if waves else ())], *waves[1:]]
        return [[spec for name in wave for spec in alike[name]] for wave in waves]

    async def builds(self, models: Iterable[ModelSpec]) -> list[EngineBuild]:
        """The vLLM that each of the models is served by."""
        nodes = node_rooms()
        plans = [_plan(spec) for spec in models]
        unknown = list(dict.fromkeys(plan for plan in plans if plan not in self._builds))
        found = await asyncio.gather(*(_find_engine(plan, nodes) for plan in unknown))
        self._builds |= zip(unknown, found, strict=True)
        return [self._builds[plan] for plan in plans]

    async def describe(self, models: Iterable[ModelSpec]) -> dict[str, dict[str, Any]]:
        """What serves each model, for the manifest: vLLM's version and build, all arguments and the GPUs a replica."""
        specs = list(models)
        return {
            spec.name: {
                "vllm": build.version,
                "build": "cpu" if build.cpu else "gpu",
                "gpus_per_replica": 0 if build.cpu else gpus_a_replica(_engine(spec)),
                "arguments": serving_arguments(_plan(spec)),
            }
            for spec, build in zip(specs, await self.builds(specs), strict=True)
        }

    async def _place(self, specs: Mapping[str, ModelSpec]) -> dict[str, FleetOrder]:
        nodes, slots, orders = node_rooms(), 0, {}
        for (name, spec), build in zip(specs.items(), await self.builds(specs.values()), strict=True):
            least, most = _engine(spec).replicas
            orders[name] = FleetOrder(
                plan=_plan(spec),
                build=build,
                least=least,
                most=most,
                gpus=0 if build.cpu else gpus_a_replica(_engine(spec)),
                settings=self._settings,
                many_nodes=len(nodes) > 1,
                first_slot=slots,
            )
            slots += most
        orders = {name: replace(order, slots=slots) for name, order in orders.items()}
        check_room([*self._orders.values(), *orders.values()], nodes)
        return orders

    async def _end(self, names: Iterable[str]) -> None:
        ending = []
        for name in set(names) & self._orders.keys():
            del self._orders[name]
            ending.append(self._actors.pop(name, None))
        await asyncio.gather(*(_stop(actor) for actor in ending if actor is not None))


def _plan(spec: ModelSpec) -> ServerPlan:
    engine = _engine(spec)
    engine_arguments(engine.args)  # complains now, not on a machine of the cluster
    return ServerPlan(_interpreter(engine), spec.model, engine.args, engine.tensor_parallel)


def _interpreter(engine: EngineSpec) -> str | None:
    """A relative path is the driver's; a bare name is looked up where the server starts."""
    python = engine.python
    return str(Path(python).absolute()) if python and os.sep in python else python


def node_rooms() -> list[NodeRoom]:
    """The machines of the cluster that live."""
    alive = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    return [NodeRoom(node["NodeID"], int(node["Resources"].get("GPU", 0))) for node in alive]


async def _find_engine(plan: ServerPlan, nodes: Sequence[NodeRoom]) -> EngineBuild:
    """Asks on a machine that would serve: one with the most GPUs."""
    there = NodeAffinitySchedulingStrategy(max(nodes, key=lambda node: node.gpus).node_id, soft=False)
    task = ray.remote(num_cpus=0)(find_engine).options(scheduling_strategy=there)
    try:
        build: EngineBuild = await task.remote(plan)
    except RayTaskError as error:
        raise (error.cause if isinstance(error.cause, MusesError) else error) from None
    return build


async def _stop(actor: Any) -> None:  # noqa: ANN401 - Ray's handles have no type
    with suppress(RayError):  # then it is dead, and all of its servers with it
        await actor.stop.remote()
    ray.kill(actor)


# In the workers


class FleetAddresses:
    """Where the servers of a model answer now, as a worker of the run sees it; asked at most once a second."""

    def __init__(self, spec: ModelSpec) -> None:
        if not ray.is_initialized():
            raise ConfigError(
                f"model {spec.name!r}: vllm:{spec.model} is served on Ray; write execution: {{executor: ray}}"
            )
        self._spec = spec
        self._known: tuple[str, ...] = ()
        self._known_until = 0.0
        self._given_up = False
        """Somebody has waited in vain, and no server has been seen since."""
        self._asking = asyncio.Lock()

    async def resolve(self) -> Sequence[str]:
        """Waits while no server is up.

        Raises:
            ModelFailure: there has been no server for ten minutes, or the fleet no longer serves this model.
        """
        async with self._asking:  # one question for all who wait
            if time.monotonic() >= self._known_until:
                self._known = await self._ask()
                self._known_until = time.monotonic() + _FRESH_S
        if not self._known:
            raise ModelFailure(
                "server", f"{self._spec.name}: for more than {RESOLVE_WAIT_S:.0f} s none of its servers has been up"
            )
        return self._known

    async def _ask(self) -> tuple[str, ...]:
        try:
            actor: Any = ray.get_actor(fleet_name(self._spec))
            urls: tuple[str, ...] = await actor.addresses.remote(0.0 if self._given_up else RESOLVE_WAIT_S)
        except (ValueError, RayError):
            raise ModelFailure("server", f"{self._spec.name}: nobody keeps its servers any more") from None
        self._given_up = not urls
        return urls
