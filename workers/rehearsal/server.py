"""An HTTP server on loopback in a thread of its own; a handler decides the responses.

The handler gets each request and a function that sends the response, and runs until the response is sent.  So it knows
when the response was written; when the client disconnects before, the handler is cancelled, or
:exc:`ConnectionError` is raised.
"""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from muses_eval.workers.rehearsal.responses import Response

_START_TIMEOUT_S = 10.0
_LARGEST_REQUEST = 64 * 2**20
_BACKLOG = 4096
"""Number of connections that may wait to be accepted: thousands of episodes may connect at the same time."""
_PIECES = 20
"""Number of pieces in which a dripping body is sent."""

Send = Callable[[Response], Awaitable[None]]
"""Sends the response to a request, once.  Raises ConnectionError when the client has disconnected."""


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """One request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    client_port: int
    """Port of the client, which is equal for requests over the same connection."""
    query: Mapping[str, str] = field(default_factory=dict)
    """Parameters in the query of the address."""

    @property
    def authorization(self) -> str | None:
        return self.headers.get("Authorization")

    @property
    def document(self) -> dict[str, Any]:
        """The body as JSON."""
        document: dict[str, Any] = json.loads(self.body)
        return document


Handler = Callable[[ReceivedRequest, Send], Awaitable[None]]


class LoopbackServer:
    """Listens between ``start`` and ``stop``, or within a ``with`` block.

    Args:
        handle: handles each request, on the server's own thread.
        port: TCP port; 0 for any free one.
    """

    def __init__(self, handle: Handler, port: int = 0) -> None:
        self._handle, self._port = handle, port

    @property
    def url(self) -> str:
        """Base URL of the server, without a slash at the end."""
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when the port is open.  Raises OSError when it is not available."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="provider", daemon=True)
        self._thread.start()
        try:
            self._runner = asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(_START_TIMEOUT_S)
        except BaseException:
            self._end_thread()
            raise

    def stop(self) -> None:
        """Aborts the requests in flight and closes the port."""
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(_START_TIMEOUT_S)
        self._end_thread()

    def _end_thread(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _open(self) -> web.AppRunner:
        app = web.Application(client_max_size=_LARGEST_REQUEST)
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", self._port, backlog=_BACKLOG).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._port = runner.addresses[0][1]
        return runner

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        sent: list[web.StreamResponse] = []

        async def send(answer: Response) -> None:
            sent.append(await _send(request, answer))

        try:
            await self._handle(await _received(request), send)
        except ConnectionError:  # the client has disconnected
            return web.Response()
        return sent[0]


async def _received(request: web.Request) -> ReceivedRequest:
    peer = () if request.transport is None else request.transport.get_extra_info("peername")
    body, port = await request.read(), peer[1] if peer else 0
    return ReceivedRequest(request.method, request.path, request.headers, body, port, request.query)


async def _send(request: web.Request, answer: Response) -> web.StreamResponse:
    if answer.delay_s:
        await asyncio.sleep(answer.delay_s)
    match answer.ending:
        case "whole":
            return await _write(request, answer, [answer.body])
        case "drip":
            return await _write(request, answer, _pieces(answer.body), answer.drip_s)
        case "cut_off":
            response = await _write(request, answer, [answer.body[: len(answer.body) // 2]])
            if request.transport is not None:
                request.transport.close()
            return response
        case "reset":
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        case "silence":
            await asyncio.Event().wait()  # until the client disconnects, or this server is stopped
            raise AssertionError("unreachable: the event is never set")


async def _write(
    request: web.Request, answer: Response, pieces: list[bytes], seconds: float = 0.0
) -> web.StreamResponse:
    """Sends pieces of a body with the length of the whole body."""
    announced = {**answer.headers, "Content-Length": str(len(answer.body))}
    response = web.StreamResponse(status=answer.status, headers=announced)
    await response.prepare(request)
    for number, piece in enumerate(pieces):
        if number:
            await asyncio.sleep(seconds / (len(pieces) - 1))
        await response.write(piece)
    if sum(map(len, pieces)) == len(answer.body):
        await response.write_eof()
    return response


def _pieces(body: bytes) -> list[bytes]:
    size = max(1, -(-len(body) // _PIECES))
    return [body[start : start + size] for start in range(0, len(body), size)]
