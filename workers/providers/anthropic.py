"""Anthropic's messages: ``POST {base_url}/messages``.

The adapter bridges the differences from OpenAI's format: the system prompt is not one of the messages; messages have
the roles user and assistant, alternate, and are never empty (:mod:`muses_eval.workers.providers.anthropic_messages`);
``max_tokens`` is required; there is no seed; and the prompt's tokens are reported in three parts.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from muses_eval.pipeline.config.sampling import Sampling
from muses_eval.pipeline.episode.control_tokens import escape_message
from muses_eval.workers.providers.adapter import Completion, NoCompletionError, Options, encoded, token_count
from muses_eval.workers.providers.anthropic_messages import (
    request_options,
    system_text,
    tool_calls,
    tool_definitions,
    turns,
)
from muses_eval.workers.providers.api_error import ApiError, parse_error
from muses_eval.workers.providers.chat_request import MessageDict, ToolDict
from muses_eval.workers.providers.finish_reasons import finish_reason
from muses_eval.workers.providers.http_client import well_formed

API_VERSION = "2023-06-01"
DEFAULT_MAX_TOKENS = 4096
_PROMPT_PARTS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


class AnthropicAdapter:
    """The adapter of Anthropic's format; it has no state."""

    path = "/messages"
    models_path = "/models"
    stream_fields: Mapping[str, object] = {"stream": True}

    def headers(self, api_key: str | None) -> Mapping[str, str]:
        common = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "anthropic-version": API_VERSION,
        }
        return common if api_key is None else {**common, "x-api-key": api_key}

    def options(self, sampling: Sampling, seed_offset: int) -> Options:  # noqa: ARG002 - the API has no seed
        effort = sampling.reasoning_effort
        options = {
            "max_tokens": sampling.max_tokens or DEFAULT_MAX_TOKENS,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "output_config": None if effort is None else {"effort": effort},
        }
        extra: dict[str, Any] = {} if sampling.extra_body is None else json.loads(sampling.extra_body)
        return {**extra, **{name: value for name, value in options.items() if value is not None}}

    def encode(
        self, model: str, messages: Sequence[MessageDict], options: Options, tools: Sequence[ToolDict] = ()
    ) -> bytes:
        cleaned = list(map(escape_message, messages))
        briefing = system_text(cleaned)
        system = {"system": briefing} if briefing else {}
        defined: dict[str, Any] = {"tools": tool_definitions(tools)} if tools else {}
        return encoded({"model": model, **system, "messages": turns(cleaned), **request_options(options), **defined})

    def completion(self, document: object) -> Completion:
        fields = document if isinstance(document, dict) else {}
        content, reason, usage = fields.get("content"), fields.get("stop_reason"), fields.get("usage")
        if isinstance(reason, str) and (content is None or isinstance(content, str)):
            content = [] if content is None else [{"type": "text", "text": content}]
        if not isinstance(content, list):
            raise NoCompletionError("expected a list of content blocks, got none")
        return Completion(
            text=well_formed("".join(_block_text(block) for block in content)),
            finish_reason=finish_reason(reason),
            prompt_tokens=_prompt_tokens(usage),
            completion_tokens=token_count(usage, "output_tokens"),
            cached_tokens=token_count(usage, "cache_read_input_tokens"),
            tool_calls=tool_calls(content),
            reasoning=well_formed("".join(_block_text(block, "thinking") for block in content)),
        )

    def join(self, events: Iterable[object]) -> object:
        message = StreamedMessage()
        for event in events:
            if self.error(event) is not None:
                return event
            if isinstance(event, dict):
                message.add(event)
        return message.document()

    def error(self, document: object) -> ApiError | None:
        return parse_error(document)

    def learn(self, status: int, error: ApiError) -> None:
        """Does nothing: all models take the same form of request."""


class StreamedMessage:
    """A message that is joined from the events of a stream."""

    def __init__(self) -> None:
        self._fields: dict[str, Any] = {}
        self._blocks: dict[object, dict[str, Any]] = {}
        self._inputs: dict[object, str] = {}
        """Arguments of tool calls, as text, by the index of their block."""
        self._ended = False

    def add(self, event: Mapping[str, Any]) -> None:
        """Adds one event; what is not in Anthropic's form is left out."""
        match event:
            case {"type": "message_start", "message": dict(message)}:
                self._fields = dict(message)
            case {"type": "content_block_start", "index": int(index), "content_block": dict(block)}:
                self._blocks[index] = dict(block)
            case {"type": "content_block_delta", "index": int(index), "delta": {"text": str(text)}}:
                block = self._blocks.setdefault(index, {"type": "text"})
                block["text"] = block.get("text", "") + text
            case {"type": "content_block_delta", "index": int(index), "delta": {"thinking": str(text)}}:
                block = self._blocks.setdefault(index, {"type": "thinking"})
                block["thinking"] = block.get("thinking", "") + text
            case {"type": "content_block_delta", "index": int(index), "delta": {"partial_json": str(text)}}:
                self._inputs[index] = self._inputs.get(index, "") + text
            case {"type": "message_delta", "delta": dict(delta), **rest}:
                usages = [usage for usage in (self._fields.get("usage"), rest.get("usage")) if isinstance(usage, dict)]
                counts = {name: count for usage in usages for name, count in usage.items() if count is not None}
                self._fields = {**self._fields, **delta, "usage": counts}
            case {"type": "message_stop"}:
                self._ended = True

    def document(self) -> dict[str, Any]:
        """Returns the message as it is without streaming.  Raises NoCompletionError when its end is missing."""
        if not self._ended and self._fields.get("stop_reason") is None:
            raise NoCompletionError("the stream of events ended before the message")
        for index, text in self._inputs.items():
            self._blocks.setdefault(index, {"type": "tool_use"})["input"] = _json_or_text(text)
        return {**self._fields, "content": list(self._blocks.values())}


def _json_or_text(text: str) -> object:
    """Returns the arguments of a tool call; the text itself when the message was cut within them."""
    try:
        return json.loads(text or "{}")
    except (ValueError, RecursionError):
        return text


def _block_text(block: object, kind: Literal["text", "thinking"] = "text") -> str:
    text = block.get(kind) if isinstance(block, dict) and block.get("type") == kind else None
    return text if isinstance(text, str) else ""


def _prompt_tokens(usage: object) -> int | None:
    """Returns all tokens of the prompt; None when the main part is not reported."""
    if token_count(usage, "input_tokens") is None:
        return None
    return sum(token_count(usage, part) or 0 for part in _PROMPT_PARTS)
