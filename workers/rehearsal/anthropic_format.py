"""Anthropic's messages, as a server reads and words them."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from muses_eval.workers.rehearsal.responses import Response, as_json
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
        return CompletionRequest(model_of(fields), (*head, *messages), most)

    def completion(self, asked: CompletionRequest, said: CompletionReply, number: int) -> Response:
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

    def error(self, status: int, message: str) -> Response:
        kind = _ERROR_KINDS.get(status, "api_error" if status >= 500 else "invalid_request_error")
        return as_json({"type": "error", "error": {"type": kind, "message": message}}, status)

    def allowance(self, left: Allowances) -> Mapping[str, str]:
        told = {}
        for what, one in left.items():
            told[f"anthropic-ratelimit-{what}-limit"] = str(one.limit)
            told[f"anthropic-ratelimit-{what}-remaining"] = str(one.remaining)
            told[f"anthropic-ratelimit-{what}-reset"] = _date_in(one.reset_s)
        return told


def _date_in(seconds: float) -> str:
    """RFC 3339; whole seconds, as Anthropic writes it."""
    moment = datetime.now(UTC) + timedelta(seconds=math.ceil(seconds))
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
