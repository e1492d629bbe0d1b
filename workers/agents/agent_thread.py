"""The thread of an agent whose methods are ordinary functions."""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from muses_eval.workers.agents.harness import AgentError

T = TypeVar("T")
_Outcome = tuple[Any, BaseException | None]
"""The result of a function, or the exception that it raised."""


class AgentThread:
    """Runs the functions of one agent in one thread, one at a time, so that the agent needs no locks.

    A function that never returns holds the thread, but not the process, which ends without it.
    """

    def __init__(self, name: str) -> None:
        self._waiting: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._busy = False

    async def run(self, function: Callable[[], T]) -> T:
        """Returns the result of a function.

        Raises:
            AgentError: the function of an earlier turn has not returned, or this one raises SystemExit or the like.
            Exception: the function's own.
        """
        if self._busy:
            raise AgentError("an earlier call of the agent has not returned, so this one cannot begin")
        if self._thread.ident is None:
            self._thread.start()
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[_Outcome] = loop.create_future()
        self._busy = True
        self._waiting.put(lambda: self._run(function, loop, outcome))
        result, error = await outcome
        if error is not None:
            # Raised here, an exception that is no Exception would end the event loop, or cancel the turn.
            raise error if isinstance(error, Exception) else AgentError(f"{type(error).__name__}: {error}")
        found: T = result
        return found

    def close(self) -> None:
        """Ends the thread when its function has returned."""
        self._waiting.put(None)

    def _work(self) -> None:
        while (run := self._waiting.get()) is not None:
            run()

    def _run(
        self, function: Callable[[], object], loop: asyncio.AbstractEventLoop, outcome: "asyncio.Future[_Outcome]"
    ) -> None:
        found: _Outcome
        try:
            found = function(), None
        except BaseException as error:  # noqa: BLE001 - raised where it is awaited
            found = None, error
        self._busy = False
        with suppress(RuntimeError):  # the event loop has ended
            loop.call_soon_threadsafe(_deliver, outcome, found)


def _deliver(outcome: "asyncio.Future[_Outcome]", found: _Outcome) -> None:
    if not outcome.done():  # cancelled: the turn has ended without the function
        outcome.set_result(found)
