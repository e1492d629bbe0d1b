"""The interface of an executor, which plays shards, and the executor in this process.

The executor on a Ray cluster is ``workers.play.ray_executor``.
"""

import secrets
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from muses_eval.pipeline.config.model import ModelSpec
from muses_eval.workers.coordinator.coordinator import LocalCoordinator
from muses_eval.workers.limits import Snapshot
from muses_eval.workers.play.fair_queue import FairQueue
from muses_eval.workers.play.shard_spec import ShardSpec
from muses_eval.workers.play.shard_summary import ShardSummary
from muses_eval.workers.play.shard_worker import ShardWorker
from muses_eval.workers.providers.model import Unavailable

OnStart = Callable[[], None]
"""Called when a shard starts, after it has waited for a free worker."""


def ignore_start() -> None:
    """Does nothing when a shard starts."""


class Executor(Protocol):
    """Accepts any number of shards at the same time and plays as many in parallel as its workers allow."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends running shards, which write their finished episodes, and closes everything."""
        ...

    async def run(self, spec: ShardSpec, on_start: OnStart = ignore_start) -> ShardSummary:
        """Plays one shard when a worker is free.  *on_start* is called at each start, even after a worker died."""
        ...

    async def probe(self, spec: ModelSpec) -> Unavailable | None:
        """Returns why a model cannot be called from a worker; None when it can."""
        ...

    async def snapshot(self) -> Snapshot:
        """Returns the state of the accounts that its calls use, with its own counts."""
        ...

    @property
    def dashboard_url(self) -> str | None:
        """URL of the cluster's dashboard; None when there is none."""
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

    async def run(self, spec: ShardSpec, on_start: OnStart = ignore_start) -> ShardSummary:
        group = f"{spec.run_id}/{spec.model.slug}"
        await self._queue.acquire(group)
        try:
            on_start()
            return await self._worker.run(spec)
        finally:
            self._queue.release(group)
            self._queue.add(None)

    async def probe(self, spec: ModelSpec) -> Unavailable | None:
        return await self._worker.probe(spec)

    async def snapshot(self) -> Snapshot:
        return await self._coordinator.snapshot(self._run)

    @property
    def dashboard_url(self) -> None:
        return None
