"""Time limits of cells and flows."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from muses_eval.pipeline.errors import MusesError
from muses_eval.workers.play.executor import OnStart
from prefect.exceptions import TerminationSignal


def _seconds(minutes: float | None) -> float | None:
    return None if minutes is None else 60 * minutes


class CellTimeLimitError(TimeoutError):
    """A cell exceeded its time limit; finished episodes are stored.  Prefect sets the task's state to TimedOut."""


@asynccontextmanager
async def cell_time_limit(minutes: float | None) -> AsyncIterator[OnStart]:
    """Limits the time in which a cell is played; yields the function that starts the clock.

    The time during which a cell waits for a free worker or for the servers of its model does not count.  Further calls
    of the function have no effect.

    Raises:
        CellTimeLimitError: the cell exceeded the limit.
    """

    def begun() -> None:
        if minutes is not None and limit.when() is None:
            limit.reschedule(asyncio.get_running_loop().time() + 60 * minutes)

    try:
        async with asyncio.timeout(None) as limit:
            yield begun
    except Exception as error:
        if not limit.expired():
            raise
        then = f", and then: {error}" if str(error) else ""  # for example, finished episodes could not be stored
        raise CellTimeLimitError(f"played for more than {minutes:g} minutes{then}") from error


class FlowTimeLimitError(MusesError):
    """A flow exceeded its time limit; finished episodes are stored."""

    exit_code = 3


@asynccontextmanager
async def flow_time_limit(minutes: float | None) -> AsyncIterator[None]:
    """Cancels its block, the body of a flow, on SIGTERM or after *minutes*; finished episodes are stored.

    Raises:
        FlowTimeLimitError: the flow exceeded the limit.
    """
    try:
        with _cancelled_by_lost_signals():
            async with asyncio.timeout(_seconds(minutes)) as limit:
                yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise FlowTimeLimitError(
            f"ended after {minutes:g} minutes, the limit of flow.flow_minutes; finished episodes are stored, and the "
            "next start plays the rest"
        ) from error


@contextmanager
def _cancelled_by_lost_signals() -> Iterator[None]:
    """Cancels the current task when Prefect's SIGTERM raises inside a callback, where asyncio would only log it."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    before = loop.get_exception_handler()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if isinstance(context.get("exception"), TerminationSignal) and task is not None:
            task.cancel()
        elif before is not None:
            before(loop, context)
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(handle)
    try:
        yield
    finally:
        loop.set_exception_handler(before)
