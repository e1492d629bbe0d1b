"""HTTP responses of the fake provider, complete or broken."""

import json
from collections.abc import Mapping, Sequence
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


def as_events(documents: Sequence[Mapping[str, object]], end: str = "") -> Response:
    """Returns a stream of server-sent events, one for each document; *end* is the data of a last event.

    A document that has a ``type`` gives its event this name.
    """
    heads = [f"event: {document['type']}\n" if "type" in document else "" for document in documents]
    events = [f"{head}data: {json.dumps(document)}\n\n" for head, document in zip(heads, documents, strict=True)]
    last = f"data: {end}\n\n" if end else ""
    return Response(body="".join((*events, last)).encode(), headers={"Content-Type": "text/event-stream"})


def text_pieces(text: str, count: int = 8) -> list[str]:
    """Returns a text in at most *count* pieces, as a model streams it."""
    size = max(1, -(-len(text) // count))
    return [text[start : start + size] for start in range(0, len(text), size)]


def html_page(status: int) -> Response:
    """Returns an HTML page, as from a broken server, a proxy or, with status 200, a captive portal."""
    return Response(status=status, body=b"<html><body>it broke</body></html>", headers={"Content-Type": "text/html"})


def truncated_json(answer: Response) -> Response:
    """Returns the response with a body that ends in the middle; its length is announced correctly."""
    return replace(answer, body=answer.body[: len(answer.body) // 2])
