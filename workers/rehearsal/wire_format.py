"""What a wire format has to provide on the server's side, and the reading of requests that all of them share."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from muses_eval.workers.rehearsal.responses import Response

RetryAfter = Literal["none", "seconds", "milliseconds"]
"""How a refusal says when to come back: not at all, ``Retry-After``, or ``retry-after-ms``."""


class BadRequestError(Exception):
    """A request that the provider does not understand; the text says why."""


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """One request for a completion."""

    model: str
    messages: tuple[tuple[str, str], ...]
    """(role, text) pairs; the briefing has the role ``system``."""
    most_tokens: int | None
    """The longest answer that is wanted; None: any."""


@dataclass(frozen=True, slots=True)
class CompletionReply:
    """One completion."""

    text: str
    cut: bool
    """Whether it ends because ``most_tokens`` was reached."""
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    """Prompt tokens that were cached."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much of a limit is left."""

    limit: int
    remaining: int
    reset_s: float
    """Until all of it is there again, if nothing more is asked."""


Allowances = Mapping[str, Allowance]
"""By what is limited: requests, tokens."""


class WireFormat(Protocol):
    """How requests are read and responses are worded."""

    path: str
    """Below the version, as ``chat/completions``."""

    def read(self, document: object, headers: Mapping[str, str]) -> CompletionRequest:
        """Raises BadRequestError."""
        ...

    def completion(self, asked: CompletionRequest, said: CompletionReply, number: int) -> Response: ...

    def error(self, status: int, message: str) -> Response: ...

    def allowance(self, left: Allowances) -> Mapping[str, str]:
        """Headers that tell how much is left."""
        ...


def retry_headers(style: RetryAfter, wait_s: float) -> Mapping[str, str]:
    """When to come back, never too early."""
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
    if document.get("stream"):
        raise BadRequestError("stream: this provider sends whole answers only")
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
    """A content as text: whole, or in parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""
