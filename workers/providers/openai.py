"""OpenAI's chat completions, which many other providers implement: ``POST {base_url}/chat/completions``.

Newer models of OpenAI refuse ``max_tokens`` and expect ``max_completion_tokens`` instead.  When a model refuses it, the
request is repeated with the other name, which all later requests then use.
"""

import json
from collections.abc import Mapping
from typing import Any

from muses_eval.pipeline.config.sampling import Sampling
from muses_eval.pipeline.episode.control_tokens import escape_control_tokens
from muses_eval.pipeline.episode.serialization import ChatMessage
from muses_eval.workers.providers.adapter import Completion, NoCompletionError, Options, encoded, token_count
from muses_eval.workers.providers.api_error import ApiError, parse_error
from muses_eval.workers.providers.http_client import well_formed

_OLD_LIMIT, _NEW_LIMIT = "max_tokens", "max_completion_tokens"


class OpenAIAdapter:
    """The adapter of OpenAI's format; it remembers which name of the token limit the model accepts."""

    path = "/chat/completions"

    def __init__(self) -> None:
        self._limit_field = _OLD_LIMIT

    def headers(self, api_key: str | None) -> Mapping[str, str]:
        common = {"Content-Type": "application/json", "Accept": "application/json"}
        return common if api_key is None else {**common, "Authorization": f"Bearer {api_key}"}

    def options(self, sampling: Sampling, seed_offset: int) -> Options:
        options = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            _OLD_LIMIT: sampling.max_tokens,
            "seed": None if sampling.seed is None else sampling.seed + seed_offset,
            "reasoning_effort": sampling.reasoning_effort,
        }
        extra: dict[str, Any] = {} if sampling.extra_body is None else json.loads(sampling.extra_body)
        return {**extra, **{name: value for name, value in options.items() if value is not None}}

    def encode(self, model: str, prompt: tuple[ChatMessage, ...], options: Options) -> bytes:
        """Encodes a request with the prompt's own roles: the native serialisation has names as roles."""
        messages = [
            {"role": message.role, "content": message.content} for message in map(escape_control_tokens, prompt)
        ]
        if self._limit_field is not _OLD_LIMIT and _OLD_LIMIT in options:
            options = {self._limit_field if name == _OLD_LIMIT else name: value for name, value in options.items()}
        return encoded({"model": model, "messages": messages, **options})

    def completion(self, document: object) -> Completion:
        fields = document if isinstance(document, dict) else {}
        choices = fields.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
            raise NoCompletionError("expected choices[0].message, got none")
        finish_reason = choice.get("finish_reason")
        if finish_reason == "error":
            raise NoCompletionError("finish_reason is 'error'")
        usage = fields.get("usage")
        details = usage.get("prompt_tokens_details") if isinstance(usage, dict) else None
        return Completion(
            text=message_text(choice["message"]),
            finish_reason=finish_reason if isinstance(finish_reason, str) else "unknown",
            prompt_tokens=token_count(usage, "prompt_tokens"),
            completion_tokens=token_count(usage, "completion_tokens"),
            cached_tokens=token_count(details, "cached_tokens"),
        )

    def error(self, document: object) -> ApiError | None:
        return parse_error(document)

    def learn(self, status: int, error: ApiError) -> None:
        if status == 400 and _NEW_LIMIT in error.message:
            self._limit_field = _NEW_LIMIT


def message_text(message: Mapping[str, object]) -> str:
    """Returns the text of a message: its content, whole or in parts, or else its refusal."""
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(_part_text(part) for part in content)
    refusal = message.get("refusal")
    if not content and isinstance(refusal, str):
        content = refusal
    return well_formed(content) if isinstance(content, str) else ""


def _part_text(part: object) -> str:
    if isinstance(part, str):
        return part
    text = part.get("text", part.get("refusal")) if isinstance(part, dict) else None
    return text if isinstance(text, str) else ""
