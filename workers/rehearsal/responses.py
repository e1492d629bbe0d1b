"""One HTTP response of the provider, and how it ends."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Ending = Literal["whole", "cut_off", "reset", "drip", "silence"]
"""``cut_off``: half of the announced body, then the connection closes.  ``reset``: it breaks before any byte.
``drip``: the body comes in small pieces.  ``silence``: nothing ever comes, until the client goes away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One HTTP response, and how it ends."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    """Seconds before anything is sent."""
    ending: Ending = "whole"
    drip_s: float = 0.0
    """Seconds that a dripping body takes."""

    def with_headers(self, headers: Mapping[str, str]) -> "Response":
        """The same with further headers."""
        return replace(self, headers={**self.headers, **headers}) if headers else self


def as_json(document: object, status: int = 200, **headers: str) -> Response:
    """Any JSON document; underscores in header names become dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(
        status=status, body=json.dumps(document).encode(), headers={"Content-Type": "application/json", **named}
    )


def page(status: int) -> Response:
    """A page for people: of a broken server, of a proxy in front of it, or, with status 200, of a captive portal."""
    return Response(status=status, body=b"<html><body>it broke</body></html>", headers={"Content-Type": "text/html"})


def garbled(answer: Response) -> Response:
    """The answer with JSON that ends in the middle, though the response is whole."""
    return replace(answer, body=answer.body[: len(answer.body) // 2])
