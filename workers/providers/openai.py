"""OpenAI's chat completions, which many other providers implement: ``POST {base_url}/chat/completions``.

Newer models of OpenAI refuse ``max_tokens`` and expect ``max_completion_tokens`` instead.  When a model refuses it, the
request is repeated with the other name, which all later requests then use.  Likewise, a server that refuses
``stream_options`` is asked without them: its streams then report no tokens.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from muses_eval.pipeline.agents.interface import ToolCall
from muses_eval.pipeline.config.sampling import Sampling
from muses_eval.pipeline.episode.control_tokens import escape_message
from muses_eval.workers.providers.adapter import Completion, NoCompletionError, Options, encoded, token_count
from muses_eval.workers.providers.api_error import ApiError, parse_error
from muses_eval.workers.providers.chat_request import MessageDict, ToolDict
from muses_eval.workers.providers.event_stream import END
from muses_eval.workers.providers.finish_reasons import finish_reason
from muses_eval.workers.providers.http_client import well_formed

_OLD_LIMIT, _NEW_LIMIT = "max_tokens", "max_completion_tokens"
_STREAM_OPTIONS = "stream_options"
_REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking")
_REASONING_PARTS = ("thinking", "reasoning")
"""Types of the parts of a content that are reasoning."""


class OpenAIAdapter:
    """The adapter of OpenAI's format; it remembers what the model refuses."""

    path = "/chat/completions"
    models_path = "/models"
    stream_fields: Mapping[str, object] = {"stream": True, _STREAM_OPTIONS: {"include_usage": True}}

    def __init__(self) -> None:
        self._limit_field = _OLD_LIMIT
        self._stream_options = True

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

    def encode(
        self, model: str, messages: Sequence[MessageDict], options: Options, tools: Sequence[ToolDict] = ()
    ) -> bytes:
        """Encodes a request with the messages' own roles: the native serialisation has names as roles."""
        if self._limit_field is not _OLD_LIMIT and _OLD_LIMIT in options:
            options = {self._limit_field if name == _OLD_LIMIT else name: value for name, value in options.items()}
        if not self._stream_options:
            options = {name: value for name, value in options.items() if name != _STREAM_OPTIONS}
        defined = {"tools": tools} if tools else {}
        return encoded({"model": model, "messages": list(map(escape_message, messages)), **options, **defined})

    def completion(self, document: object) -> Completion:
        fields = document if isinstance(document, dict) else {}
        choices = fields.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        message = _message(choice) if isinstance(choice, dict) else None
        if message is None or not isinstance(choice, dict):
            raise NoCompletionError("expected choices[0].message, got none")
        usage = fields.get("usage")
        details = usage.get("prompt_tokens_details") if isinstance(usage, dict) else None
        return Completion(
            text=message_text(message),
            finish_reason=finish_reason(choice.get("finish_reason")),
            prompt_tokens=token_count(usage, "prompt_tokens"),
            completion_tokens=token_count(usage, "completion_tokens"),
            cached_tokens=token_count(details, "cached_tokens"),
            tool_calls=_tool_calls(message.get("tool_calls")),
            reasoning=reasoning_text(message),
        )

    def join(self, events: Iterable[object]) -> object:
        message: StreamedMessage | None = None
        reason, usage, ended = None, None, False
        for event in events:
            ended = ended or event == END
            if not isinstance(event, dict):
                continue
            if self.error(event) is not None:
                return event
            usage = event.get("usage") or usage
            for choice in _first_choice(event):
                message = message or StreamedMessage()
                message.add(choice.get("delta"))
                reason = choice.get("finish_reason") or reason
        if reason is None and not ended:
            raise NoCompletionError("the stream of events ended before the completion")
        choices = [] if message is None else [{"message": message.document(), "finish_reason": reason}]
        return {"choices": choices, "usage": usage}

    def error(self, document: object) -> ApiError | None:
        return parse_error(document)

    def learn(self, status: int, error: ApiError) -> None:
        if status in (400, 422) and _NEW_LIMIT in error.message:
            self._limit_field = _NEW_LIMIT
        if status in (400, 422) and _STREAM_OPTIONS in error.message:
            self._stream_options = False


