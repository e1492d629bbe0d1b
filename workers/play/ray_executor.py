"""The executor on a Ray cluster: a pool of actors, each with an event loop that plays shards.

One Python event loop saturates about one core, so several are used.  Free actors get shards of all models of all runs
in turn, and return summaries.  Ray restarts a dead actor, and its shards are played again: a shard is written once
under its name, however often it is played.
"""

import asyncio
import logging
import secrets
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import ray
from muses_eval.pipeline.agents.agent_spec import AgentSpec
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.errors import ConfigError, MusesError
from muses_eval.workers.coordinator.ray_actor import RayCoordinator, connect_coordinator
from muses_eval.workers.limits import LimitsSnapshot
from muses_eval.workers.play.executor import OnStart, ignore_start
from muses_eval.workers.play.fair_queue import FairQueue
from muses_eval.workers.play.shard_spec import ShardSpec
from muses_eval.workers.play.shard_summary import ShardSummary
from muses_eval.workers.play.shard_worker import ShardWorker
from muses_eval.workers.providers.model import Unavailable
from ray.exceptions import RayError, RayTaskError, RuntimeEnvSetupError
from ray.runtime_env import RuntimeEnv

DRAIN_TIMEOUT_S = 20.0
REACH_TIMEOUT_S = 5.0
_START_ONE = "start one with `ray start --head` (its address is host:6379), or leave the address out to use a local one"
SHARD_TRIES = 5
"""Number of times that work is given to an actor before its loss is an error."""
_CACHES = ["**/__pycache__"]
_NOT_SHIPPED = ["/flows", "/dashboards", *_CACHES]
"""Sub-packages that no worker imports, in the syntax of .gitignore."""


@dataclass(frozen=True, slots=True)
class RaySettings:
    """The cluster to connect to, or to start."""

    address: str | None = None
    """Address of a cluster; None to start a local one, which ends with the executor."""
    workers: int | None = None
    """Number of actors; None for one per CPU of the cluster."""
    shards_per_worker: int = 4
    temp_dir: Path | None = None
    """Folder for the logs of a local cluster, short enough for a socket path; None for Ray's default."""
    code: Path | None = None
    """Folder of the package ``muses_eval``, sent to a remote cluster; None when the code is installed there."""
    runtime_env: Mapping[str, Any] = field(default_factory=dict)
    """Ray's runtime environment for the workers, as in the configuration."""
    weight: int = 1
    """Weight of this run against other runs that use the same accounts."""
    start_timeout_s: float = 120.0
    """Seconds for a cluster to start the workers; a cluster with autoscaling may have to add machines first."""


