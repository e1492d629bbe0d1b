"""Plays a run whose models take turns on the GPUs: an executor around another one.

The models that this project serves are grouped into waves (``pipeline.packing``).  The first wave is deployed before
anything is played; when all shards of a wave are done, its GPUs are freed and the next one is deployed.  A shard waits
for the wave of its model; shards of other models never wait.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from pipeline.specs import ModelSpec
from workers.executor import Executor
from workers.limits import Snapshot
from workers.models import Trouble
from workers.shard import ShardSpec, ShardSummary


class Fleet(Protocol):
    """Starts and ends servers, as ``vllm_fleet.VllmFleet`` does."""

    async def start(self, models: Iterable[ModelSpec]) -> None: ...

    async def stop(self, models: Iterable[ModelSpec]) -> None: ...


@dataclass(slots=True)
class _Turn:
    """A wave on its way."""

    models: Sequence[ModelSpec]
    shards_left: int
    up: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """Done when its servers are ready, or with what kept them from it."""


class StagedExecutor:
    """Plays shards while their models are up.

    Args:
        inner: plays them; entered and left by the caller.
        fleet: serves the models.
        waves: of models, one wave after the other.
        shards: how many shards of each model there will be.
    """

    def __init__(
        self, inner: Executor, fleet: Fleet, waves: Iterable[Sequence[ModelSpec]], shards: Mapping[ModelSpec, int]
    ) -> None:
        self._inner, self._fleet = inner, fleet
        self._waves, self._shards = [tuple(wave) for wave in waves], shards
        self._turns: list[_Turn] = []
        self._changing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._turns = [_Turn(wave, sum(self._shards.get(model, 0) for model in wave)) for wave in self._waves]
        if self._turns:
            await self._deploy(0)
            self._turns[0].up.result()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._changing is not None:
            self._changing.cancel()
            await asyncio.gather(self._changing, return_exceptions=True)

    async def run(self, spec: ShardSpec) -> ShardSummary:
        number = self._turn_of(spec.model)
        if number is None:
            return await self._inner.run(spec)
        turn = self._turns[number]
        await asyncio.shield(turn.up)
        try:
            return await self._inner.run(spec)
        finally:
            turn.shards_left -= 1
            if not turn.shards_left and number + 1 < len(self._turns):
                self._changing = asyncio.create_task(self._change(number))

    async def probe(self, spec: ModelSpec) -> Trouble | None:
        """A model that waits for its turn cannot be asked yet; one that has had it was ready."""
        return None if self._turn_of(spec) is not None else await self._inner.probe(spec)

    async def snapshot(self) -> Snapshot:
        return await self._inner.snapshot()

    def _turn_of(self, model: ModelSpec) -> int | None:
        return next((number for number, turn in enumerate(self._turns) if model in turn.models), None)

    async def _change(self, number: int) -> None:
        await self._fleet.stop(self._turns[number].models)
        await self._deploy(number + 1)

    async def _deploy(self, number: int) -> None:
        """Starts a wave, or lets those who wait for it know why it does not start."""
        turn = self._turns[number]
        try:
            await self._fleet.start(turn.models)
        except Exception as error:  # noqa: BLE001 - raised where the wave is waited for
            turn.up.set_exception(error)
        else:
            turn.up.set_result(None)
