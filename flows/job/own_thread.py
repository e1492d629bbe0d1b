"""Runs a job from synchronous code: in a thread with an event loop of its own.

A notebook runs its cells inside an event loop, so that a cell cannot start another one in the same thread.  No signal
handler is installed: the caller's process belongs to the caller.
"""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


def run_in_own_thread(job: Callable[[], Coroutine[Any, Any, T]], advice: str) -> T:
    """Runs a job and returns its result.

    KeyboardInterrupt, which Ctrl-C and the stop button of a notebook raise, cancels the job and waits for its cleanup,
    as ``muses run`` does.  A second one has no effect; a third one ends the wait.

    Raises:
        KeyboardInterrupt: the job was interrupted; its text is *advice*.
    """
    result, begun = Future[T](), Future[Callable[[], object]]()

    async def cancellable() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.ensure_future(job())
        begun.set_result(lambda: loop.call_soon_threadsafe(task.cancel))
        return await task

    def play() -> None:
        try:
            result.set_result(asyncio.run(cancellable()))
        except BaseException as error:  # noqa: BLE001 - raised again where the result is awaited
            result.set_exception(error)

    # The context names the cell of a notebook to which output belongs.
    thread = Thread(target=contextvars.copy_context().run, args=(play,), name="muses", daemon=True)
    thread.start()
    interrupts = 0
    while True:
        try:
            found = result.result()
        except KeyboardInterrupt:
            interrupts += 1
            if interrupts == 1:
                begun.add_done_callback(_cancel)
            elif interrupts > 2:
                raise
            continue
        except asyncio.CancelledError:
            raise KeyboardInterrupt(advice) from None
        if interrupts:  # it came when the job had ended
            raise KeyboardInterrupt(advice)
        return found


def _cancel(begun: Future[Callable[[], object]]) -> None:
    with suppress(RuntimeError):  # the loop is closed: the job has ended
        begun.result()()
