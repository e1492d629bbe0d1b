"""Ctrl-C and SIGTERM as an orderly end of a job, whatever engines do to the process's signal handlers.

Ray and Prefect put handlers of their own in place when they start, and Ray leaves none when it stops: with theirs a
run would end in stack traces, or without a word.  All of this is for the main thread; :func:`started` does no harm
elsewhere.
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
"""Makes the signals ours again."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_until_signal(job: Callable[[InstallHandlers], Coroutine[Any, Any, T]], exit_message: Callable[[], None]) -> T:
    """Runs a job; a signal cancels it, and what it does when cancelled is waited for.

    A second signal, sent in haste, changes nothing; a third one ends the process at once, after *last_words*: nothing
    else ends a thread that waits for a store.  *job* is given what it calls after an engine has taken the signals over.

    Raises:
        asyncio.CancelledError: the job was ended by a signal.
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
            if not signals:  # what an engine leaves half done when it is stopped is no news
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
    """Turns whatever a signal comes to in here into Interrupted, with *advice* as its text.

    From here on, outside of :func:`run_until_signal`, SIGTERM does what Ctrl-C does: it raises, so that the process
    takes its children along.
    """
    _raise_on_sigterm()
    try:
        yield
    except BaseException as error:
        if isinstance(error, Exception):
            raise
        # CancelledError, KeyboardInterrupt, or what engines raise when a signal has come to them.  On the way out
        # there is nothing left to interrupt, only children to wait for.
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        raise Interrupted(advice) from None


@contextmanager
def shielded_children() -> Iterator[None]:
    """Processes that are started in here do not notice Ctrl-C, which a terminal sends to children as well."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@asynccontextmanager
async def start_executor(executor: Executor) -> AsyncIterator[Executor]:
    """An executor from its start to its end, with the signal handlers left as they are."""
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    # Ray starts in one synchronous step and then waits for its actors: the handlers are back before that wait.
    asyncio.get_running_loop().call_soon(_put_back, handlers)
    try:
        async with executor:
            yield executor
    finally:
        _put_back(handlers)


def _end_children() -> None:
    """Ends what engines have started, as far as the system lists it: an end at once runs none of their own clean-up."""
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
        if handler is not None:  # None: a handler that Python does not know of
            signal.signal(number, handler)
