"""The model under test as the agent of one episode calls it: :class:`muses_eval.pipeline.agents.interface.Llm`."""

import asyncio
import queue
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from muses_eval.pipeline.agents.interface import ChatMessageDict, LlmReply, LlmUnavailable, TooManyCalls
from muses_eval.pipeline.episode.interfaces import Observation
from muses_eval.pipeline.episode.model_call import Call, Reply
from muses_eval.pipeline.errors import ModelFailure
from muses_eval.workers.agents.chat_arguments import chat_request
from muses_eval.workers.agents.event_log import EventLog
from muses_eval.workers.agents.own_time import OwnTime
from muses_eval.workers.providers.model import ModelAgent

MOST_REFUSED = 100
"""Number of wrong and of further calls in an episode, after which the next one ends its turn."""
_PAUSE_S = 1.0
"""Pause of a thread that calls the model after its episode, which nothing can end."""


class NotPlaying(RuntimeError):
    """Raised in an agent that calls its model before its first turn or after its episode."""


class EpisodeLlm:
    """The model in one episode; used from the event loop of the worker.

    Args:
        name: the provider's name of the model.
        model: the model.
        max_calls: maximum number of calls in the episode.
        events: receives the reply to each call.
        note: receives the record of each call as soon as it is answered, so that it is paid for whatever happens then.
    """

    def __init__(
        self, name: str, model: ModelAgent, max_calls: int, events: EventLog, note: Callable[[Call], None]
    ) -> None:
        self._name, self._model, self._max_calls = name, model, max_calls
        self.events, self._note = events, note
        self.own_time = OwnTime()
        """Stopwatch of the agent, which stands still during a call."""
        self._observation: Observation | None = None
        self._calls = 0
        self._refused = 0
        self.failure: ModelFailure | None = None
        """The first failed call; None until there is one.  The episode has no score then, whatever the agent does."""
        self.stopped = asyncio.get_running_loop().create_future()
        """Done when the turn can be ended: a call has failed, or the agent does not stop calling."""

    @property
    def model(self) -> str:
        return self._name

    def start_turn(self, observation: Observation) -> None:
        """Begins a turn, to which later calls belong."""
        self._observation = observation

    def close(self) -> None:
        """Ends the episode: later calls are refused."""
        self._observation = None

    async def chat(
        self,
        messages: Sequence[ChatMessageDict],
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        **sampling: Any,  # noqa: ANN401 - numbers, a text and an object
    ) -> LlmReply:
        try:
            request = chat_request(messages, tools, sampling)
        except ValueError:
            await self._refuse()
            raise
        observation = self._observation
        if self.failure is not None or observation is None or self._calls >= self._max_calls:
            await self._refuse()
            raise self._refusal()
        self._calls += 1
        self.events.step += 1
        turn, step = observation.turn, self.events.step
        try:
            with self.own_time:
                reply = await self._model.chat(observation, request)
        except ModelFailure as failure:
            self._fail(failure)
            raise LlmUnavailable(str(failure)) from None
        if reply.call is not None:
            self._note(replace(reply.call, turn=turn, step=step))
        self.events.call(turn, step, reply)
        return _llm_reply(reply)

    def _fail(self, failure: ModelFailure) -> None:
        if self.failure is None:
            self.failure = failure
        self._end_turn()

    async def _refuse(self) -> None:
        """Counts a refused call; gives way, so that an agent which calls again and again does not block the loop."""
        self._refused += 1
        if self._refused > MOST_REFUSED:
            self._end_turn()
        await asyncio.sleep(0)

    def _refusal(self) -> Exception:
        if self.failure is not None:
            return LlmUnavailable(str(self.failure))
        if self._observation is None:
            return NotPlaying(
                "llm.chat: the model can be called from the first call of turn() to the end of the episode"
            )
        return TooManyCalls(
            f"the episode has made its {self._max_calls} model calls; max_calls of the agent allows no more"
        )

    def _end_turn(self) -> None:
        if not self.stopped.done():
            self.stopped.set_result(None)


class BlockingLlm:
    """The same model for ordinary functions, which run in a thread of their own.

    Args:
        llm: the model in the episode; its event loop is the running one.
    """

    def __init__(self, llm: EpisodeLlm) -> None:
        self._llm, self._loop = llm, asyncio.get_running_loop()
        self._calls: set[asyncio.Task[LlmReply]] = set()
        self._closed = False

    @property
    def model(self) -> str:
        return self._llm.model

    def chat(
        self,
        messages: Sequence[ChatMessageDict],
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        **sampling: Any,  # noqa: ANN401 - as above
    ) -> LlmReply:
        if self._closed:
            time.sleep(_PAUSE_S)
            raise LlmUnavailable("the episode has ended")
        # asyncio.run_coroutine_threadsafe takes 0.02 ms more, since it links two futures (tests/bench/agents.py).
        answered: queue.SimpleQueue[asyncio.Task[LlmReply]] = queue.SimpleQueue()

        def start() -> None:
            call = self._loop.create_task(self._llm.chat(messages, tools=tools, **sampling))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
            call.add_done_callback(answered.put)
            if self._closed:
                call.cancel()

        self._loop.call_soon_threadsafe(start)
        try:
            return answered.get().result()
        except asyncio.CancelledError:
            raise LlmUnavailable("the episode has ended") from None

    def close(self) -> None:
        """Cancels the calls in flight, and refuses later ones.  Called from the event loop."""
        self._closed = True
        for call in self._calls:
            call.cancel()


def _llm_reply(reply: Reply) -> LlmReply:
    call = reply.call
    if call is None:  # a rule-based model
        return LlmReply(reply.text, reply.tool_calls)
    return LlmReply(reply.text, reply.tool_calls, call.finish_reason, call.prompt_tokens, call.completion_tokens)
