"""A harness in the place of the model alone: turns the observations of an episode into turns, and replies into text.

The line between the agent and the infrastructure is drawn here.  What the agent does wrong is an empty reply with an
event; a model that gives no reply ends the episode without a score, whatever the agent made of that.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from muses_eval.pipeline.agents.interface import Turn, TurnInput, TurnReply
from muses_eval.pipeline.episode.event import Event
from muses_eval.pipeline.episode.interfaces import Observation
from muses_eval.pipeline.episode.model_call import Reply
from muses_eval.pipeline.families.reply_format import ReplyFieldError
from muses_eval.workers.agents.harness import AgentError, Harness
from muses_eval.workers.agents.llm import EpisodeLlm
from muses_eval.workers.agents.loop_watch import ABANDONED
from muses_eval.workers.providers.chat_request import message_dicts
from muses_eval.workers.providers.http_client import well_formed

MAX_REPLY_BYTES = 256_000
CLEANUP_S = 1.0
"""Time for an agent to clean up when its turn is cancelled."""
_LEAST_LOOK_S = 0.1
"""Pause between two looks at the stopwatch of an agent that waits for its model."""

WriteReply = Callable[[TurnReply], str]
"""Writes a reply in fields as the text that the family reads.  Raises ReplyFieldError."""


class AgentSession:
    """An agent in one episode; implements :class:`muses_eval.pipeline.episode.interfaces.Agent`.

    Args:
        episode_id: id of the episode, for the sessions of its principals.
        harness: the agent.
        llm: the model that the agent calls.
        turn_timeout_s: time that the agent may take for a turn, without the time in which it waits for its model.
        write_reply: writes a reply in fields as text.
    """

    def __init__(
        self, episode_id: str, harness: Harness, llm: EpisodeLlm, turn_timeout_s: float, write_reply: WriteReply
    ) -> None:
        self._episode_id, self._harness, self._llm = episode_id, harness, llm
        self._timeout_s, self._write_reply = turn_timeout_s, write_reply
        self._events, self._own_time = llm.events, llm.own_time

    @property
    def events(self) -> tuple[Event, ...]:
        return self._events.events

    @property
    def flags(self) -> tuple[str, ...]:
        return self._events.flags

    async def reply(self, observation: Observation) -> Reply:
        self._llm.start_turn(observation)
        self._events.start_turn(observation.turn)
        try:
            text = self._text(await self._in_time(self._turn(observation)))
        except AgentError as error:
            text = ""
            if self._llm.failure is None:
                self._events.error(str(error))
        if self._llm.failure is not None:
            raise self._llm.failure
        return Reply(text)

    async def close(self) -> None:
        """Ends the episode for the agent, whose failures no longer matter."""
        self._llm.close()
        task = asyncio.create_task(self._harness.close())
        try:
            await asyncio.wait({task}, timeout=CLEANUP_S)
        finally:
            await _end(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._events.log(f"muses-eval: close failed: {error}")

    def _turn(self, observation: Observation) -> Turn:
        return Turn(
            number=observation.turn,
            turns_left=observation.turns_left,
            inputs=tuple(
                TurnInput(entry.sender, f"{self._episode_id}/{entry.sender}", entry.text)
                for entry in observation.inputs
            ),
            messages=message_dicts(observation.prompt),
        )

    async def _in_time(self, turn: Turn) -> Any:  # noqa: ANN401 - whatever the agent returns
        """Returns the agent's reply.  Raises AgentError, also when it takes too long or does not stop calling."""
        self._own_time.restart()
        task = asyncio.create_task(self._harness.turn(turn))
        try:
            while not task.done():
                left = self._timeout_s - self._own_time.seconds
                if left <= 0:
                    raise AgentError(f"the turn took longer than turn_timeout_s, {self._timeout_s:g} s")
                if self._llm.stopped.done():
                    raise AgentError("the turn was ended, since its further calls of the model are of no use")
                look_s = max(left, _LEAST_LOOK_S) if self._own_time.waiting else left
                await asyncio.wait({task, self._llm.stopped}, timeout=look_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _end(task)
        if task.cancelled():
            raise AgentError("the agent cancelled its own turn")
        return task.result()

    def _text(self, reply: object) -> str:
        if isinstance(reply, TurnReply):
            try:
                reply = self._write_reply(reply)
            except ReplyFieldError as error:
                raise AgentError(str(error)) from None
        if not isinstance(reply, str):
            raise AgentError(f"turn returned {type(reply).__name__}; expected a text or a TurnReply")
        text = well_formed(reply)
        if (size := len(text.encode())) > MAX_REPLY_BYTES:
            raise AgentError(f"the reply has {size:,} bytes; at most {MAX_REPLY_BYTES:,} are read")
        return text


async def _end(task: "asyncio.Task[Any]") -> None:
    """Cancels a task that still runs: first it may clean up, then it ends."""
    for message in (None, ABANDONED):
        if task.done():
            break
        task.cancel(message)
        await asyncio.wait({task}, timeout=CLEANUP_S)
    if task.done() and not task.cancelled():
        task.exception()  # retrieved: after a cancellation, it is of no interest
