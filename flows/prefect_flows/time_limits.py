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
    """A cell took longer than it may; what was finished is stored.  Prefect calls the task's state TimedOut."""


@asynccontextmanager
async def cell_time_limit(minutes: float | None) -> AsyncIterator[OnStart]:
    """So long a cell may be played; what is yielded starts the clock, and does nothing when called again.

    A cell waits for room, and for the servers of its model, as long as others need them: that is no fault of its own.

    Raises:
        CellTimeLimitError: it took longer.
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
        then = f", and then: {error}" if str(error) else ""  # what was finished could not be stored, for one
        raise CellTimeLimitError(f"played for more than {minutes:g} minutes{then}") from error


class FlowTimeLimitError(MusesError):
    """A flow took longer than it may; what was finished is stored."""

    exit_code = 3


@asynccontextmanager
async def flow_time_limit(minutes: float | None) -> AsyncIterator[None]:
    """The body of a flow: cancelled by SIGTERM or after so many minutes, it stores what it has and lets everything go.

    Raises:
        FlowTimeLimitError: it took longer.
    """
    try:
        with _cancelled_by_lost_signals():
            async with asyncio.timeout(_seconds(minutes)) as limit:
                yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise FlowTimeLimitError(
            f"ended after {minutes:g} minutes, as flow.flow_minutes says; finished episodes are stored, and the next "
            "start plays the rest"
        ) from error


@contextmanager
def _cancelled_by_lost_signals() -> Iterator[None]:
    """Prefect's SIGTERM raises wherever the process happens to be; where that is a callback, asyncio swallows it."""
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
