"""An agent that is a class in Python, in one episode."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from muses_eval.pipeline.agents.interface import Context, Turn, TurnReply
from muses_eval.workers.agents.agent_thread import AgentThread
from muses_eval.workers.agents.agent_traceback import agent_traceback
from muses_eval.workers.agents.event_log import EventLog
from muses_eval.workers.agents.harness import AgentError
from muses_eval.workers.agents.llm import BlockingLlm, EpisodeLlm
from muses_eval.workers.agents.loop_watch import LoopWatch, WatchedCoroutine
from muses_eval.workers.agents.printed_lines import PrintedLines, printing_to


@dataclass(frozen=True, slots=True)
class AgentClass:
    """The class of an agent, imported in this process."""

    name: str
    """Name of the agent in tables."""
    cls: type[Any]
    options: Mapping[str, Any]
    """Keyword arguments of the constructor."""
    folder: Path | None = None
    """Folder of the code; None when it is installed."""


class PythonHarness:
    """Creates the agent before its first turn, and calls its methods; what they print goes to the trace.

    The coroutines of an agent run on the event loop of the worker.  When ``turn`` is an ordinary function, the
    constructor, ``turn`` and ``close`` run in a thread that belongs to this agent alone.

    Args:
        agent: its class.
        context: its episode.
        llm: its model.
        events: receives what it prints, and that it blocks.
        watch: times its steps.
    """

    def __init__(
        self, agent: AgentClass, context: Context, llm: EpisodeLlm, events: EventLog, watch: LoopWatch
    ) -> None:
        self._class, self._events, self._watch = agent, events, watch
        self._printed = PrintedLines(events.log)
        self._thread: AgentThread | None = None
        self._blocking: BlockingLlm | None = None
        if not inspect.iscoroutinefunction(agent.cls.turn):
            self._thread = AgentThread(f"agent {agent.name}")
            self._blocking = BlockingLlm(llm)
        create: Callable[..., Any] = agent.cls
        self._create = partial(create, context, self._blocking or llm, **agent.options)
        self._agent: Any = None
        self._broken: AgentError | None = None

    async def turn(self, turn: Turn) -> str | TurnReply:
        if self._broken is not None:
            raise AgentError("the agent could not be created; its first turn has the error")
        if self._agent is None:
            try:
                self._agent = await self._call(self._create)
            except AgentError as error:
                self._broken = error
                raise
        reply = await self._call(partial(self._agent.turn, turn))
        if inspect.iscoroutine(reply):
            reply.close()
            raise AgentError("turn returned a coroutine; write it with `async def`")
        given: str | TurnReply = reply  # the session checks what it really is
        return given

    async def close(self) -> None:
        """Calls ``close`` of the agent, if it has that method.  Raises AgentError."""
        try:
            if callable(close := getattr(self._agent, "close", None)):
                await self._call(partial(close))
        finally:
            if self._blocking is not None:
                self._blocking.close()
            if self._thread is not None:
                self._thread.close()

    async def _call(self, function: "partial[Any]") -> Any:  # noqa: ANN401 - whatever the agent returns
        try:
            if inspect.iscoroutinefunction(function.func):
                with printing_to(self._printed):
                    return await WatchedCoroutine(function(), self._class.name, self._watch, self._events.blocked)
            if self._thread is not None:
                return await self._thread.run(partial(self._printing, function))
            with self._watch.step(self._class.name, self._events.blocked):
                return self._printing(function)
        except AgentError:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the agent raises
            raise AgentError(agent_traceback(error, self._class.folder)) from None

    def _printing(self, function: Callable[[], Any]) -> Any:  # noqa: ANN401 - as above
        with printing_to(self._printed):
            return function()
