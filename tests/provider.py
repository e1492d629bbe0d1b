"""A model provider on loopback: a real HTTP server that speaks OpenAI's chat completions, and misbehaves on request.

In a test::

    with Provider() as provider:                             # echoes the last message
        Endpoint(provider.base_url, api_key_env=None)
    with Provider(reply=lambda request: "fixed text") as provider: ...
    with Provider(script=[*storm(3, rate_limited(retry_after="2")), cut_off()]) as provider: ...
    with Provider(script=cycle([None, None, failed(500)]), latency_s=0.01, most_in_flight=8) as provider: ...

*script* says what happens to each completion request, in the order of arrival: an :class:`Answer`, or None for the
usual reply; when it is used up, all further requests get the usual reply.  Any iterable will do, an endless one too.
*most_in_flight* is a hard limit of concurrency: the request above it is refused with 429 at once.

The provider keeps books, safe to read after the calls: ``requests`` (everything that arrived), ``completions`` (only
completion requests), ``peak`` (most completion requests in flight at one time), ``refused`` (by the hard limit).

By hand: ``python -m tests.provider --port 8099 --reply "yes" --fail-every 5``, then point a ``base_url`` at
``http://127.0.0.1:8099/v1``.
"""

import argparse
import asyncio
import json
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import cycle, repeat
from types import TracebackType
from typing import Any, Literal, Self

from aiohttp import web

ReplyText = Callable[[Mapping[str, Any]], str]
"""From the request's JSON to the model's text."""

_START_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One HTTP response, and how it ends."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    """Seconds before anything is sent."""
    ending: Literal["whole", "cut_off", "reset"] = "whole"
    """``cut_off``: half of the announced body, then the connection closes.  ``reset``: it breaks before any byte."""


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it arrived."""

    method: str
    path: str
    authorization: str | None
    body: bytes
    client_port: int
    """The client's end of the connection: equal for requests that came over the same one."""

    @property
    def document(self) -> dict[str, Any]:
        """The body as JSON."""
        document: dict[str, Any] = json.loads(self.body)
        return document


