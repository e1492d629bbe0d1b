"""Checks the arguments with which an agent calls its model, before the call costs anything."""

from collections.abc import Mapping, Sequence
from typing import Any

from muses_eval.pipeline.config.sampling import Sampling
from muses_eval.workers.providers.adapter import encoded
from muses_eval.workers.providers.chat_request import NO_OVERRIDES, ChatRequest, MessageDict
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

_SAMPLING = TypeAdapter(Sampling)


def chat_request(messages: object, tools: object, sampling: Mapping[str, Any]) -> ChatRequest:
    """Returns the request of a call, independent of the caller's objects.

    Raises:
        ValueError: an argument is malformed; the text says which one, what came and what was expected.
    """
    document = {"messages": _objects(messages, "messages"), "tools": _objects(tools, "tools")}
    if not document["messages"]:
        raise ValueError("llm.chat: messages is empty; expected at least one message")
    try:
        copied = from_json(encoded(document))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"llm.chat: messages and tools have to be JSON: {error}") from None
    for number, message in enumerate(copied["messages"]):
        if problem := _problem(message):
            raise ValueError(f"llm.chat: messages[{number}]: {problem}")
    return ChatRequest(tuple(copied["messages"]), tuple(copied["tools"]), _overrides(sampling))


def _objects(value: object, name: str) -> list[Mapping[str, Any]]:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise ValueError(f"llm.chat: {name}: expected a list of objects, got {type(value).__name__}")  # noqa: TRY004
    for number, each in enumerate(value):
        if not isinstance(each, Mapping):
            raise ValueError(f"llm.chat: {name}[{number}]: expected an object, got {type(each).__name__}")  # noqa: TRY004
    return list(value)


def _problem(message: MessageDict) -> str | None:
    """Returns what is wrong with a message; None for a message that can be sent in every wire format."""
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str) or not role:
        return f"role: expected a text, got {role!r}"
    if not (content is None or isinstance(content, str | list)):
        return f"content: expected a text or a list of parts, got {type(content).__name__}"
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        return "a message of the role tool needs tool_call_id, the id of the call that it answers"
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else () if calls is None else (calls,):
        match call:
            case {"id": str(), "function": {"name": str(), "arguments": str()}}:
                pass
            case _:
                return "tool_calls: expected a list of {id, type, function: {name, arguments}}, with arguments as text"
    return None


def _overrides(sampling: Mapping[str, Any]) -> Sampling:
    given = {name: value for name, value in sampling.items() if value is not None}
    if not given:
        return NO_OVERRIDES
    try:
        return _SAMPLING.validate_python(given)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_url=False)]
        raise ValueError(
            f"llm.chat: {'; '.join(problems)}. Options are temperature, top_p, max_tokens, seed, reasoning_effort and "
            "extra_body, which has further fields of the request"
        ) from None
