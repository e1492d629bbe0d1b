"""A scripted provider for tests: the rehearsal's HTTP server, with responses that a test chooses one by one.

In a test::

    with Provider() as provider:                             # echoes the last message
        Endpoint((provider.base_url,))
    with Provider(reply=lambda request: "fixed text") as provider: ...
    with Provider(script=[*storm(3, rate_limited(retry_after="2")), cut_off()]) as provider: ...
    with Provider(script=cycle([None, None, failed(500)]), latency_s=0.01, most_in_flight=8) as provider: ...

*script* yields one item per completion request, in the order of arrival: a :class:`Response`, or None for the usual
reply.  After its end, all further requests get the usual reply.  It may be any iterable, also an infinite one.
*most_in_flight* is a hard concurrency limit: a request above it is refused with 429 at once.
*meet* holds all replies until so many completion requests, refused ones included, were there at one time; thus ``peak``
does not depend on the speed of the machine.  After a minute the provider replies in any case.

The provider keeps a request log, safe to read after the calls: ``requests`` (all requests), ``completions`` (only
completion requests), ``peak`` (most completion requests in flight at one time), ``refused`` (by the hard limit).

Random fault profiles, limits in a sliding window and Anthropic's wire format are in ``muses_eval.workers.rehearsal``.
To start such a provider by hand, use ``muses rehearse --serve``.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import repeat
from types import TracebackType
from typing import Any, Self

from muses_eval.workers.rehearsal.openai_format import chat_completion, model_list
from muses_eval.workers.rehearsal.responses import Response, as_json, html_page
from muses_eval.workers.rehearsal.server import LoopbackServer, ReceivedRequest, Send

__all__ = [
    "Provider",
    "ReceivedRequest",
    "ReplyText",
    "Response",
    "as_json",
    "completion",
    "cut_off",
    "failed",
    "garbage",
    "html",
    "last_message",
    "rate_limited",
    "refused",
    "reset",
    "slow",
    "storm",
]

ReplyText = Callable[[Mapping[str, Any]], str]
"""Maps the JSON of a request to the model's text."""

_COMPLETIONS = "/v1/chat/completions"
_PATIENCE_S = 60.0


def completion(
    content: object, finish_reason: str | None = "stop", usage: object = None, **message: object
) -> Response:
    """Returns a completion with this content (text, a list of parts, or None); *message* adds fields to the message."""
    return chat_completion(content, finish_reason, usage, **message)


def refused(status: int, message: str, code: str | int | None = None, **fields: object) -> Response:
    """Returns an error in OpenAI's format; *fields* adds fields to the error object."""
    return as_json({"error": {"message": message, "type": "invalid_request_error", "code": code, **fields}}, status)


def rate_limited(retry_after: str | None = None, retry_after_ms: str | None = None) -> Response:
    """Returns a 429 with the headers that say when to try again."""
    headers = {"Retry-After": retry_after, "retry-after-ms": retry_after_ms}
    answer = refused(429, "slow down", "rate_limit_exceeded")
    return answer.with_headers({name: value for name, value in headers.items() if value is not None})


def failed(status: int = 500) -> Response:
    """Returns an error page of a server or of a proxy in front of it."""
    return html_page(status)


def html() -> Response:
    """Returns an HTML page with status 200, as captive portals send it."""
    return html_page(200)


def garbage() -> Response:
    """Returns a response with status 200 and truncated JSON."""
    return Response(body=b'{"choices": [{"message"', headers={"Content-Type": "application/json"})


def cut_off() -> Response:
    """Returns a completion whose connection closes in the middle of the body."""
    return replace(completion("this text will not arrive as a whole"), ending="cut_off")


def reset() -> Response:
    """Returns a connection reset before the response."""
    return Response(ending="reset")


def slow(delay_s: float) -> Response:
    """Returns a valid completion that arrives late."""
    return replace(completion("late"), delay_s=delay_s)


def storm(count: int, answer: Response) -> Iterator[Response]:
    """Returns the same response *count* times."""
    return repeat(answer, count)


def last_message(request: Mapping[str, Any]) -> str:
    """Returns the content of the last message, which is the usual reply."""
    return str(request["messages"][-1]["content"])


class Provider:
    """The server, which runs in its own thread between ``start`` and ``stop`` or within a ``with`` block."""

    def __init__(
        self,
        *,
        reply: ReplyText = last_message,
        script: Iterable[Response | None] = (),
        latency_s: float = 0.0,
        most_in_flight: int | None = None,
        meet: int = 1,
        models: Response | None = None,
        port: int = 0,
    ) -> None:
        self._reply, self._script, self._latency_s = reply, iter(script), latency_s
        self._most_in_flight = most_in_flight
        self._meet, self._met = meet, asyncio.Event()
        self._models = models or model_list("any")
        self._server = LoopbackServer(self._handle, port)
        self._in_flight = 0
        self.requests: list[ReceivedRequest] = []
        self.peak = 0
        self.refused = 0

    @property
    def base_url(self) -> str:
        return f"{self._server.url}/v1"

    @property
    def completions(self) -> list[ReceivedRequest]:
        return [received for received in self.requests if received.path == _COMPLETIONS]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Starts the server and returns when its port is open."""
        self._server.start()

    def stop(self) -> None:
        """Stops the server and breaks connections that are still in flight."""
        self._server.stop()

    async def _handle(self, received: ReceivedRequest, send: Send) -> None:
        self.requests.append(received)
        match received.method, received.path:
            case "GET", "/v1/models":
                await send(self._models)
            case "POST", path if path == _COMPLETIONS:
                await self._complete(received, send)
            case _:
                await send(refused(404, f"no {received.method} {received.path} here"))

    async def _complete(self, received: ReceivedRequest, send: Send) -> None:
        if self._in_flight + 1 >= self._meet:
            self._met.set()
        if self._most_in_flight is not None and self._in_flight >= self._most_in_flight:
            self.refused += 1
            await send(rate_limited())
            return
        self._in_flight += 1
        self.peak = max(self.peak, self._in_flight)
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._met.wait(), _PATIENCE_S)
            await asyncio.sleep(self._latency_s)
            await send(next(self._script, None) or self._usual(received))
        finally:
            self._in_flight -= 1

    def _usual(self, received: ReceivedRequest) -> Response:
        text = self._reply(received.document)
        prompt_tokens = sum(len(str(message["content"]).split()) for message in received.document["messages"])
        return completion(text, usage={"prompt_tokens": prompt_tokens, "completion_tokens": len(text.split())})