def as_json(document: object, status: int = 200, **headers: str) -> Answer:
    """Any JSON document; underscores in header names become dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(
        status=status, body=json.dumps(document).encode(), headers={"Content-Type": "application/json", **named}
    )


def completion(
    content: object,
    finish_reason: str | None = "stop",
    usage: object = None,
    **message: object,
) -> Answer:
    """A completion with this content (text, a list of parts, or None); *message*: further fields of the message."""
    document = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish_reason,
                "message": {"role": "assistant", "content": content, **message},
            }
        ],
    }
    return as_json(document if usage is None else {**document, "usage": usage})


def refused(status: int, message: str, code: str | int | None = None, **fields: object) -> Answer:
    """An error as OpenAI words it; *fields*: further ones of the error object."""
    return as_json({"error": {"message": message, "type": "invalid_request_error", "code": code, **fields}}, status)


def rate_limited(retry_after: str | None = None, retry_after_ms: str | None = None) -> Answer:
    """429, with what the provider says about when to come back."""
    headers = {"Retry-After": retry_after, "retry-after-ms": retry_after_ms}
    said = {name: value for name, value in headers.items() if value is not None}
    answer = refused(429, "slow down", "rate_limit_exceeded")
    return Answer(status=429, body=answer.body, headers={**answer.headers, **said})


def failed(status: int = 500) -> Answer:
    """An error page of a server or of a proxy in front of it."""
    return Answer(status=status, body=b"<html><body>it broke</body></html>", headers={"Content-Type": "text/html"})


def html() -> Answer:
    """A page for people with status 200, as captive portals send it."""
    return failed(200)


def garbage() -> Answer:
    """Status 200, and JSON that ends too early."""
    return Answer(body=b'{"choices": [{"message"', headers={"Content-Type": "application/json"})


def cut_off() -> Answer:
    """A completion that stops in the middle of its body."""
    answer = completion("this text will not arrive as a whole")
    return Answer(body=answer.body, headers=answer.headers, ending="cut_off")


def reset() -> Answer:
    """A connection that breaks before the answer."""
    return Answer(ending="reset")


def slow(delay_s: float) -> Answer:
    """A good answer that comes late."""
    answer = completion("late")
    return Answer(body=answer.body, headers=answer.headers, delay_s=delay_s)


def storm(count: int, answer: Answer) -> Iterator[Answer]:
    """The same answer so many times."""
    return repeat(answer, count)


def last_message(request: Mapping[str, Any]) -> str:
    """The usual reply: what was said last."""
    return str(request["messages"][-1]["content"])


class Provider:
    """The server; it runs in a thread of its own between ``start`` and ``stop``, or within a ``with`` block."""

    def __init__(
        self,
        *,
        reply: ReplyText = last_message,
        script: Iterable[Answer | None] = (),
        latency_s: float = 0.0,
        most_in_flight: int | None = None,
        models: Answer | None = None,
        port: int = 0,
    ) -> None:
        self._reply, self._script, self._latency_s = reply, iter(script), latency_s
        self._most_in_flight = most_in_flight
        self._models = models or as_json({"object": "list", "data": [{"id": "any", "object": "model"}]})
        self._port = port
        self._in_flight = 0
        self.requests: list[Received] = []
        self.peak = 0
        self.refused = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def completions(self) -> list[Received]:
        return [received for received in self.requests if received.path == "/v1/chat/completions"]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when the port is open."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="provider", daemon=True)
        self._thread.start()
        self._runner = asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(_START_TIMEOUT_S)

    def stop(self) -> None:
        """Breaks off what is still in flight."""
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(_START_TIMEOUT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _open(self) -> web.AppRunner:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/v1/models", self._list_models)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self._port)
        await site.start()
        self._port = runner.addresses[0][1]
        return runner

    async def _list_models(self, request: web.Request) -> web.StreamResponse:
        await self._note(request)
        return await _send(request, self._models)

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        received = await self._note(request)
        if self._most_in_flight is not None and self._in_flight >= self._most_in_flight:
            self.refused += 1
            return await _send(request, rate_limited())
        self._in_flight += 1
        self.peak = max(self.peak, self._in_flight)
        try:
            await asyncio.sleep(self._latency_s)
            return await _send(request, next(self._script, None) or self._usual(received))
        finally:
            self._in_flight -= 1

    async def _note(self, request: web.Request) -> Received:
        authorization = request.headers.get("Authorization")
        peer = () if request.transport is None else request.transport.get_extra_info("peername")
        client_port = peer[1] if peer else 0
        received = Received(request.method, request.path, authorization, await request.read(), client_port)
        self.requests.append(received)
        return received

    def _usual(self, received: Received) -> Answer:
        text = self._reply(received.document)
        prompt_tokens = sum(len(str(message["content"]).split()) for message in received.document["messages"])
        return completion(text, usage={"prompt_tokens": prompt_tokens, "completion_tokens": len(text.split())})


async def _send(request: web.Request, answer: Answer) -> web.StreamResponse:
    await asyncio.sleep(answer.delay_s)
    transport = request.transport
    match answer.ending:
        case "whole":
            return web.Response(status=answer.status, body=answer.body, headers=answer.headers)
        case "cut_off":
            announced = {**answer.headers, "Content-Length": str(len(answer.body))}
            response = web.StreamResponse(status=answer.status, headers=announced)
            await response.prepare(request)
            await response.write(answer.body[: len(answer.body) // 2])
            if transport is not None:
                transport.close()
            return response
        case "reset":
            if transport is not None:
                transport.abort()
            return web.Response()


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.provider", description="An OpenAI-compatible toy server.")
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument("--reply", help="always answer with this text (default: repeat the last message)")
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--fail-every", type=int, metavar="N", help="every N-th request gets HTTP 500")
    parser.add_argument("--most-in-flight", type=int, metavar="N", help="refuse more than N at a time with 429")
    options = parser.parse_args()
    provider = Provider(
        reply=last_message if options.reply is None else lambda _: str(options.reply),
        script=cycle([*repeat(None, options.fail_every - 1), failed()]) if options.fail_every else (),
        latency_s=options.latency,
        most_in_flight=options.most_in_flight,
        port=options.port,
    )
    with provider:
        sys.stderr.write(f"listening on {provider.base_url}; stop with Ctrl-C\n")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            sys.stderr.write(f"{len(provider.completions)} completions, at most {provider.peak} at a time\n")


if __name__ == "__main__":
    _main()
