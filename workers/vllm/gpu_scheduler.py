"""Schedules models on GPUs in turns: an executor around another executor.

The models that this project serves are grouped into waves (``pipeline.plan.gpu_waves``).  When all shards of a wave are
played, its GPUs are freed, the waiting models are packed again, and their first wave is deployed.  A shard waits for
the servers of its model; shards of models with other providers never wait.  While no other model needs the GPUs,
servers stay up, so that the next run with the same models finds them.

A model whose servers do not start is left out: its shards come back unplayed, with the reason; the others continue.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from muses_eval.pipeline.async_utils import all_of
from muses_eval.pipeline.config.model import ModelSpec
from muses_eval.pipeline.errors import MusesError
from muses_eval.pipeline.plan.gpu_waves import Servers, servers_of
from muses_eval.workers.limits import Snapshot
from muses_eval.workers.play.executor import Executor, OnBegun, untold
from muses_eval.workers.play.shard import ShardSpec, ShardSummary
from muses_eval.workers.providers.model import Unavailable


class Fleet(Protocol):
    """Starts and ends servers, as ``vllm_fleet.VllmFleet`` does."""

    async def start(self, models: Iterable[ModelSpec]) -> None: ...

    async def stop(self, models: Iterable[ModelSpec]) -> None: ...

    async def waves(self, models: Iterable[ModelSpec]) -> list[list[ModelSpec]]: ...

    async def describe(self, models: Iterable[ModelSpec]) -> dict[str, dict[str, Any]]: ...


@dataclass(slots=True)
class _Owed:
    """What a run has yet to play on some servers."""

    model: ModelSpec
    expected: int
    """Shards that will be handed in."""
    in_hand: int = 0
    """Shards that wait or are played."""

    @property
    def shards(self) -> int:
        return self.expected + self.in_hand


class StagedExecutor:
    """Plays shards while their models are up.  Several runs may share it, and with it the servers.

    Args:
        inner: plays them; entered and left by the caller.
        fleet: serves the models; entered and left by the caller.
    """

    def __init__(self, inner: Executor, fleet: Fleet) -> None:
        self._inner, self._fleet = inner, fleet
        self._owed: dict[tuple[str, Servers], _Owed] = {}
        """By run and servers."""
        self._up: dict[Servers, ModelSpec] = {}
        """The wave that is deployed."""
        self._kept: set[Servers] = set()
        """Those that stay up until the end."""
        self._troubles: dict[Servers, Unavailable] = {}
        self._known: dict[str, dict[str, Any]] = {}
        """What serves each model."""
        self._asking, self._starting = asyncio.Lock(), asyncio.Lock()
        self._changing: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        """Set, and replaced by a new one, when servers have come up or have failed to."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._changing is not None:
            self._changing.cancel()
            await asyncio.gather(self._changing, return_exceptions=True)

    async def keep(self, models: Sequence[ModelSpec]) -> None:
        """Starts servers that stay up until the end, beside all waves.  Raises ConfigError."""
        new = [model for model in models if servers_of(model) not in self._kept]
        if not new:
            return  # at once, though a wave may be on its way
        async with self._starting:
            await self._fleet.start(new)
            self._kept.update(map(servers_of, new))

    async def admit(self, models: Iterable[ModelSpec]) -> dict[str, dict[str, Any]]:
        """What serves each model, by its name.  Who can never be served is left out from now on."""
        async with self._asking:
            chosen = {model.name: model for model in models}
            new = (model for name, model in chosen.items() if name not in self._known)
            await all_of(self._ask_about(model) for model in new if servers_of(model) not in self._troubles)
            return {name: self._known[name] for name in chosen if name in self._known}

    @contextmanager
    def expecting(self, run_id: str, shards: Mapping[ModelSpec, int]) -> Iterator[None]:
        """While a run is played that owes so many shards of its models."""
        for model, count in shards.items():
            self._debt(run_id, model).expected += count
        self._take_turns()
        try:
            yield
        finally:
            for key in [key for key in self._owed if key[0] == run_id]:
                del self._owed[key]
            self._take_turns()

    async def run(self, spec: ShardSpec, begun: OnBegun = untold) -> ShardSummary:
        servers = servers_of(spec.model)
        if spec.model.provider != "vllm" or servers in self._kept:
            return await self._inner.run(spec, begun)
        debt = self._debt(spec.run_id, spec.model)
        debt.expected, debt.in_hand = max(debt.expected - 1, 0), debt.in_hand + 1
        try:
            trouble = await self._trouble_or_up(servers)
            return await self._inner.run(spec, begun) if trouble is None else _unplayed(spec, trouble)
        finally:
            debt.in_hand -= 1
            self._take_turns()

    async def probe(self, spec: ModelSpec) -> Unavailable | None:
        """A model that waits for its turn cannot be asked yet."""
        if spec.provider == "vllm" and servers_of(spec) not in self._kept:
            return self._troubles.get(servers_of(spec))
        return await self._inner.probe(spec)

    async def snapshot(self) -> Snapshot:
        return await self._inner.snapshot()

    @property
    def page(self) -> str | None:
        return self._inner.page

    @property
    def _is_changing(self) -> bool:
        return self._changing is not None and not self._changing.done()

    def _debt(self, run_id: str, model: ModelSpec) -> _Owed:
        return self._owed.setdefault((run_id, servers_of(model)), _Owed(model, 0))

    async def _ask_about(self, model: ModelSpec) -> None:
        try:
            self._known |= await self._fleet.describe([model])
            if not self._up and not self._is_changing:  # else its GPUs may be taken for now
                await self._fleet.waves([model])
        except MusesError as error:
            self._leave_out(model, error)

    async def _trouble_or_up(self, servers: Servers) -> Unavailable | None:
        """Waits for the servers; what is wrong where they do not come."""
        while servers not in self._up and servers not in self._troubles:
            news = self._news
            self._take_turns()
            await news.wait()
        return self._troubles.get(servers)

    def _take_turns(self) -> None:
        """Starts the next wave when shards wait for it and none plays on the present one."""
        if self._is_changing:
            return
        owed = {servers: debt.model for (_, servers), debt in self._owed.items() if debt.shards}
        settled = {*self._up, *self._kept, *self._troubles}
        waiting = [model for servers, model in owed.items() if servers not in settled]
        if waiting and not owed.keys() & self._up.keys():
            leaving, self._up = list(self._up.values()), {}  # at once: no shard may start on servers that stop
            self._changing = asyncio.create_task(self._change(leaving, waiting))
            self._changing.add_done_callback(self._changed)

    async def _change(self, leaving: Sequence[ModelSpec], waiting: Sequence[ModelSpec]) -> None:
        try:
            async with self._starting:
                await self._fleet.stop(leaving)
                await self._deploy(await self._next_wave(waiting))
        except Exception as error:  # noqa: BLE001 - whatever it is, who waits has to hear of it
            for model in waiting:
                self._leave_out(model, error)

    def _changed(self, change: "asyncio.Task[None]") -> None:
        self._news.set()
        self._news = asyncio.Event()
        if not change.cancelled():
            change.result()  # a signal of Prefect's may have ended it
            self._take_turns()

    async def _next_wave(self, waiting: Sequence[ModelSpec]) -> Sequence[ModelSpec]:
        """The first wave of those who wait.  One who fits into none stands alone, and hears so when it is deployed."""
        try:
            return (await self._fleet.waves(waiting))[0]
        except MusesError:
            return waiting[:1]

    async def _deploy(self, wave: Sequence[ModelSpec]) -> None:
        """Starts all together, or one after the other when that fails, so that each model that can start does."""
        try:
            await self._fleet.start(wave)
        except Exception as error:  # noqa: BLE001 - as above
            if len(wave) == 1:
                self._leave_out(wave[0], error)
                return
            for model in wave:
                await self._deploy([model])
        else:
            self._up.update((servers_of(model), model) for model in wave)

    def _leave_out(self, model: ModelSpec, error: Exception) -> None:
        self._troubles[servers_of(model)] = Unavailable(str(error) or type(error).__name__, True, "server")


def _unplayed(spec: ShardSpec, trouble: Unavailable) -> ShardSummary:
    """Nothing is stored: what was not played is owed."""
    return ShardSummary(str(spec.key), {}, {("server", str(trouble)): len(spec.episodes)}, 0.0)
