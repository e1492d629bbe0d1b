"""Runs a job from synchronous code: in a thread with an event loop of its own.

A notebook runs its cells inside an event loop, so that a cell cannot start another one in the same thread.
"""

import asyncio
import contextvars
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

T = TypeVar("T")


def run_in_own_thread(job: Callable[[], Coroutine[Any, Any, T]], advice: str) -> T:
    """Runs a job and returns its result.

    Ctrl-C, and the stop button of a notebook, cancel the job and wait for its cleanup, as in ``muses run``.  A second
    one has no effect, and a third one ends the wait.  Afterwards the signal is handled as before.

    Raises:
        KeyboardInterrupt: the job was interrupted; its text is *advice*.
    """
    result, begun = Future[T](), Future[Callable[[], object]]()
    interrupts = 0

    async def cancellable() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.ensure_future(job())
        begun.set_result(lambda: loop.call_soon_threadsafe(task.cancel))
        return await task

    def play() -> None:
        try:
            result.set_result(asyncio.run(cancellable()))
        except BaseException as error:  # noqa: BLE001 - raised again where the result is awaited
            result.set_exception(error)

    def interrupt() -> None:
        nonlocal interrupts
        interrupts += 1
        if interrupts == 1:
            begun.add_done_callback(_cancel)
        elif interrupts > 2:
            raise KeyboardInterrupt(advice)

    with _on_interrupt(interrupt):
        # The context names the cell of a notebook to which output belongs.
        threading.Thread(target=contextvars.copy_context().run, args=(play,), name="muses", daemon=True).start()
        try:
            found = result.result()
        except asyncio.CancelledError:
            raise KeyboardInterrupt(advice) from None
    if interrupts:  # it came when the job had ended
        raise KeyboardInterrupt(advice)
    return found


def _cancel(begun: Future[Callable[[], object]]) -> None:
    with suppress(RuntimeError):  # the loop is closed: the job has ended
        begun.result()()


@contextmanager
def _on_interrupt(call: Callable[[], None]) -> Iterator[None]:
    """Calls a function where SIGINT would raise KeyboardInterrupt, which may interrupt any line.

    A handler of the caller's own stays, and so do other threads than the main one, which receives no signals.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, lambda _number, _frame: call())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
