"""The executor in this process: plays shards on the event loop of the caller."""

import secrets
from types import TracebackType
from typing import Self

from muses_eval.pipeline.agents.agent_spec import AgentSpec
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.workers.coordinator.coordinator import LocalCoordinator
from muses_eval.workers.limits import LimitsSnapshot
from muses_eval.workers.play.executor import OnStart, ignore_start
from muses_eval.workers.play.fair_queue import FairQueue
from muses_eval.workers.play.shard_spec import ShardSpec
from muses_eval.workers.play.shard_summary import ShardSummary
from muses_eval.workers.play.shard_worker import ShardWorker
from muses_eval.workers.providers.model import Unavailable


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
        group = f"{spec.run_id}/{spec.slug}"
        await self._queue.acquire(group)
        try:
            on_start()
            return await self._worker.run(spec)
        finally:
            self._queue.release(group)
            self._queue.add(None)

    async def probe(self, spec: ModelSpec | AgentSpec) -> Unavailable | None:
        return await self._worker.probe(spec)

    async def snapshot(self) -> LimitsSnapshot:
        return await self._coordinator.snapshot(self._run)

    @property
    def dashboard_url(self) -> None:
        return None
