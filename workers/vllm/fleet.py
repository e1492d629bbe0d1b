"""The vLLM servers of all models of a run, as the driver starts and stops them on a Ray cluster.

Each model has one actor with a name (:class:`ReplicaSet`), which workers look up
(``muses_eval.workers.vllm.server_discovery``), and one actor for each of its replicas.  All of them end with the
driver, even if it is killed, and so do the servers.  Models that differ only in their sampling share their servers.
"""

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import ray
from muses_eval.pipeline.config.engine import EngineSpec
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.errors import ConfigError, MusesError
from muses_eval.pipeline.plan.gpu_waves import gpus_per_replica, pack_waves
from muses_eval.workers.vllm.engine_build import EngineBuild, find_engine
from muses_eval.workers.vllm.gpu_capacity import Node, check_capacity, cluster_nodes
from muses_eval.workers.vllm.replica_set import ReplicaSet
from muses_eval.workers.vllm.replica_set_spec import FleetSettings, ReplicaSetSpec, engine_of, replica_set_name
from muses_eval.workers.vllm.server_command import ServerSpec, engine_arguments, serving_arguments
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


class VllmFleet:
    """Starts and stops the vLLM servers of a run.  Ray must stay connected while the fleet is in use."""

    def __init__(self, settings: FleetSettings | None = None) -> None:
        self._settings = settings or FleetSettings()
        self._actors: dict[str, Any] = {}
        self._replica_sets: dict[str, ReplicaSetSpec] = {}
        self._builds: dict[ServerSpec, EngineBuild] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self, models: Iterable[ModelSpec]) -> None:
        """Starts the servers of all *models* at the same time, and waits until the least replicas of each are ready.

        Raises:
            ConfigError: the interpreter has no vLLM, there are too few GPUs, or a server does not start; the message
                has the end of its log.
        """
        by_name = {replica_set_name(model): model for model in models}
        new = await self._plan({name: model for name, model in by_name.items() if name not in self._replica_sets})
        self._replica_sets |= new
        try:
            for name, spec in new.items():
                actor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(ReplicaSet)
                self._actors[name] = actor.options(name=name).remote(spec)
            failures = await asyncio.gather(*(self._actors[name].wait_ready.remote() for name in new))
            for spec, failure in zip(new.values(), failures, strict=True):
                if failure:
                    raise ConfigError(f"vllm:{spec.server.model} does not start: {failure}")
        except BaseException:
            await self._end(new)
            raise

    async def stop(self, models: Iterable[ModelSpec] | None = None) -> None:
        """Ends the servers of *models*, by default of all.  Their GPUs are free when this returns."""
        await self._end(list(self._replica_sets) if models is None else map(replica_set_name, models))

    async def waves(self, models: Iterable[ModelSpec]) -> list[list[ModelSpec]]:
        """Returns the waves in which *models* are served on the free GPUs; models that are served already are left out.

        Raises:
            ConfigError: a model alone needs more GPUs than there are, or its interpreter has no vLLM.
        """
        by_name: dict[str, list[ModelSpec]] = {}
        for model in models:
            if replica_set_name(model) not in self._replica_sets:
                by_name.setdefault(replica_set_name(model), []).append(model)
        first = [same[0] for same in by_name.values()]
        builds = dict(zip(by_name, await self.builds(first), strict=True))
        held = sum(spec.gpus_per_replica * spec.min_replicas for spec in self._replica_sets.values())
        total = sum(node.gpus for node in cluster_nodes())
        on_gpus = pack_waves((model for model in first if not builds[replica_set_name(model)].cpu), total - held)
        waves = [[replica_set_name(model) for model in wave.models] for wave in on_gpus]
        if on_cpus := [name for name, build in builds.items() if build.cpu]:
            waves = [[*on_cpus, *(waves[0] if waves else ())], *waves[1:]]
        return [[model for name in wave for model in by_name[name]] for wave in waves]

    async def builds(self, models: Iterable[ModelSpec]) -> list[EngineBuild]:
        """Returns the vLLM of each model's interpreter."""
        nodes = cluster_nodes()
        servers = [_server(model) for model in models]
        unknown = list(dict.fromkeys(server for server in servers if server not in self._builds))
        found = await asyncio.gather(*(_find_engine(server, nodes) for server in unknown))
        self._builds |= zip(unknown, found, strict=True)
        return [self._builds[server] for server in servers]

    async def describe(self, models: Iterable[ModelSpec]) -> dict[str, dict[str, Any]]:
        """Returns for each model, by its name, vLLM's version and build, all arguments and the GPUs of a replica.

        This is stored in the run's manifest.
        """
        specs = list(models)
        return {
            model.name: {
                "vllm": build.version,
                "build": "cpu" if build.cpu else "gpu",
                "gpus_per_replica": 0 if build.cpu else gpus_per_replica(engine_of(model)),
                "arguments": serving_arguments(_server(model)),
            }
            for model, build in zip(specs, await self.builds(specs), strict=True)
        }

    async def _plan(self, models: Mapping[str, ModelSpec]) -> dict[str, ReplicaSetSpec]:
        """Returns the replica sets of new models.  Raises ConfigError when they do not fit beside the others."""
        nodes, shares, planned = cluster_nodes(), 0, {}
        for (name, model), build in zip(models.items(), await self.builds(models.values()), strict=True):
            least, most = engine_of(model).replicas
            planned[name] = ReplicaSetSpec(
                server=_server(model),
                build=build,
                min_replicas=least,
                max_replicas=most,
                gpus_per_replica=0 if build.cpu else gpus_per_replica(engine_of(model)),
                settings=self._settings,
                many_nodes=len(nodes) > 1,
                first_core_share=shares,
            )
            shares += most
        planned = {name: replace(spec, core_shares=shares) for name, spec in planned.items()}
        check_capacity([*self._replica_sets.values(), *planned.values()], nodes)
        return planned

    async def _end(self, names: Iterable[str]) -> None:
        ending = []
        for name in set(names) & self._replica_sets.keys():
            del self._replica_sets[name]
            ending.append(self._actors.pop(name, None))
        await asyncio.gather(*(_stop(actor) for actor in ending if actor is not None))


def _server(model: ModelSpec) -> ServerSpec:
    engine = engine_of(model)
    engine_arguments(engine.args)  # raises here, in the driver
    return ServerSpec(_interpreter(engine), model.model, engine.args, engine.tensor_parallel)


def _interpreter(engine: EngineSpec) -> str | None:
    """Resolves a relative path in the driver; a bare name is looked up where the server starts."""
    python = engine.python
    return str(Path(python).absolute()) if python and os.sep in python else python


async def _find_engine(server: ServerSpec, nodes: Sequence[Node]) -> EngineBuild:
    """Runs :func:`find_engine` on a machine that could run the server: one with the most GPUs."""
    there = NodeAffinitySchedulingStrategy(max(nodes, key=lambda node: node.gpus).node_id, soft=False)
    task = ray.remote(num_cpus=0)(find_engine).options(scheduling_strategy=there)
    try:
        build: EngineBuild = await task.remote(server)
    except RayTaskError as error:
        raise (error.cause if isinstance(error.cause, MusesError) else error) from None
    return build


async def _stop(actor: Any) -> None:  # noqa: ANN401 - Ray's handles have no type
    with suppress(RayError):  # the actor is dead, and so are all of its servers
        await actor.stop.remote()
    ray.kill(actor)
