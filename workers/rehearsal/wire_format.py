"""The interface of a wire format on the server's side, and the parsing of requests that all formats share."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from muses_eval.workers.rehearsal.responses import Response

RetryAfter = Literal["none", "seconds", "milliseconds"]
"""The header of a refusal that reports when to retry: none, ``Retry-After``, or ``retry-after-ms``."""


class BadRequestError(Exception):
    """Raised for a malformed request; the text has the reason."""


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """One request for a completion."""

    model: str
    messages: tuple[tuple[str, str], ...]
    """(role, text) pairs; the system prompt has the role ``system``."""
    most_tokens: int | None
    """Most tokens of the completion; None when it is unbounded."""
    stream: bool = False
    """True when the completion is requested as a stream of events."""
    usage: bool = True
    """False for a stream that does not report its tokens."""


@dataclass(frozen=True, slots=True)
class CompletionReply:
    """One completion."""

    text: str
    cut: bool
    """True when it ends because ``most_tokens`` was reached."""
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    """Number of prompt tokens that were cached."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """The rest of a limit."""

    limit: int
    remaining: int
    reset_s: float
    """Seconds until the whole limit is available again, without further requests."""


Allowances = Mapping[str, Allowance]
"""Allowances by the limited quantity: ``requests``, ``tokens``."""


class ServerWireFormat(Protocol):
    """Parses requests and makes responses in one wire format."""

    path: str
    """Path below the version, as ``chat/completions``."""

    def read(self, document: object, headers: Mapping[str, str]) -> CompletionRequest:
        """Parses a request.  Raises BadRequestError."""
        ...

    def completion(self, request: CompletionRequest, reply: CompletionReply, number: int) -> Response: ...

    def error(self, status: int, message: str) -> Response: ...

    def allowance(self, left: Allowances) -> Mapping[str, str]:
        """Returns the headers that report the rest of each limit."""
        ...


def retry_headers(style: RetryAfter, wait_s: float) -> Mapping[str, str]:
    """Returns the headers that report when to retry, rounded up."""
    match style:
        case "none":
            return {}
        case "seconds":
            return {"Retry-After": str(math.ceil(wait_s))}
        case "milliseconds":
            return {"retry-after-ms": str(math.ceil(1000 * wait_s))}


def request_fields(document: object) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise BadRequestError("the body has to be a JSON object")
    if not isinstance(document.get("stream", False), bool):
        raise BadRequestError("stream: true or false")
    return document


def model_of(fields: Mapping[str, object]) -> str:
    model = fields.get("model")
    if not isinstance(model, str) or not model:
        raise BadRequestError("model: a name is required")
    return model


def entries_of(fields: Mapping[str, object]) -> list[object]:
    entries = fields.get("messages")
    if not isinstance(entries, list) or not entries:
        raise BadRequestError("messages: a list with at least one message is required")
    return entries


def message_of(entry: object) -> tuple[str, str]:
    role = entry.get("role") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(role, str):
        raise BadRequestError("messages: each has a role and a content")
    return role, text_of(entry.get("content"))


def text_of(content: object) -> str:
    """Returns a content as text, whether it is one text or in parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""
