"""HTTP responses of the fake provider, complete or broken."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Ending = Literal["whole", "cut_off", "reset", "drip", "silence"]
"""``cut_off``: half of the announced body, then the connection closes.  ``reset``: the connection breaks before any
byte.  ``drip``: the body is sent in small pieces.  ``silence``: nothing is sent until the client disconnects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One HTTP response, with the way in which it ends."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    """Seconds before anything is sent."""
    ending: Ending = "whole"
    drip_s: float = 0.0
    """Seconds that a dripping body takes."""

    def with_headers(self, headers: Mapping[str, str]) -> "Response":
        """Returns the response with further headers."""
        return replace(self, headers={**self.headers, **headers}) if headers else self


def as_json(document: object, status: int = 200, **headers: str) -> Response:
    """Returns a JSON document as a response; underscores in header names become dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(
        status=status, body=json.dumps(document).encode(), headers={"Content-Type": "application/json", **named}
    )


def html_page(status: int) -> Response:
    """Returns an HTML page, as from a broken server, a proxy or, with status 200, a captive portal."""
    return Response(status=status, body=b"<html><body>it broke</body></html>", headers={"Content-Type": "text/html"})


def truncated_json(answer: Response) -> Response:
    """Returns the response with a body that ends in the middle; its length is announced correctly."""
    return replace(answer, body=answer.body[: len(answer.body) // 2])
