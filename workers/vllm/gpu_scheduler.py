"""Schedules models on GPUs in turns: an executor around another executor.

The models that this project serves are grouped into waves (``muses_eval.pipeline.plan.gpu_waves``).  When all shards of
a wave are played, its GPUs are freed, the waiting models are packed again, and their first wave is deployed.  A shard
waits for the servers of its model; shards of models with other providers never wait.  While no other model needs the
GPUs, servers stay up, so that the next run with the same models finds them.

A model whose servers do not start is left out: its shards come back unplayed, with the reason; the others continue.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from muses_eval.pipeline.agents.agent_spec import AgentSpec
from muses_eval.pipeline.async_utils import gather_all
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.errors import MusesError
from muses_eval.pipeline.plan.gpu_waves import ServerKey, server_key
from muses_eval.workers.limits import LimitsSnapshot
from muses_eval.workers.play.executor import Executor, OnStart, ignore_start
from muses_eval.workers.play.shard_spec import ShardSpec
from muses_eval.workers.play.shard_summary import ShardSummary
from muses_eval.workers.providers.model import Unavailable


class Fleet(Protocol):
    """Starts and stops servers; implemented by :class:`muses_eval.workers.vllm.fleet.VllmFleet`."""

    async def start(self, models: Iterable[ModelSpec]) -> None: ...

    async def stop(self, models: Iterable[ModelSpec]) -> None: ...

    async def waves(self, models: Iterable[ModelSpec]) -> list[list[ModelSpec]]: ...

    async def describe(self, models: Iterable[ModelSpec]) -> dict[str, dict[str, Any]]: ...


@dataclass(slots=True)
class _PendingShards:
    """The shards that a run still has to play on some servers."""

    model: ModelSpec
    expected: int
    """Number of shards that are not submitted yet."""
    submitted: int = 0
    """Number of shards that wait or are being played."""

    @property
    def count(self) -> int:
        return self.expected + self.submitted


class GpuScheduler:
    """Plays shards while their models are up.  Several runs may share it, and with it the servers.

    Args:
        inner: the executor that plays the shards; entered and left by the caller.
        fleet: the servers; entered and left by the caller.
    """

    def __init__(self, inner: Executor, fleet: Fleet) -> None:
        self._inner, self._fleet = inner, fleet
        self._pending: dict[tuple[str, ServerKey], _PendingShards] = {}
        """By run and servers."""
        self._wave: dict[ServerKey, ModelSpec] = {}
        """The wave that is deployed."""
        self._always_up: set[ServerKey] = set()
        """Servers that stay up until the end."""
        self._unavailable: dict[ServerKey, Unavailable] = {}
        self._descriptions: dict[str, dict[str, Any]] = {}
        """Description of the servers of each model, by its name."""
        self._admitting, self._deploying = asyncio.Lock(), asyncio.Lock()
        self._switching: asyncio.Task[None] | None = None
        """The switch from one wave to the next."""
        self._switched = asyncio.Event()
        """Set, and replaced by a new one, when the switch has ended, successfully or not."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._switching is not None:
            self._switching.cancel()
            await asyncio.gather(self._switching, return_exceptions=True)

    async def keep_running(self, models: Sequence[ModelSpec]) -> None:
        """Starts servers that stay up until the end, beside all waves.  Raises ConfigError."""
        new = [model for model in models if server_key(model) not in self._always_up]
        if not new:
            return  # without waiting for a wave that is being deployed
        async with self._deploying:
            await self._fleet.start(new)
            self._always_up.update(map(server_key, new))

    async def admit(self, models: Iterable[ModelSpec]) -> dict[str, dict[str, Any]]:
        """Returns a description of each model's servers, by the model's name.

        A model that can never be served is missing, and its shards are not played.
        """
        async with self._admitting:
            chosen = {model.name: model for model in models}
            new = (model for name, model in chosen.items() if name not in self._descriptions)
            await gather_all(self._admit(model) for model in new if server_key(model) not in self._unavailable)
            return {name: self._descriptions[name] for name in chosen if name in self._descriptions}

    @contextmanager
    def expecting(self, run_id: str, shards: Mapping[ModelSpec, int]) -> Iterator[None]:
        """Announces the number of shards that a run will submit for each model; they are forgotten at the end."""
        for model, count in shards.items():
            self._pending_of(run_id, model).expected += count
        self._switch_if_due()
        try:
            yield
        finally:
            for key in [key for key in self._pending if key[0] == run_id]:
                del self._pending[key]
            self._switch_if_due()

    async def run(self, spec: ShardSpec, on_start: OnStart = ignore_start) -> ShardSummary:
        servers = server_key(spec.model)
        if spec.model.provider != "vllm" or servers in self._always_up:
            return await self._inner.run(spec, on_start)
        pending = self._pending_of(spec.run_id, spec.model)
        pending.expected, pending.submitted = max(pending.expected - 1, 0), pending.submitted + 1
        try:
            unavailable = await self._wait_for(servers)
            return await self._inner.run(spec, on_start) if unavailable is None else _unplayed(spec, unavailable)
        finally:
            pending.submitted -= 1
            self._switch_if_due()

    async def probe(self, spec: ModelSpec | AgentSpec) -> Unavailable | None:
        """Returns why a model or a service cannot be called; a model that waits for its turn is not probed."""
        if isinstance(spec, ModelSpec) and spec.provider == "vllm" and server_key(spec) not in self._always_up:
            return self._unavailable.get(server_key(spec))
        return await self._inner.probe(spec)

    async def snapshot(self) -> LimitsSnapshot:
        return await self._inner.snapshot()

    @property
    def dashboard_url(self) -> str | None:
        return self._inner.dashboard_url

    @property
    def _is_switching(self) -> bool:
        return self._switching is not None and not self._switching.done()

    def _pending_of(self, run_id: str, model: ModelSpec) -> _PendingShards:
        return self._pending.setdefault((run_id, server_key(model)), _PendingShards(model, 0))

    async def _admit(self, model: ModelSpec) -> None:
        try:
            self._descriptions |= await self._fleet.describe([model])
            if not self._wave and not self._is_switching:  # otherwise its GPUs may be in use for now
                await self._fleet.waves([model])
        except MusesError as error:
            self._leave_out(model, error)

    async def _wait_for(self, servers: ServerKey) -> Unavailable | None:
        """Waits until the servers are up; returns the reason when they cannot be."""
        while servers not in self._wave and servers not in self._unavailable:
            switched = self._switched
            self._switch_if_due()
            await switched.wait()
        return self._unavailable.get(servers)

    def _switch_if_due(self) -> None:
        """Starts the next wave when shards wait for it and none is left for the present one."""
        if self._is_switching:
            return
        pending = {servers: shards.model for (_, servers), shards in self._pending.items() if shards.count}
        settled = {*self._wave, *self._always_up, *self._unavailable}
        waiting = [model for servers, model in pending.items() if servers not in settled]
        if waiting and not pending.keys() & self._wave.keys():
            leaving, self._wave = list(self._wave.values()), {}  # at once: no shard may start on servers that stop
            self._switching = asyncio.create_task(self._switch(leaving, waiting))
            self._switching.add_done_callback(self._on_switched)

    async def _switch(self, leaving: Sequence[ModelSpec], waiting: Sequence[ModelSpec]) -> None:
        try:
            async with self._deploying:
                await self._fleet.stop(leaving)
                await self._deploy(await self._next_wave(waiting))
        except Exception as error:  # noqa: BLE001 - every waiting shard reports it
            for model in waiting:
                self._leave_out(model, error)

    def _on_switched(self, switch: "asyncio.Task[None]") -> None:
        self._switched.set()
        self._switched = asyncio.Event()
        if not switch.cancelled():
            switch.result()  # raises a signal of Prefect's, which may have ended the switch
            self._switch_if_due()

    async def _next_wave(self, waiting: Sequence[ModelSpec]) -> Sequence[ModelSpec]:
        """Returns the first wave of the waiting models.

        When one of them fits into no wave, the first model is returned alone; deploying it raises the error.
        """
        try:
            return (await self._fleet.waves(waiting))[0]
        except MusesError:
            return waiting[:1]

    async def _deploy(self, wave: Sequence[ModelSpec]) -> None:
        """Starts all models together; when that fails, one after the other, so that each model that can start does."""
        try:
            await self._fleet.start(wave)
        except Exception as error:  # noqa: BLE001 - as above
            if len(wave) == 1:
                self._leave_out(wave[0], error)
                return
            for model in wave:
                await self._deploy([model])
        else:
            self._wave.update((server_key(model), model) for model in wave)

    def _leave_out(self, model: ModelSpec, error: Exception) -> None:
        self._unavailable[server_key(model)] = Unavailable(str(error) or type(error).__name__, True, "server")


def _unplayed(spec: ShardSpec, unavailable: Unavailable) -> ShardSummary:
    """Returns the summary of a shard that was not played; nothing is stored, so it stays pending."""
    return ShardSummary(str(spec.key), {}, {("server", str(unavailable)): len(spec.episodes)}, 0.0)
