"""The executor of one run, which can be paused: shards that have started are played and stored, no other one starts."""

import asyncio
from types import TracebackType
from typing import Self

from muses_eval.flows.job.run_pace import RunPace
from muses_eval.pipeline.agents.agent_spec import AgentSpec
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.workers.limits import LimitsSnapshot
from muses_eval.workers.play.executor import Executor, OnStart, ignore_start
from muses_eval.workers.play.shard_spec import ShardSpec
from muses_eval.workers.play.shard_summary import ShardSummary
from muses_eval.workers.providers.model import Unavailable


class SteeredExecutor:
    """Plays the shards of one run on an executor that other runs may share, and notes their times in *pace*.

    A shard that waits for a free worker when the run is paused leaves the queue, and joins it again when the run goes
    on, so other runs get the workers meanwhile.
    """

    def __init__(self, inner: Executor, pace: RunPace) -> None:
        self._inner, self._pace = inner, pace
        self._going = asyncio.Event()
        self._going.set()
        self._queued: set[asyncio.Task[ShardSummary]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leaves the executor as it is, because its owner closes it."""

    @property
    def is_paused(self) -> bool:
        return not self._going.is_set()

    def pause(self) -> None:
        """Starts no further shard until :meth:`resume`."""
        self._going.clear()
        for task in self._queued:
            task.cancel()

    def resume(self) -> None:
        self._going.set()

    async def run(self, spec: ShardSpec, on_start: OnStart = ignore_start) -> ShardSummary:
        while True:
            await self._going.wait()
            task = asyncio.create_task(self._play(spec, on_start))
            self._queued.add(task)
            try:
                return await task
            except asyncio.CancelledError:
                if task not in self._queued or self._is_cancelled():
                    raise
            finally:
                self._queued.discard(task)

    async def _play(self, spec: ShardSpec, on_start: OnStart) -> ShardSummary:
        task = asyncio.current_task()

        def start() -> None:
            self._queued.discard(task)
            self._pace.started(spec.key, len(spec.episodes))
            on_start()

        stored = False
        try:
            summary = await self._inner.run(spec, start)
            stored = True
            return summary
        finally:
            self._pace.ended(spec.key, stored=stored)

    async def probe(self, spec: ModelSpec | AgentSpec) -> Unavailable | None:
        return await self._inner.probe(spec)

    async def snapshot(self) -> LimitsSnapshot:
        return await self._inner.snapshot()

    @property
    def dashboard_url(self) -> str | None:
        return self._inner.dashboard_url

    @staticmethod
    def _is_cancelled() -> bool:
        """Returns True when the caller's own task is being cancelled, and not only its place in the queue."""
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
