"""A web server on loopback in a thread with an event loop of its own."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

MAX_REQUEST_BYTES = 32 * 2**20
_BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class Request:
    """One request."""

    method: str
    path: str
    authorization: str
    """Value of the header of this name; empty when there is none."""
    body: bytes | None
    """None for a body of more than 32 MiB, which is not read."""


@dataclass(frozen=True, slots=True)
class Response:
    """One response."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"


Answer = Callable[[Request], Awaitable[Response]]
"""Answers a request, in the thread of the server; cancelled when the client disconnects."""


class LoopbackThread:
    """A running server."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="muses-bridge", daemon=True)
        self._runner: web.AppRunner

    @classmethod
    async def start(cls, answer: Answer) -> "LoopbackThread":
        """Returns a server on a free port.  Raises OSError when there is none."""
        server = cls()
        server._thread.start()
        server._runner = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_listen(answer), server._loop))
        return server

    @property
    def url(self) -> str:
        """Base URL, without a slash at the end."""
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def stop(self) -> None:
        """Closes the port, cancels the requests in flight, and ends the thread."""
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop))
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join)
        self._loop.close()


async def _listen(answer: Answer) -> web.AppRunner:
    async def handle(request: web.Request) -> web.Response:
        authorization = request.headers.get("Authorization", "")
        found = await answer(Request(request.method, request.path, authorization, await _body(request)))
        # OpenAI's clients obey the header; a repeated request would have the same response.
        headers = {"Content-Type": found.content_type, "x-should-retry": "false"}
        return web.Response(body=found.body, status=found.status, headers=headers)

    app = web.Application(client_max_size=MAX_REQUEST_BYTES)
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=_BACKLOG).start()
    return runner


async def _body(request: web.Request) -> bytes | None:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        return None
