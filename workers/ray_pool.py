"""The only importer of Ray: a pool of actors, each an event loop of its own that plays shards.

One Python event loop saturates near one core, so several are used.  Shards are handed out as actors free up; what
comes back are summaries.  A dead actor is restarted by Ray and its shards are played again: a shard is written once
under its name, however often it is played.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import ray
from ray.exceptions import ActorUnavailableError, RayActorError, RayTaskError

from pipeline.errors import ConfigError, MusesError
from pipeline.specs import ModelSpec
from workers.shard import ShardSpec, ShardSummary
from workers.worker import ShardWorker

START_TIMEOUT_S = 120.0
DRAIN_TIMEOUT_S = 20.0
SHARD_TRIES = 5
"""How often a shard is given to an actor before its loss is an error."""
_NOT_SHIPPED = [".venv", ".git", ".muses", "tests", "docs", "infra", "**/__pycache__"]


@dataclass(frozen=True, slots=True)
class RaySettings:
    """How to reach or start a cluster."""

    address: str | None = None
    """None: start a local one, which ends with the pool."""
    workers: int | None = None
    """None: one a CPU of the cluster."""
    shards_per_worker: int = 4
    temp_dir: Path | None = None
    """Where a local cluster keeps its logs; short enough for a socket path.  None: Ray's default."""
    code: Path | None = None
    """The folder that a remote cluster is sent as working directory; None: the code is installed there."""


class RayExecutor:
    """Plays shards on a Ray cluster."""

    def __init__(self, settings: RaySettings) -> None:
        self._settings = settings
        self._actors: list[Any] = []
        self._free: asyncio.Queue[Any] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        _connect(self._settings)
        try:
            count = self._settings.workers or max(1, int(_cpus(ray.cluster_resources)))
            actor = ray.remote(num_cpus=1, max_restarts=-1)(ShardWorker)
            room = self._settings.shards_per_worker
            self._actors = [actor.options(max_concurrency=room + 2).remote() for _ in range(count)]
            await self._wait_for_actors(count)
        except BaseException:
            ray.shutdown()
            raise
        for _ in range(room):
            for handle in self._actors:
                self._free.put_nowait(handle)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            drained = asyncio.gather(*(actor.drain.remote() for actor in self._actors), return_exceptions=True)
            await asyncio.wait_for(drained, DRAIN_TIMEOUT_S)
        except TimeoutError:
            pass  # what is not written now is played again by the next start
        finally:
            for actor in self._actors:
                ray.kill(actor)
            ray.shutdown()

    async def run(self, spec: ShardSpec) -> ShardSummary:
        for tries_left in reversed(range(SHARD_TRIES)):
            actor = await self._free.get()
            try:
                summary: ShardSummary = await actor.run.remote(spec)
            except RayTaskError as error:
                raise _own(error) from None
            except (RayActorError, ActorUnavailableError) as error:
                if not tries_left:
                    raise MusesError(
                        f"shard {spec.key}: its worker died {SHARD_TRIES} times, the last time with: {_first_line(error)}; "
                        "look for memory or driver trouble in Ray's logs, then start the run again"
                    ) from None
            else:
                return summary
            finally:
                self._free.put_nowait(actor)
        raise AssertionError("unreachable: the last try returns or raises")

    async def probe(self, spec: ModelSpec) -> str | None:
        found: str | None = await self._actors[0].probe.remote(spec)
        return found

    async def _wait_for_actors(self, count: int) -> None:
        ready = asyncio.gather(*(actor.__ray_ready__.remote() for actor in self._actors))
        try:
            await asyncio.wait_for(ready, START_TIMEOUT_S)
        except TimeoutError:
            raise ConfigError(
                f"{count} Ray workers of one CPU each did not start within {START_TIMEOUT_S:g} s; the cluster has "
                f"{_cpus(ray.cluster_resources):g} CPUs, {_cpus(ray.available_resources):g} of them free: ask for fewer"
            ) from None


def cluster_cpus(settings: RaySettings) -> float:
    """Connects, counts the cluster's CPUs, and leaves.  Raises ConfigError when there is no cluster."""
    _connect(settings)
    try:
        return _cpus(ray.cluster_resources)
    finally:
        ray.shutdown()


def _cpus(resources: Callable[[], dict[str, float]]) -> float:
    return resources().get("CPU", 0.0)


def _connect(settings: RaySettings) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": True}
    if settings.address is None:
        temp_dir: dict[str, Any] = {"_temp_dir": str(settings.temp_dir)} if settings.temp_dir else {}
        ray.init(include_dashboard=False, **quiet, **temp_dir)
        return
    shipped: dict[str, Any] = (
        {"runtime_env": {"working_dir": str(settings.code), "excludes": _NOT_SHIPPED}} if settings.code else {}
    )
    try:
        ray.init(address=settings.address, **quiet, **shipped)
    except (ConnectionError, TimeoutError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"no Ray cluster at {settings.address}: {_first_line(error)}; "
            "start one with `ray start --head`, or leave the address out to use a local one"
        ) from None


def _own(error: RayTaskError) -> Exception:
    """The worker's own exception, without Ray's wrapping, when it is one of ours."""
    cause = error.cause
    return cause if isinstance(cause, MusesError) else error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
