"""One executor for several runs, consecutive or concurrent, with the servers of their models."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Self

from muses_eval.flows.job.evaluate import OpenExecutor
from muses_eval.flows.job.serving import engine_versions, with_model_servers
from muses_eval.flows.settings import Settings
from muses_eval.pipeline.config.execution import ExecutionConfig
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.workers.play.executor import Executor


class SharedExecutor:
    """An executor that is opened for the first run with pending episodes, and closed after the last run."""

    def __init__(self, open_executor: OpenExecutor) -> None:
        self._open_executor = open_executor
        self._agents: dict[ModelSpec, None] = {}
        self._users: dict[ModelSpec, None] = {}
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._opened: Executor | Exception | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    def expect(self, agents: Iterable[ModelSpec], users: Iterable[ModelSpec]) -> None:
        """Registers models that need servers, before the first of their runs starts.

        Servers of agents stay up from one run to the next; servers of *users* are up all the time.
        """
        self._agents |= dict.fromkeys(agents)
        self._users |= dict.fromkeys(users)

    @asynccontextmanager
    async def share(self, execution: ExecutionConfig, settings: Settings) -> AsyncIterator[Executor]:
        """Yields the executor to one run; an ``OpenExecutor``.

        When the executor could not be opened, every run raises the same error.
        """
        async with self._opening:
            if self._opened is None:
                try:
                    self._opened = await self._open(execution, settings)
                except Exception as error:  # noqa: BLE001 - raised below, for this run and the following ones
                    self._opened = error
        if isinstance(self._opened, Exception):
            raise self._opened
        yield self._opened

    async def engines(self, execution: ExecutionConfig, settings: Settings) -> dict[str, str]:
        """Returns model -> version and build of vLLM, such as "0.32.0 gpu", of the models that can be served."""
        if not self._serves_on(execution):
            return {}
        async with self.share(execution, settings) as pool, with_model_servers(pool) as staged:
            described = await staged.admit((*self._agents, *self._users))
        return engine_versions(described)

    def _serves_on(self, execution: ExecutionConfig) -> bool:
        return execution.executor == "ray" and bool(self._agents or self._users)

    async def _open(self, execution: ExecutionConfig, settings: Settings) -> Executor:
        pool = await self._stack.enter_async_context(self._open_executor(execution, settings))
        if not self._serves_on(execution):
            return pool
        staged = await self._stack.enter_async_context(with_model_servers(pool))
        await staged.keep_running(tuple(self._users))
        return staged
