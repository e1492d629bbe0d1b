"""The model of each episode behind an OpenAI-compatible address on loopback, for agents that bring their own client.

A worker has one bridge, which starts with its first episode.  The key of a request names the episode, and the call
goes through that episode's :class:`muses_eval.pipeline.agents.interface.Llm`: it meets the limits, the budget, the
cache and the retries of the run, and is recorded in the trace.  Offered are ``POST /v1/chat/completions``, also as a
stream, whose events are sent when the completion is there, and ``GET /v1/models``.

The server has a thread of its own; the calls are made on the event loop of the episodes.  So an agent that waits for
its model on that very loop, with a client that blocks, gets an error instead of waiting for ever.

Errors have OpenAI's format and statuses that client libraries do not retry, since the model has been retried already:

* 400 ``too_many_calls``: the episode has used up the number of calls that the configuration allows;
* 400 ``context_length_exceeded``: the prompt is longer than the context of the model;
* 400 ``event_loop_blocked``: the agent blocks the event loop that has to make its call;
* 401 ``invalid_api_key``: no episode of this worker has the key, or the episode has ended;
* 424 ``model_unavailable``: the model gave no reply; the episode has no score, whatever the agent does.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from muses_eval.pipeline.agents.interface import Llm, LlmReply, LlmUnavailable, ModelEndpoint, TooManyCalls
from muses_eval.workers.agents.chat_completions import (
    CompletionRequest,
    WrongRequest,
    completion,
    error_body,
    event_stream,
    model_list,
    read_request,
)
from muses_eval.workers.agents.llm import NotPlaying
from muses_eval.workers.agents.loopback import LoopbackThread, Request, Response
from muses_eval.workers.providers.api_error import CONTEXT_OVERFLOW

BLOCKED_S = 10.0
"""A call that waits for an event loop which its own agent has blocked for so long is refused.  Agents also compute for
a while after they have sent a call, when a framework imports its modules for instance, so the time is not short."""
_LOOK_S = 0.5
"""Pause between two looks whether a call has begun."""
_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class _Call:
    """A call that is to be made on the event loop of its episode."""

    request: CompletionRequest
    begun: bool = False
    abandoned: bool = False
    """True when nothing waits for it any more."""


@dataclass(slots=True, eq=False)
class _OpenEpisode:
    """An episode whose key is valid."""

    llm: Llm
    loop: asyncio.AbstractEventLoop
    blocked_s: Callable[[], float]
    tasks: set["asyncio.Task[Any]"] = field(default_factory=set)
    """Calls in flight."""
    closed: bool = False

    async def chat(self, call: _Call) -> LlmReply:
        """Makes a call, on the event loop of the episode."""
        if call.abandoned or self.closed:
            raise asyncio.CancelledError
        call.begun = True
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        self.tasks.add(task)
        try:
            return await self.llm.chat(call.request.messages, tools=call.request.tools, **call.request.sampling)
        finally:
            self.tasks.discard(task)

    def close(self) -> None:
        self.closed = True
        for task in tuple(self.tasks):
            task.cancel()


class Bridge:
    """The server; episodes are opened and closed on one event loop.

    Args:
        now: seconds since the epoch.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._episodes: dict[str, _OpenEpisode] = {}
        self._starting = asyncio.Lock()
        self._server: LoopbackThread | None = None
        self._completions = 0

    async def open_episode(self, llm: Llm, blocked_s: Callable[[], float] = lambda: 0.0) -> ModelEndpoint:
        """Returns the address for one episode.  Starts the server when it is not running.

        Args:
            llm: receives the calls, on the running event loop.
            blocked_s: seconds for which the agent of the episode has blocked that loop until now; called in another
                thread.
        """
        async with self._starting:
            if self._server is None:
                self._server = await LoopbackThread.start(self._answer)
        key = secrets.token_urlsafe(24)
        self._episodes[key] = _OpenEpisode(llm, asyncio.get_running_loop(), blocked_s)
        return ModelEndpoint(f"{self._server.url}/v1", key, llm.model)

    def close_episode(self, endpoint: ModelEndpoint) -> None:
        """Refuses the key of an episode from now on, and cancels its calls in flight.  May be called twice."""
        episode = self._episodes.pop(endpoint.api_key, None)
        if episode is not None:
            episode.close()

    async def close(self) -> None:
        """Closes the port and ends the requests in flight.  May be called on a bridge that never started."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop()

    async def _answer(self, request: Request) -> Response:
        try:
            episode = self._episode(request.authorization)
            match request.method, request.path:
                case "POST", "/v1/chat/completions":
                    return await self._complete(episode, request.body)
                case "GET", "/v1/models":
                    return Response(model_list(episode.llm.model))
            offered = "this address offers POST /v1/chat/completions and GET /v1/models"
            raise WrongRequest(404, f"no {request.method} {request.path}; {offered}", "not_found")
        except WrongRequest as problem:
            return Response(error_body(problem), problem.status)

    def _episode(self, authorization: str) -> _OpenEpisode:
        scheme, _, key = authorization.partition(" ")
        episode = self._episodes.get(key.strip()) if scheme.lower() == "bearer" else None
        if episode is None:
            problem = "the key is that of no running episode; send `Authorization: Bearer` with the key of this episode"
            raise WrongRequest(401, problem, "invalid_api_key")
        return episode

    async def _complete(self, episode: _OpenEpisode, body: bytes | None) -> Response:
        model = episode.llm.model
        wanted = read_request(body, model)
        reply = await self._reply(episode, wanted)
        if reply.finish_reason == CONTEXT_OVERFLOW:
            raise WrongRequest(400, "the prompt is longer than the context of the model", "context_length_exceeded")
        self._completions += 1
        name, created = f"chatcmpl-{self._completions}", int(self._now())
        if not wanted.stream:
            return Response(completion(reply, model, name, created))
        events = event_stream(reply, model, name, created, usage=wanted.stream_usage)
        return Response(events, content_type="text/event-stream")

    async def _reply(self, episode: _OpenEpisode, wanted: CompletionRequest) -> LlmReply:
        """Makes the call on the event loop of the episode.  Raises WrongRequest when there is no reply."""
        call = _Call(wanted)
        waiting = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(episode.chat(call), episode.loop))
        try:
            while not waiting.done():
                await asyncio.wait({waiting}, timeout=None if call.begun else _LOOK_S)
                if not call.begun and episode.blocked_s() >= BLOCKED_S:
                    raise WrongRequest(400, _BLOCKED, "event_loop_blocked")
            return _result(waiting)
        finally:
            call.abandoned = True
            waiting.cancel()  # when the client has disconnected, for instance; does nothing to a call that has ended


_BLOCKED = (
    "the agent blocks the event loop that has to make its call: write `def turn`, which runs in a thread, or await an "
    "asynchronous client"
)


def _result(call: "asyncio.Future[LlmReply]") -> LlmReply:
    """Returns the reply of a call that has ended.  Raises WrongRequest when it has none."""
    try:
        return call.result()
    except TooManyCalls as error:
        raise WrongRequest(400, str(error), "too_many_calls") from None
    except LlmUnavailable as error:
        raise WrongRequest(424, str(error), "model_unavailable") from None
    except (TypeError, ValueError, NotPlaying) as error:  # it can be called, but not so, or not now
        raise WrongRequest(400, str(error)) from None
    except asyncio.CancelledError:
        raise WrongRequest(401, "the episode has ended", "invalid_api_key") from None
    except Exception:  # noqa: BLE001 - an error in this project, which the agent cannot handle
        _LOG.exception("a call through the bridge failed")
        raise WrongRequest(500, "an error in muses-eval, which its log describes", "internal_error") from None