class RayExecutor:
    """Plays shards on a Ray cluster."""

    def __init__(self, settings: RaySettings) -> None:
        self._settings = settings
        self._actors: list[Any] = []
        self._queue: FairQueue[Any] = FairQueue()
        self._returning: set[asyncio.Task[None]] = set()
        self._run = secrets.token_hex(8)
        self._coordinator: RayCoordinator | None = None
        self._dashboard_url: str | None = None

    async def __aenter__(self) -> Self:
        self._dashboard_url = _connect(self._settings)
        try:
            count = self._settings.workers or max(1, int(_cpus(ray.cluster_resources)))
            if self._settings.address is None and count > _cpus(ray.cluster_resources):
                raise _too_many(count)  # without waiting: a local cluster does not grow
            coordinator = self._coordinator = connect_coordinator()
            actor = ray.remote(num_cpus=1, max_restarts=-1)(ShardWorker)
            slots = self._settings.shards_per_worker
            self._actors = [
                actor.options(max_concurrency=slots + 2).remote(None, coordinator, self._run, self._settings.weight)
                for _ in range(count)
            ]
            await self._wait_for_actors(count)
        except BaseException:
            ray.shutdown()
            raise
        for _ in range(slots):
            for handle in self._actors:
                self._queue.add(handle)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._returning:
            task.cancel()
        try:
            drained = asyncio.gather(*(_end(actor) for actor in self._actors), return_exceptions=True)
            await asyncio.wait_for(drained, DRAIN_TIMEOUT_S)
        except TimeoutError:
            pass  # episodes that are not written now are played again by the next start
        finally:
            for actor in self._actors:
                ray.kill(actor)
            ray.shutdown()

    async def run(self, spec: ShardSpec, on_start: OnStart = ignore_start) -> ShardSummary:
        group = f"{spec.run_id}/{spec.slug}"
        for tries_left in reversed(range(SHARD_TRIES)):
            actor = await self._queue.acquire(group)
            give_back: Callable[[Any], None] = self._queue.add
            on_start()
            call = actor.run.remote(spec)
            try:
                summary: ShardSummary = await call
            except asyncio.CancelledError:
                # As in this process: afterwards the finished episodes are stored, and no more are played.  A shard
                # that has not started never does.  Calls of other shards of the same worker are not cancelled.
                ray.cancel(call, recursive=False)
                with suppress(RayError, TimeoutError):
                    await asyncio.wait_for(actor.stop.remote(str(spec.key)), DRAIN_TIMEOUT_S)
                raise
            except RayTaskError as error:
                raise _own(error) from None
            except RuntimeEnvSetupError as error:
                give_back = self._give_back_once_ready
                raise _not_started(error) from None
            except RayError as error:  # the actor died, was killed for its memory, or cannot be reached
                give_back = self._give_back_once_ready
                if not tries_left:
                    raise _died(f"shard {spec.key}", error) from None
            else:
                return summary
            finally:
                self._queue.release(group)
                give_back(actor)
        raise AssertionError("unreachable: the last try returns or raises")

    async def probe(self, spec: ModelSpec | AgentSpec) -> Unavailable | None:
        actor = self._actors[0]
        for tries_left in reversed(range(SHARD_TRIES)):
            try:
                found: Unavailable | None = await actor.probe.remote(spec)
            except RayTaskError as error:
                raise _own(error) from None
            except RayError as error:
                if not tries_left:
                    raise _died(f"the probe of {spec.name!r}", error) from None
                await self._wait_until_ready(actor)
            else:
                return found
        raise AssertionError("unreachable: the last try returns or raises")

    async def snapshot(self) -> LimitsSnapshot:
        return LimitsSnapshot() if self._coordinator is None else await self._coordinator.snapshot(self._run)

    @property
    def dashboard_url(self) -> str | None:
        return self._dashboard_url

    async def _wait_for_actors(self, count: int) -> None:
        ready = asyncio.gather(*(actor.__ray_ready__.remote() for actor in self._actors))
        try:
            await asyncio.wait_for(ready, self._settings.start_timeout_s)
        except TimeoutError:
            raise _too_many(count, self._settings.start_timeout_s) from None
        except RayError as error:
            raise _not_started(error) from None

    def _give_back_once_ready(self, actor: Any) -> None:  # noqa: ANN401 - Ray's handles have no type
        async def give_back() -> None:
            await self._wait_until_ready(actor)
            self._queue.add(actor)

        task = asyncio.create_task(give_back())
        self._returning.add(task)
        task.add_done_callback(self._returning.discard)

    async def _wait_until_ready(self, actor: Any) -> None:  # noqa: ANN401 - as above
        """Waits until an actor has restarted: until then every call fails at once and uses up a try."""
        ready = actor.__ray_ready__.options(max_task_retries=-1).remote()
        with suppress(TimeoutError, RayError):  # the next try raises the error
            await asyncio.wait_for(ready, self._settings.start_timeout_s)


async def _end(actor: Any) -> None:  # noqa: ANN401 - as above
    await actor.drain.remote()
    await actor.close.remote()