class StreamedMessage:
    """The message of a completion, joined from the parts of a stream."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {name: [] for name in ("content", "refusal", *_REASONING_FIELDS)}
        self._calls: dict[int, dict[str, Any]] = {}

    def add(self, delta: object) -> None:
        """Adds one part; what is not in OpenAI's form is left out."""
        if not isinstance(delta, dict):
            return
        content = delta.get("content")
        self._texts["reasoning_content"] += map(_part_reasoning, content if isinstance(content, list) else ())
        for field, texts in self._texts.items():
            text = delta.get(field)
            texts.extend(map(_part_text, text) if isinstance(text, list) else [text] if isinstance(text, str) else [])
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else []:
            if isinstance(call, dict):
                self._add_call(call)

    def document(self) -> dict[str, Any]:
        """Returns the message as it is without streaming."""
        texts = {field: "".join(texts) for field, texts in self._texts.items() if texts}
        calls = {"tool_calls": list(self._calls.values())} if self._calls else {}
        return {"role": "assistant", "content": None, **texts, **calls}

    def _add_call(self, part: dict[str, Any]) -> None:
        """Adds a part of a tool call: its id and name come once, its arguments in pieces."""
        index, function = part.get("index"), part.get("function")
        number = index if isinstance(index, int) else len(self._calls)
        call = self._calls.setdefault(number, {"type": "function", "function": {"name": "", "arguments": ""}})
        if part.get("id"):
            call["id"] = part["id"]
        for field in ("name", "arguments"):
            text = function.get(field) if isinstance(function, dict) else None
            call["function"][field] += text if isinstance(text, str) else ""


def _message(choice: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Returns the message of a choice; without words when the choice only has a finish reason; None for no choice.

    Some gateways send a part of a stream (``delta``) or the ``text`` of the older completions instead.
    """
    found = (choice.get(name) for name in ("message", "delta"))
    message = next((message for message in found if isinstance(message, dict)), None)
    if message is None and isinstance(choice.get("text"), str):
        return {"content": choice["text"]}
    if message is None and isinstance(choice.get("finish_reason"), str):
        return {}
    return message


def _first_choice(event: Mapping[str, object]) -> list[dict[str, Any]]:
    """Returns the parts of the first choice; events about usage or filters have none."""
    choices = event.get("choices")
    listed = choices if isinstance(choices, list) else []
    return [choice for choice in listed if isinstance(choice, dict) and not choice.get("index")]


def _tool_calls(listed: object) -> tuple[ToolCall, ...]:
    """Returns the calls of functions; a call without a name is left out, one without an id gets its number."""
    calls = []
    for number, call in enumerate(listed if isinstance(listed, list) else ()):
        match call:
            case {"function": {"name": str(name), **function}} if name:
                given, arguments = call.get("id"), function.get("arguments")
                text = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
                identity = given if isinstance(given, str) and given else f"call_{number}"
                calls.append(ToolCall(well_formed(identity), well_formed(name), well_formed(text)))
    return tuple(calls)


def message_text(message: Mapping[str, object]) -> str:
    """Returns the text of a message: its content, whole or in parts, or else its refusal."""
    content = message.get("content")
    if isinstance(content, list | dict):
        content = "".join(map(_part_text, content if isinstance(content, list) else [content]))
    refusal = message.get("refusal")
    if not content and isinstance(refusal, str):
        content = refusal
    return well_formed(content) if isinstance(content, str) else ""


def reasoning_text(message: Mapping[str, object]) -> str:
    """Returns the reasoning that a message has apart from its text, in a field or in parts of its content."""
    for name in _REASONING_FIELDS:
        text = message.get(name)
        if isinstance(text, str) and text:
            return well_formed(text)
    content, details = message.get("content"), message.get("reasoning_details")
    parts = [*map(_part_reasoning, content)] if isinstance(content, list) else []
    parts += map(_part_text, details) if isinstance(details, list) else []
    return well_formed("".join(parts))


def _part_reasoning(part: object) -> str:
    if not isinstance(part, dict) or part.get("type") not in _REASONING_PARTS:
        return ""
    thought = part.get("thinking", part.get("text"))
    if isinstance(thought, list):
        return "".join(map(_part_text, thought))
    return thought if isinstance(thought, str) else ""


def _part_text(part: object) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, dict) and part.get("type") in _REASONING_PARTS:
        return ""
    text = part.get("text", part.get("refusal")) if isinstance(part, dict) else None
    return text if isinstance(text, str) else ""
