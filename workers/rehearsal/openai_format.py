"""The server's side of OpenAI's chat completions."""

import math
from collections.abc import Mapping

from muses_eval.workers.rehearsal.responses import Response, as_events, as_json, text_pieces
from muses_eval.workers.rehearsal.wire_format import (
    Allowances,
    CompletionReply,
    CompletionRequest,
    entries_of,
    message_of,
    model_of,
    request_fields,
)


class OpenAIFormat:
    """``POST /v1/chat/completions``."""

    path = "chat/completions"

    def read(self, document: object, headers: Mapping[str, str]) -> CompletionRequest:  # noqa: ARG002 - it needs none
        fields = request_fields(document)
        messages = tuple(message_of(entry) for entry in entries_of(fields))
        most = fields.get("max_completion_tokens", fields.get("max_tokens"))
        stream = fields.get("stream") is True
        options = fields.get("stream_options")
        usage = not stream or (isinstance(options, dict) and options.get("include_usage") is True)
        return CompletionRequest(model_of(fields), messages, most if isinstance(most, int) else None, stream, usage)

    def completion(self, request: CompletionRequest, reply: CompletionReply, number: int) -> Response:
        usage = openai_usage(reply.prompt_tokens, reply.completion_tokens, reply.cached_tokens)
        finish_reason = "length" if reply.cut else "stop"
        if request.stream:
            return chat_stream(reply.text, finish_reason, usage if request.usage else None, number, request.model)
        return chat_completion(reply.text, finish_reason, usage, number, request.model)

    def error(self, status: int, message: str) -> Response:
        kind, code = "invalid_request_error", None
        if status == 429:
            kind, code = "requests", "rate_limit_exceeded"
        elif status >= 500:
            kind = "server_error"
        return as_json({"error": {"message": message, "type": kind, "param": None, "code": code}}, status)

    def allowance(self, left: Allowances) -> Mapping[str, str]:
        headers = {}
        for what, one in left.items():
            headers[f"x-ratelimit-limit-{what}"] = str(one.limit)
            headers[f"x-ratelimit-remaining-{what}"] = str(one.remaining)
            headers[f"x-ratelimit-reset-{what}"] = _duration(one.reset_s)
        return headers


def chat_completion(
    content: object,
    finish_reason: str | None,
    usage: object = None,
    number: int = 1,
    model: str | None = None,
    **message: object,
) -> Response:
    """Returns a completion; *content* is text, a list of parts, or None; *message*: further fields of the message."""
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


def chat_stream(
    text: str, finish_reason: str | None, usage: object = None, number: int = 1, model: str | None = None
) -> Response:
    """Returns a completion as a stream of events: the role, pieces of the text, the end, and the tokens."""
    deltas = [{"role": "assistant", "content": ""}, *({"content": piece} for piece in text_pieces(text)), {}]
    ends = [None] * (len(deltas) - 1) + [finish_reason]
    head = {"id": f"chatcmpl-{number}", "object": "chat.completion.chunk", "model": model or "any"}
    chunks: list[dict[str, object]] = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": end}]}
        for delta, end in zip(deltas, ends, strict=True)
    ]
    tokens = [] if usage is None else [{**head, "choices": [], "usage": usage}]
    return as_events([*chunks, *tokens], end="[DONE]")


def openai_usage(prompt_tokens: int, completion_tokens: int, cached_tokens: int) -> dict[str, object]:
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": cached_tokens},
    }


def model_list(*models: str) -> Response:
    """Returns the response to ``GET /v1/models``."""
    data = [{"id": model, "object": "model", "created": 0, "owned_by": "rehearsal"} for model in models]
    return as_json({"object": "list", "data": data})


def _duration(seconds: float) -> str:
    """Returns a duration in OpenAI's form: 250ms, 1.5s, 6m0s."""
    if seconds < 1:
        return f"{math.ceil(1000 * seconds)}ms"
    minutes, rest = divmod(math.ceil(1000 * seconds) / 1000, 60)
    return f"{int(minutes)}m{rest:g}s" if minutes else f"{rest:g}s"
