"""A reverse proxy in front of a server on loopback that can be switched to answer with errors.

with Front(server_port) as front:
    client(front.port)
    front.trouble = 503          # from now on every request gets this status; open connections break
    front.trouble = None
"""

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Self


class Front:
    """Forwards the bytes of HTTP and websocket connections; runs in its own thread."""

    def __init__(self, behind: int) -> None:
        self._behind = behind
        self._trouble: int | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._open: set[asyncio.StreamWriter] = set()
        self.refused: list[str] = []
        """Paths of the requests that the proxy has answered itself."""

    @property
    def trouble(self) -> int | None:
        """HTTP status of the answer to every request; None to forward requests."""
        return self._trouble

    @trouble.setter
    def trouble(self, status: int | None) -> None:
        self._trouble = status
        self._loop.call_soon_threadsafe(self._break_all)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _stop(self) -> None:
        self._server.close()
        self._break_all()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait(others, timeout=5) if others else None

    def _break_all(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await (self._pass_on(reader, writer) if self._trouble is None else self._refuse(reader, writer))
        finally:
            self._open.discard(writer)
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back_reader, back_writer = await asyncio.open_connection("127.0.0.1", self._behind)
        self._open.add(back_writer)
        try:
            await asyncio.gather(_copy(reader, back_writer), _copy(back_reader, writer))
        finally:
            self._open.discard(back_writer)
            back_writer.close()

    async def _refuse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                await reader.readexactly(int(line.partition(b":")[2]))
        self.refused.append(head.split(b" ")[1].decode())
        writer.write(b"HTTP/1.1 %d Trouble\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % (self._trouble or 503))
        await writer.drain()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
