"""A webhook receiver: a server on loopback that keeps the JSON posted to it."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """Accepts every POST except those to ``/broken``."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, Any]] = []
        taken = self.messages

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(500 if self.path == "/broken" else 200)
                self.end_headers()
                taken.append((self.path, json.loads(body)))

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def address(self, path: str, scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self._server.server_port}{path}"

    def at(self, path: str) -> list[Any]:
        return [message for place, message in self.messages if place == path]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
