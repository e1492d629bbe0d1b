"""The server's side of OpenAI's chat completions, as an agent's own client sees the model of its episode.

Fields of a request are treated in three ways.  Those that :class:`muses_eval.pipeline.agents.interface.Llm` knows
become its arguments.  Those that ask for something that the response cannot carry, such as several choices or log
probabilities, are refused.  All others, such as ``tool_choice``, ``response_format`` and ``stop``, go to the provider
unchanged, as fields of ``extra_body``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from muses_eval.pipeline.agents.interface import ChatMessageDict, LlmReply, ToolCall
from pydantic_core import from_json, to_json

_SAMPLING = ("temperature", "top_p", "max_tokens", "seed", "reasoning_effort")
_READ = frozenset(
    {"model", "messages", "tools", "stream", "stream_options", "n", "max_completion_tokens", "extra_body", *_SAMPLING}
)
_UNSUPPORTED: Mapping[str, tuple[object, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "modalities": (["text"],),
    "audio": (),
    "functions": (),
    "function_call": (),
}
"""Field that the response cannot answer -> values that ask for nothing."""
_FINISH_REASONS = frozenset({"stop", "length", "tool_calls", "content_filter"})
"""Values that OpenAI's clients accept."""


class WrongRequest(Exception):
    """Raised for a request that has no completion as its response.

    Args:
        status: HTTP status of the response.
        message: description for the author of the agent.
        code: code of the error, for programs.
    """

    def __init__(self, status: int, message: str, code: str = "invalid_request") -> None:
        super().__init__(status, message, code)
        self.status, self.message, self.code = status, message, code


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionRequest:
    """One request for a completion."""

    messages: tuple[ChatMessageDict, ...]
    tools: tuple[Mapping[str, Any], ...]
    sampling: Mapping[str, Any]
    """Options for ``Llm.chat``."""
    stream: bool
    """True when the client expects a stream of events."""
    stream_usage: bool
    """True when the stream has to end with the numbers of tokens."""


def read_request(body: bytes | None, model: str) -> CompletionRequest:
    """Reads the body of a request to *model*; None is a body that was too large.  Raises WrongRequest."""
    if body is None:
        raise WrongRequest(413, "the body is too large; at most 32 MiB are read")
    try:
        found = from_json(body)
    except ValueError as error:
        raise WrongRequest(400, f"the body is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise WrongRequest(400, "the body is no JSON object")
    fields = {name: value for name, value in found.items() if value is not None}
    if fields.get("model") != model:
        problem = f"model is {fields.get('model')!r}; this address calls {model!r} only"
        raise WrongRequest(404, problem, "model_not_found")
    for name, harmless in _UNSUPPORTED.items():
        if name in fields and fields[name] not in harmless:
            raise WrongRequest(400, f"{name} is {_shown(fields[name])}; {_alternative(name)}", "unsupported_value")
    options = fields.get("stream_options")
    messages = _objects(fields, "messages")
    if not all(isinstance(message.get("role"), str) for message in messages):
        raise WrongRequest(400, "a message has no role; expected `role` and `content`")
    return CompletionRequest(
        messages=messages,
        tools=_objects(fields, "tools") if fields.get("tools") else (),
        sampling=_sampling(fields),
        stream=fields.get("stream") is True,
        stream_usage=isinstance(options, dict) and options.get("include_usage") is True,
    )


def completion(reply: LlmReply, model: str, call_id: str, created: int) -> bytes:
    """Returns the body of a response; *created* is in seconds since the epoch."""
    message: dict[str, object] = {"role": "assistant", "content": _content(reply)}
    if reply.tool_calls:
        message["tool_calls"] = [_tool_call(call) for call in reply.tool_calls]
    choice = {"index": 0, "message": message, "finish_reason": _finish_reason(reply), "logprobs": None}
    head = {"id": call_id, "object": "chat.completion", "created": created, "model": model}
    return to_json({**head, "choices": [choice], "usage": _usage(reply)})


def event_stream(reply: LlmReply, model: str, call_id: str, created: int, *, usage: bool) -> bytes:
    """Returns the body of a stream: the reply in one event, its end, and with *usage* the numbers of tokens."""
    head = {"id": call_id, "object": "chat.completion.chunk", "created": created, "model": model}
    delta: dict[str, object] = {"role": "assistant", "content": _content(reply)}
    if reply.tool_calls:
        delta["tool_calls"] = [{"index": index, **_tool_call(call)} for index, call in enumerate(reply.tool_calls)]
    parts: tuple[tuple[dict[str, object], str | None], ...] = ((delta, None), ({}, _finish_reason(reply)))
    chunks: list[dict[str, object]] = [
        {**head, "choices": [{"index": 0, "delta": part, "finish_reason": end, "logprobs": None}]}
        for part, end in parts
    ]
    tokens = _usage(reply) if usage else None
    if tokens is not None:
        chunks.append({**head, "choices": [], "usage": tokens})
    return b"".join(b"data: " + to_json(chunk) + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"


def model_list(model: str) -> bytes:
    """Returns the body of the list of models."""
    entry = {"id": model, "object": "model", "created": 0, "owned_by": "muses-eval"}
    return to_json({"object": "list", "data": [entry]})


def error_body(problem: WrongRequest) -> bytes:
    """Returns the body of an error."""
    kind = "invalid_request_error" if problem.status < 500 else "server_error"
    error = {"message": problem.message, "type": kind, "param": None, "code": problem.code}
    return to_json({"error": error})


def _sampling(fields: Mapping[str, Any]) -> dict[str, Any]:
    sampling = {name: fields[name] for name in _SAMPLING if name in fields}
    if "max_completion_tokens" in fields:
        sampling["max_tokens"] = fields["max_completion_tokens"]
    further = {name: value for name, value in fields.items() if name not in _READ and name not in _UNSUPPORTED}
    if further:
        sampling["extra_body"] = further
    return sampling


def _objects(fields: Mapping[str, Any], name: str) -> tuple[Mapping[str, Any], ...]:
    found = fields.get(name)
    if not isinstance(found, list) or not found or not all(isinstance(each, dict) for each in found):
        raise WrongRequest(400, f"{name} is {_shown(found)}; expected a list of objects")
    return tuple(found)


def _alternative(name: str) -> str:
    if name == "n":
        return "one choice a request is supported: send several requests"
    if name in ("functions", "function_call"):
        return "use tools and tool_choice"
    return "the response has text and tool calls only: leave it out"


def _shown(value: object) -> str:
    text = to_json(value).decode()
    return text if len(text) <= 100 else f"{text[:100]}..."


def _content(reply: LlmReply) -> str | None:
    return None if reply.tool_calls and not reply.text else reply.text


def _finish_reason(reply: LlmReply) -> str:
    if reply.finish_reason in _FINISH_REASONS:
        return reply.finish_reason
    return "tool_calls" if reply.tool_calls else "stop"


def _tool_call(call: ToolCall) -> dict[str, object]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _usage(reply: LlmReply) -> dict[str, int] | None:
    """Returns the numbers of tokens; None when the provider did not report them."""
    if reply.prompt_tokens is None or reply.completion_tokens is None:
        return None
    total = reply.prompt_tokens + reply.completion_tokens
    return {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "total_tokens": total,
    }