def _died(work: str, error: RayError) -> MusesError:
    return MusesError(
        f"{work}: its worker died {SHARD_TRIES} times, the last time with: {_first_line(error)}; "
        "look for out-of-memory errors in Ray's logs, then start the run again"
    )


def _not_started(error: RayError) -> ConfigError:
    return ConfigError(
        f"the Ray workers cannot start: {_first_line(error)}; every machine of the cluster needs this Python and the "
        "packages of the project, and must be able to set up execution.runtime_env, if there is one"
    )


def _too_many(count: int, waited_s: float | None = None) -> ConfigError:
    waited = "cannot start" if waited_s is None else f"did not start within {waited_s:g} s"
    return ConfigError(
        f"{count} Ray workers of one CPU each {waited}; the cluster has {_cpus(ray.cluster_resources):g} CPUs, "
        f"{_cpus(ray.available_resources):g} of them free: request fewer"
    )


def cluster_cpus(settings: RaySettings) -> float:
    """Connects to the cluster, counts its CPUs and disconnects.  Raises ConfigError when there is no cluster."""
    _connect(settings)
    try:
        return _cpus(ray.cluster_resources)
    finally:
        ray.shutdown()


def _cpus(resources: Callable[[], dict[str, float]]) -> float:
    return resources().get("CPU", 0.0)


def _connect(settings: RaySettings) -> str | None:
    """Connects to the cluster; returns the URL of its dashboard, if it has one."""
    runtime_env = _runtime_env(settings)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": True}
    if settings.address is None:
        temp_dir: dict[str, Any] = {"_temp_dir": str(settings.temp_dir)} if settings.temp_dir else {}
        # "local": otherwise Ray would join any cluster that it finds on this machine or in RAY_ADDRESS.
        try:
            ray.init("local", include_dashboard=False, runtime_env=runtime_env, **quiet, **temp_dir)
        except Exception as error:  # Ray raises plain exceptions here, such as when a node is slow to start
            logs = f" in {settings.temp_dir}" if settings.temp_dir else ""
            raise MusesError(
                f"a local Ray does not start: {_first_line(error)}; see its logs{logs}, "
                "start again when the machine is less busy and its disk has space, or play inline (--executor inline)"
            ) from error
        return None
    _check_reachable(settings.address)
    try:
        dashboard = ray.init(address=settings.address, runtime_env=runtime_env, **quiet).dashboard_url
    except (ConnectionError, TimeoutError, ValueError, RuntimeError, RayError) as error:
        raise ConfigError(
            f"no Ray cluster at {settings.address}: {_first_line(error)}; {_START_ONE}. "
            "Where it runs and wants a token, set RAY_AUTH_MODE=token, or, on its own machine, write the address `auto`"
        ) from None
    return f"http://{dashboard}" if dashboard else None


def _runtime_env(settings: RaySettings) -> dict[str, Any] | None:
    """Returns the runtime environment of the workers, with the code of this package when it is sent to them."""
    env = dict(settings.runtime_env)
    if settings.code is not None:
        # Ray excludes the same names from every folder that it sends.
        excluded = _CACHES if {"py_modules", "working_dir"} & env.keys() else _NOT_SHIPPED
        env["py_modules"] = [str(settings.code), *env.get("py_modules", ())]
        env["excludes"] = [*excluded, *env.get("excludes", ())]
    try:
        RuntimeEnv(**env)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"execution.runtime_env: {_first_line(error)}") from error
    return env or None


def _check_reachable(address: str) -> None:
    """Raises ConfigError when no cluster responds: Ray would retry for minutes and then end the process."""
    host, separator, port = address.rpartition("//")[2].rpartition(":")
    if not separator or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACH_TIMEOUT_S).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(f"no Ray cluster at {address}: {error}; {_START_ONE}") from None


def _own(error: RayTaskError) -> Exception:
    """Returns the worker's own exception, without Ray's wrapper, when it is a MusesError."""
    cause = error.cause
    return cause if isinstance(cause, MusesError) else error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
