"""Executors: they play shards in this process or on a Ray cluster."""

import secrets
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from muses_eval.pipeline.config.model import ModelSpec
from muses_eval.workers.coordinator.local import LocalCoordinator
from muses_eval.workers.limits import Snapshot
from muses_eval.workers.play.fair_queue import FairQueue
from muses_eval.workers.play.shard import ShardSpec, ShardSummary
from muses_eval.workers.play.shard_worker import ShardWorker
from muses_eval.workers.providers.model import Unavailable

OnBegun = Callable[[], None]
"""Called when a shard starts, after it has waited for a free worker."""


def untold() -> None:
    """Ignores the start of a shard."""


class Executor(Protocol):
    """Takes any number of shards at once and plays as many at a time as it has room for."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends what still runs (finished episodes are written) and lets everything go."""
        ...

    async def run(self, spec: ShardSpec, begun: OnBegun = untold) -> ShardSummary:
        """Waits for a free worker and plays one shard.  *begun* is called at each start, also after a worker died."""
        ...

    async def probe(self, spec: ModelSpec) -> Unavailable | None:
        """What is wrong with a model's endpoint, seen from where it would be called; None: nothing."""
        ...

    async def snapshot(self) -> Snapshot:
        """How the accounts stand that its calls draw on, with its own part of what was done."""
        ...

    @property
    def page(self) -> str | None:
        """Where what it runs on is shown, as an address for browsers; None: nowhere."""
        ...


class InlineExecutor:
    """Plays shards on the event loop of the caller."""

    def __init__(self, shards_at_once: int) -> None:
        self._run = secrets.token_hex(8)
        self._coordinator = LocalCoordinator()
        self._worker = ShardWorker(coordinator=self._coordinator, run=self._run)
        self._queue: FairQueue[None] = FairQueue()
        for _ in range(shards_at_once):
            self._queue.add(None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._worker.drain()
        await self._worker.close()

    async def run(self, spec: ShardSpec, begun: OnBegun = untold) -> ShardSummary:
        group = f"{spec.run_id}/{spec.model.slug}"
        await self._queue.acquire(group)
        try:
            begun()
            return await self._worker.run(spec)
        finally:
            self._queue.release(group)
            self._queue.add(None)

    async def probe(self, spec: ModelSpec) -> Unavailable | None:
        return await self._worker.probe(spec)

    async def snapshot(self) -> Snapshot:
        return await self._coordinator.snapshot(self._run)

    @property
    def page(self) -> None:
        return None
