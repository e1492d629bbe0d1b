"""Handles Ctrl-C and SIGTERM: a job ends in order, although Ray and Prefect replace the signal handlers.

Ray and Prefect install their own handlers when they start, and Ray removes all handlers when it stops.  With them, a
run would end in stack traces or without a message.  These functions are for the main thread; :func:`start_executor`
has no effect on signals elsewhere.
"""

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from muses_eval.pipeline.errors import Interrupted
from muses_eval.workers.play.executor import Executor

T = TypeVar("T")
InstallHandlers = Callable[[], None]
"""Installs the signal handlers of the job again."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_until_signal(job: Callable[[InstallHandlers], Coroutine[Any, Any, T]], exit_message: Callable[[], None]) -> T:
    """Runs a job; a signal cancels it and waits for its cleanup.

    A second signal has no effect.  A third one calls *exit_message* and ends the process at once, because nothing else
    ends a thread that waits for a store.  *job* receives a function to call after a library has replaced the handlers.

    Raises:
        asyncio.CancelledError: a signal ended the job.
    """

    async def guarded() -> T:
        signals = 0

        def stop() -> None:
            nonlocal signals
            signals += 1
            if signals == 1:
                task.cancel()
            elif signals > 2:
                exit_message()
                _end_children()
                os._exit(Interrupted.exit_code)

        def install() -> None:
            for number in _SIGNALS:
                asyncio.get_running_loop().add_signal_handler(number, stop)

        def complain(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            if not signals:  # errors of libraries that are being stopped are not reported
                loop.default_exception_handler(context)

        install()
        asyncio.get_running_loop().set_exception_handler(complain)
        task = asyncio.ensure_future(job(install))
        return await task

    try:
        return asyncio.run(guarded())
    finally:
        _raise_on_sigterm()


@contextmanager
def interruptible(advice: str) -> Iterator[None]:
    """Raises Interrupted with *advice* as its message when a signal ends the block.

    From here on, outside of :func:`run_until_signal`, SIGTERM raises KeyboardInterrupt as Ctrl-C does, so that the
    process ends its child processes.
    """
    _raise_on_sigterm()
    try:
        yield
    except BaseException as error:
        if isinstance(error, Exception):
            raise
        # CancelledError, KeyboardInterrupt, or an exception of a library that received the signal.  Further signals
        # are ignored, because only the child processes are still to be waited for.
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        raise Interrupted(advice) from None


@contextmanager
def shielded_children() -> Iterator[None]:
    """Processes started in the block ignore Ctrl-C, which a terminal also sends to child processes."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@asynccontextmanager
async def start_executor(executor: Executor) -> AsyncIterator[Executor]:
    """Starts an executor and stops it after the block; the signal handlers stay as they are."""
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    # Ray starts in one synchronous step and then waits for its actors; the handlers are restored before that wait.
    asyncio.get_running_loop().call_soon(_put_back, handlers)
    try:
        async with executor:
            yield executor
    finally:
        _put_back(handlers)


def _end_children() -> None:
    """Ends the child processes that the system lists, because an immediate exit runs no cleanup of the libraries."""
    for listing in Path("/proc/self/task").glob("*/children"):
        for child in listing.read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGTERM)


def _raise_on_sigterm() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def _put_back(handlers: Mapping[signal.Signals, Any]) -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    for number, handler in handlers.items():
        if handler is not None:  # None: a handler that was not installed by Python
            signal.signal(number, handler)
