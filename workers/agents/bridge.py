"""The model of each episode behind an OpenAI-compatible address on loopback, for agents that bring their own client.

A worker has one bridge, which starts with its first episode.  The key of a request names the episode, and the call
goes through that episode's :class:`muses_eval.pipeline.agents.interface.Llm`: it meets the limits, the budget, the
cache and the retries of the run, and is recorded in the trace.  Offered are ``POST /v1/chat/completions``, also as a
stream, whose events are sent when the completion is there, and ``GET /v1/models``.

Errors have OpenAI's format and statuses that client libraries do not retry, since the model has been retried already:

* 400 ``too_many_calls``: the episode has used up the number of calls that the configuration allows;
* 400 ``context_length_exceeded``: the prompt is longer than the context of the model;
* 401 ``invalid_api_key``: no episode of this worker has the key, or the episode has ended;
* 424 ``model_unavailable``: the model gave no reply; the episode has no score, whatever the agent does.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web
from muses_eval.pipeline.agents.interface import Llm, LlmReply, LlmUnavailable, ModelEndpoint, TooManyCalls
from muses_eval.workers.agents.chat_completions import (
    WrongRequest,
    completion,
    error_body,
    event_stream,
    model_list,
    read_request,
)
from muses_eval.workers.providers.api_error import CONTEXT_OVERFLOW

MAX_REQUEST_BYTES = 32 * 2**20
_BACKLOG = 1024
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _OpenEpisode:
    """An episode whose key is valid."""

    llm: Llm
    calls: set["asyncio.Task[LlmReply]"] = field(default_factory=set)
    """Calls in flight."""


class Bridge:
    """The server; used from one event loop, which also awaits the calls.

    Args:
        now: seconds since the epoch.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._episodes: dict[str, _OpenEpisode] = {}
        self._starting = asyncio.Lock()
        self._runner: web.AppRunner | None = None
        self._calls = 0

    async def open_episode(self, llm: Llm) -> ModelEndpoint:
        """Returns the address for one episode, whose calls go to *llm*.  Starts the server when it is not running."""
        async with self._starting:
            if self._runner is None:
                self._runner = await _listen(self._answer)
        key = secrets.token_urlsafe(24)
        self._episodes[key] = _OpenEpisode(llm)
        host, port = self._runner.addresses[0][:2]
        return ModelEndpoint(f"http://{host}:{port}/v1", key, llm.model)

    def close_episode(self, endpoint: ModelEndpoint) -> None:
        """Refuses the key of an episode from now on, and cancels its calls in flight.  May be called twice."""
        episode = self._episodes.pop(endpoint.api_key, None)
        for call in () if episode is None else tuple(episode.calls):
            call.cancel()

    async def close(self) -> None:
        """Closes the port and ends the requests in flight.  May be called on a bridge that never started."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        try:
            episode = self._episode(request.headers.get("Authorization", ""))
            match request.method, request.path:
                case "POST", "/v1/chat/completions":
                    return await self._complete(episode, await _body(request))
                case "GET", "/v1/models":
                    return _json(model_list(episode.llm.model))
            offered = "this address offers POST /v1/chat/completions and GET /v1/models"
            raise WrongRequest(404, f"no {request.method} {request.path}; {offered}", "not_found")
        except WrongRequest as problem:
            return _json(error_body(problem), problem.status)

    def _episode(self, authorization: str) -> _OpenEpisode:
        scheme, _, key = authorization.partition(" ")
        episode = self._episodes.get(key.strip()) if scheme.lower() == "bearer" else None
        if episode is None:
            problem = "the key is that of no running episode; send `Authorization: Bearer` with the key of this episode"
            raise WrongRequest(401, problem, "invalid_api_key")
        return episode

    async def _complete(self, episode: _OpenEpisode, body: bytes) -> web.Response:
        model = episode.llm.model
        wanted = read_request(body, model)
        call = asyncio.ensure_future(episode.llm.chat(wanted.messages, tools=wanted.tools, **wanted.sampling))
        episode.calls.add(call)
        try:
            reply = await _reply(call)
        finally:
            episode.calls.discard(call)
        self._calls += 1
        name, created = f"chatcmpl-{self._calls}", int(self._now())
        if not wanted.stream:
            return _json(completion(reply, model, name, created))
        events = event_stream(reply, model, name, created, usage=wanted.stream_usage)
        return web.Response(body=events, headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})


async def _reply(call: "asyncio.Task[LlmReply]") -> LlmReply:
    """Returns the reply of the model.  Raises WrongRequest when there is none."""
    try:
        reply = await call
    except TooManyCalls as error:
        raise WrongRequest(400, str(error), "too_many_calls") from None
    except LlmUnavailable as error:
        raise WrongRequest(424, str(error), "model_unavailable") from None
    except (TypeError, ValueError) as error:  # options of the request that the model's client refuses
        raise WrongRequest(400, str(error)) from None
    except asyncio.CancelledError:
        if call.cancelled() and not _is_cancelled():
            raise WrongRequest(401, "the episode has ended", "invalid_api_key") from None
        raise
    except Exception:  # noqa: BLE001 - an error in this project, which the agent cannot handle
        _LOG.exception("a call through the bridge failed")
        raise WrongRequest(500, "an error in muses-eval, which its log describes", "internal_error") from None
    if reply.finish_reason == CONTEXT_OVERFLOW:
        raise WrongRequest(400, "the prompt is longer than the context of the model", "context_length_exceeded")
    return reply


def _is_cancelled() -> bool:
    """Returns True when the running task itself is cancelled: its client has disconnected."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _listen(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.AppRunner:
    app = web.Application(client_max_size=MAX_REQUEST_BYTES)
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=_BACKLOG).start()
    return runner


async def _body(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise WrongRequest(413, f"the body is larger than {MAX_REQUEST_BYTES >> 20} MiB") from None


def _json(body: bytes, status: int = 200) -> web.Response:
    # Clients of OpenAI obey the header; a repeated call would have the same result.
    headers = {"Content-Type": "application/json", "x-should-retry": "false"}
    return web.Response(body=body, status=status, headers=headers)
