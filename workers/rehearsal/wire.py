"""How providers word a request and what comes back: OpenAI's chat completions and Anthropic's messages."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol

from workers.rehearsal.answers import Answer, as_json

RetryAfter = Literal["none", "seconds", "milliseconds"]
"""How a refusal says when to come back: not at all, ``Retry-After``, or ``retry-after-ms``."""

_ANTHROPIC_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class BadRequestError(Exception):
    """A request that the provider does not understand; the text says why."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request for a completion."""

    model: str
    messages: tuple[tuple[str, str], ...]
    """(role, text) pairs; the briefing has the role ``system``."""
    most_tokens: int | None
    """The longest answer that is wanted; None: any."""


@dataclass(frozen=True, slots=True)
class Said:
    """One completion."""

    text: str
    cut: bool
    """Whether it ends because ``most_tokens`` was reached."""
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    """Of the prompt's."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much of a limit is left."""

    limit: int
    remaining: int
    reset_s: float
    """Until all of it is there again, if nothing more is asked."""


Allowances = Mapping[str, Allowance]
"""By what is limited: requests, tokens."""


class Wire(Protocol):
    """One provider's way of putting things."""

    def read(self, document: object, headers: Mapping[str, str]) -> Asked:
        """Raises BadRequestError."""
        ...

    def completion(self, asked: Asked, said: Said, number: int) -> Answer: ...

    def error(self, status: int, message: str) -> Answer: ...

    def allowance(self, left: Allowances) -> Mapping[str, str]:
        """Headers that tell how much is left."""
        ...


class OpenAIWire:
    """``POST /v1/chat/completions``."""

    def read(self, document: object, headers: Mapping[str, str]) -> Asked:  # noqa: ARG002 - it needs none
        fields = _fields(document)
        messages = tuple(_message(entry) for entry in _entries(fields))
        most = fields.get("max_completion_tokens", fields.get("max_tokens"))
        return Asked(_model(fields), messages, most if isinstance(most, int) else None)

    def completion(self, asked: Asked, said: Said, number: int) -> Answer:
        usage = openai_usage(said.prompt_tokens, said.completion_tokens, said.cached_tokens)
        return chat_completion(said.text, "length" if said.cut else "stop", usage, number, asked.model)

    def error(self, status: int, message: str) -> Answer:
        kind, code = "invalid_request_error", None
        if status == 429:
            kind, code = "requests", "rate_limit_exceeded"
        elif status >= 500:
            kind = "server_error"
        return as_json({"error": {"message": message, "type": kind, "param": None, "code": code}}, status)

    def allowance(self, left: Allowances) -> Mapping[str, str]:
        told = {}
        for what, one in left.items():
            told[f"x-ratelimit-limit-{what}"] = str(one.limit)
            told[f"x-ratelimit-remaining-{what}"] = str(one.remaining)
            told[f"x-ratelimit-reset-{what}"] = _duration(one.reset_s)
        return told


class AnthropicWire:
    """``POST /v1/messages``."""

    def read(self, document: object, headers: Mapping[str, str]) -> Asked:
        if "anthropic-version" not in headers:
            raise BadRequestError("anthropic-version: header is required")
        fields = _fields(document)
        most = fields.get("max_tokens")
        if not isinstance(most, int) or most < 1:
            raise BadRequestError("max_tokens: Field required, a number from 1 on")
        messages = [_message(entry) for entry in _entries(fields)]
        for number, (role, _) in enumerate(messages):
            if role not in ("user", "assistant"):
                raise BadRequestError(f"messages.{number}.role: Input should be 'user' or 'assistant'")
        briefing = fields.get("system")
        head = [] if briefing is None else [("system", _text(briefing))]
        return Asked(_model(fields), (*head, *messages), most)

    def completion(self, asked: Asked, said: Said, number: int) -> Answer:
        return as_json(
            {
                "id": f"msg_{number}",
                "type": "message",
                "role": "assistant",
                "model": asked.model,
                "content": [{"type": "text", "text": said.text}],
                "stop_reason": "max_tokens" if said.cut else "end_turn",
                "stop_sequence": None,
                "usage": {
                    "input_tokens": said.prompt_tokens - said.cached_tokens,
                    "cache_creation_input_tokens": 0,
                    "cache_read_input_tokens": said.cached_tokens,
                    "output_tokens": said.completion_tokens,
                },
            }
        )

    def error(self, status: int, message: str) -> Answer:
        kind = _ANTHROPIC_KINDS.get(status, "api_error" if status >= 500 else "invalid_request_error")
        return as_json({"type": "error", "error": {"type": kind, "message": message}}, status)

    def allowance(self, left: Allowances) -> Mapping[str, str]:
        told = {}
        for what, one in left.items():
            told[f"anthropic-ratelimit-{what}-limit"] = str(one.limit)
            told[f"anthropic-ratelimit-{what}-remaining"] = str(one.remaining)
            told[f"anthropic-ratelimit-{what}-reset"] = _date_in(one.reset_s)
        return told


def chat_completion(
    content: object,
    finish_reason: str | None,
    usage: object = None,
    number: int = 1,
    model: str | None = None,
    **message: object,
) -> Answer:
    """OpenAI's document; *content* is text, a list of parts, or None; *message*: further fields of the message."""
    document = {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish_reason,
                "message": {"role": "assistant", "content": content, **message},
            }
        ],
    }
    optional = {"model": model, "usage": usage}
    return as_json({**document, **{name: value for name, value in optional.items() if value is not None}})


def openai_usage(prompt_tokens: int, completion_tokens: int, cached_tokens: int) -> dict[str, object]:
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": cached_tokens},
    }


def model_list(*models: str) -> Answer:
    """What ``GET /v1/models`` answers."""
    data = [{"id": model, "object": "model", "created": 0, "owned_by": "rehearsal"} for model in models]
    return as_json({"object": "list", "data": data})


def retry_headers(style: RetryAfter, wait_s: float) -> Mapping[str, str]:
    """When to come back, never too early."""
    match style:
        case "none":
            return {}
        case "seconds":
            return {"Retry-After": str(math.ceil(wait_s))}
        case "milliseconds":
            return {"retry-after-ms": str(math.ceil(1000 * wait_s))}


def _fields(document: object) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise BadRequestError("the body has to be a JSON object")
    if document.get("stream"):
        raise BadRequestError("stream: this provider sends whole answers only")
    return document


def _model(fields: Mapping[str, object]) -> str:
    model = fields.get("model")
    if not isinstance(model, str) or not model:
        raise BadRequestError("model: a name is required")
    return model


def _entries(fields: Mapping[str, object]) -> list[object]:
    entries = fields.get("messages")
    if not isinstance(entries, list) or not entries:
        raise BadRequestError("messages: a list with at least one message is required")
    return entries


def _message(entry: object) -> tuple[str, str]:
    role = entry.get("role") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(role, str):
        raise BadRequestError("messages: each has a role and a content")
    return role, _text(entry.get("content"))


def _text(content: object) -> str:
    """A content as text: whole, or in parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _duration(seconds: float) -> str:
    """As OpenAI writes it: 250ms, 1.5s, 6m0s."""
    if seconds < 1:
        return f"{math.ceil(1000 * seconds)}ms"
    minutes, rest = divmod(math.ceil(1000 * seconds) / 1000, 60)
    return f"{int(minutes)}m{rest:g}s" if minutes else f"{rest:g}s"


def _date_in(seconds: float) -> str:
    """RFC 3339; whole seconds, as Anthropic writes it."""
    moment = datetime.now(UTC) + timedelta(seconds=math.ceil(seconds))
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
