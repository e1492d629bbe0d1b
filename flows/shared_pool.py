"""One executor for several runs, one after the other or at the same time, with the servers of their models."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Self

from flows.evaluate import OpenPool
from flows.serving import staged_on
from flows.settings import Settings
from pipeline.config import ExecutionConfig
from pipeline.specs import ModelSpec
from workers.executor import Executor


class SharedPool:
    """An executor that is opened for the first run with anything to play, and closed after the last one.

    Args:
        open_pool: opens it.
        agents: those that the runs serve themselves; their servers stay up from one run to the next.
        users: the same of the models that play users; these are up all the time.
    """

    def __init__(self, open_pool: OpenPool, agents: Iterable[ModelSpec] = (), users: Iterable[ModelSpec] = ()) -> None:
        self._open_pool, self._users = open_pool, tuple(users)
        self._serves = bool(self._users or tuple(agents))
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._opened: Executor | Exception | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    @asynccontextmanager
    async def lend(self, execution: ExecutionConfig, settings: Settings) -> AsyncIterator[Executor]:
        """The executor, to one run: a ``flows.evaluate.OpenPool``.  Where it did not open, every run hears why."""
        async with self._opening:
            if self._opened is None:
                try:
                    self._opened = await self._open(execution, settings)
                except Exception as error:  # noqa: BLE001 - raised below, for this run and those that come
                    self._opened = error
        if isinstance(self._opened, Exception):
            raise self._opened
        yield self._opened

    async def _open(self, execution: ExecutionConfig, settings: Settings) -> Executor:
        pool = await self._stack.enter_async_context(self._open_pool(execution, settings))
        if not self._serves or execution.executor != "ray":
            return pool
        staged = await self._stack.enter_async_context(staged_on(pool))
        await staged.keep(self._users)
        return staged
