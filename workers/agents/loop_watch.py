"""Notices agents that block the event loop of their worker, on which all its episodes and calls wait.

Each step of an agent's coroutine, from one ``await`` to the next, is timed.  A long step flags its episode, and the log
names its agent once.  A step that does not end is named while it lasts, by a thread.
"""

import asyncio
import contextvars
import ctypes
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")

BLOCKED_S = 1.0
"""A step that takes longer blocks the event loop."""
ABANDONED = "muses-eval: the agent has not stopped"
"""Message of the cancellation that ends the coroutine of an agent."""
STUCK_S = 10.0
"""A step that takes longer is named while it lasts."""
_LOOK_EVERY_S = 2.0
_ADVICE = "await what takes time, or write `def turn`, which runs in a thread"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """A step that runs now."""

    agent: str
    start: float
    thread: int
    on_blocked: Callable[[float], None]


class LoopWatch:
    """Times the steps of all agents of one event loop.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._running: _Step | None = None
        self._named: _Step | None = None
        self._warned: set[str] = set()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Starts the thread that names steps which do not end."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._look_again_and_again, name="muses-loop-watch", daemon=True)
            self._thread.start()

    def close(self) -> None:
        self._closed.set()

    @contextmanager
    def step(self, agent: str, on_blocked: Callable[[float], None]) -> Iterator[None]:
        """Times one step of an agent; *on_blocked* receives its seconds when it was too long."""
        self._running = _Step(agent, self._clock(), threading.get_ident(), on_blocked)
        step = self._running
        try:
            yield
        finally:
            self._running = None
            seconds = self._clock() - step.start
            if seconds > BLOCKED_S:
                on_blocked(seconds)
                self._warn_once(agent, seconds)

    def step_s(self, on_blocked: Callable[[float], None]) -> float:
        """Returns the seconds of the step that runs now, when it has this callback; otherwise 0.  For any thread."""
        step = self._running
        return 0.0 if step is None or step.on_blocked != on_blocked else self._clock() - step.start

    def look(self) -> None:
        """Names the step that runs now, once, when it is too long."""
        step = self._running
        if step is None or step is self._named or self._clock() - step.start < STUCK_S:
            return
        self._named = step
        frame = sys._current_frames().get(step.thread)  # noqa: SLF001 - the only way to see another thread's stack
        place = "" if frame is None else " in {0.filename}, line {0.lineno}".format(traceback.extract_stack(frame)[-1])
        seconds = self._clock() - step.start
        _LOG.warning("agent %s has blocked its worker for %.0f s%s; %s", step.agent, seconds, place, _ADVICE)

    def _look_again_and_again(self) -> None:
        while not self._closed.wait(_LOOK_EVERY_S):
            self.look()

    def _warn_once(self, agent: str, seconds: float) -> None:
        if agent not in self._warned:
            self._warned.add(agent)
            # In a context of its own, since what is written in the agent's context counts as printed by the agent.
            text = "agent %s blocked its worker for %.1f s in one step; %s"
            contextvars.Context().run(_LOG.warning, text, agent, seconds, _ADVICE)


class WatchedCoroutine(Generic[T]):
    """A coroutine of an agent, which is awaited step by step.

    A cancellation is passed on to the coroutine, which may clean up or ignore it; libraries such as anyio cancel a part
    of their own task, and go on.  One with the message :data:`ABANDONED` ends the coroutine.
    """

    def __init__(
        self, coroutine: Coroutine[Any, Any, T], agent: str, watch: LoopWatch, on_blocked: Callable[[float], None]
    ) -> None:
        self._coroutine, self._agent, self._watch, self._on_blocked = coroutine, agent, watch, on_blocked

    def __await__(self) -> Generator[Any, Any, T]:
        error: BaseException | None = None
        while True:
            with self._watch.step(self._agent, self._on_blocked):
                try:
                    waited = self._coroutine.send(None) if error is None else self._coroutine.throw(error)
                except StopIteration as end:
                    result: T = end.value
                    return result
            try:
                yield waited
            except BaseException as problem:
                if isinstance(problem, GeneratorExit) or _is_abandoned(problem):
                    _end(self._coroutine)
                    raise
                error = problem
            else:
                error = None


def _end(coroutine: Coroutine[Any, Any, object]) -> None:
    try:
        coroutine.close()
    except RuntimeError:
        # It ignores its end.  Python would try again when it frees the coroutine, outside of the event loop, where a
        # loop around an `await` never stops.  So the coroutine is never freed, even at the end of the process.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(coroutine))
    except Exception:  # noqa: BLE001 - what its cleanup raises is of no interest any more
        return


def _is_abandoned(problem: BaseException) -> bool:
    return isinstance(problem, asyncio.CancelledError) and problem.args == (ABANDONED,)
