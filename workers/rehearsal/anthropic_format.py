"""The server's side of Anthropic's messages."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from muses_eval.workers.rehearsal.responses import Response, as_events, as_json, text_pieces
from muses_eval.workers.rehearsal.wire_format import (
    Allowances,
    BadRequestError,
    CompletionReply,
    CompletionRequest,
    entries_of,
    message_of,
    model_of,
    request_fields,
    text_of,
)

_ERROR_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class AnthropicFormat:
    """``POST /v1/messages``."""

    path = "messages"

    def read(self, document: object, headers: Mapping[str, str]) -> CompletionRequest:
        if "anthropic-version" not in headers:
            raise BadRequestError("anthropic-version: header is required")
        fields = request_fields(document)
        most = fields.get("max_tokens")
        if not isinstance(most, int) or most < 1:
            raise BadRequestError("max_tokens: Field required, a number from 1 on")
        messages = [message_of(entry) for entry in entries_of(fields)]
        for number, (role, _) in enumerate(messages):
            if role not in ("user", "assistant"):
                raise BadRequestError(f"messages.{number}.role: Input should be 'user' or 'assistant'")
        briefing = fields.get("system")
        head = [] if briefing is None else [("system", text_of(briefing))]
        return CompletionRequest(model_of(fields), (*head, *messages), most, fields.get("stream") is True)

    def completion(self, request: CompletionRequest, reply: CompletionReply, number: int) -> Response:
        message = {
            "id": f"msg_{number}",
            "type": "message",
            "role": "assistant",
            "model": request.model,
            "content": [{"type": "text", "text": reply.text}],
            "stop_reason": "max_tokens" if reply.cut else "end_turn",
            "stop_sequence": None,
            "usage": {
                "input_tokens": reply.prompt_tokens - reply.cached_tokens,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": reply.cached_tokens,
                "output_tokens": reply.completion_tokens,
            },
        }
        return message_stream(message, reply.text) if request.stream else as_json(message)

    def error(self, status: int, message: str) -> Response:
        kind = _ERROR_KINDS.get(status, "api_error" if status >= 500 else "invalid_request_error")
        return as_json({"type": "error", "error": {"type": kind, "message": message}}, status)

    def allowance(self, left: Allowances) -> Mapping[str, str]:
        headers = {}
        for what, one in left.items():
            headers[f"anthropic-ratelimit-{what}-limit"] = str(one.limit)
            headers[f"anthropic-ratelimit-{what}-remaining"] = str(one.remaining)
            headers[f"anthropic-ratelimit-{what}-reset"] = _date_in(one.reset_s)
        return headers


def message_stream(message: Mapping[str, Any], text: str) -> Response:
    """Returns a message of one text block as a stream of events."""
    end = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    tokens = message["usage"]["output_tokens"]
    start = {**message, "content": [], "stop_reason": None, "usage": {**message["usage"], "output_tokens": 1}}
    block = {"type": "text", "text": ""}
    deltas = [{"type": "text_delta", "text": piece} for piece in text_pieces(text)]
    return as_events(
        [
            {"type": "message_start", "message": start},
            {"type": "content_block_start", "index": 0, "content_block": block},
            {"type": "ping"},
            *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": end, "usage": {"output_tokens": tokens}},
            {"type": "message_stop"},
        ]
    )


def _date_in(seconds: float) -> str:
    """Returns the time some seconds from now in Anthropic's form: RFC 3339, in whole seconds."""
    moment = datetime.now(UTC) + timedelta(seconds=math.ceil(seconds))
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
