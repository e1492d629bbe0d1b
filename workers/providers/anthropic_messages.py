"""Converts OpenAI's messages and tools to Anthropic's, and Anthropic's tool calls back.

| OpenAI | Anthropic |
| --- | --- |
| messages of the role ``system`` or ``developer`` | the field ``system`` |
| ``tool_calls`` of an assistant's message | blocks ``tool_use`` of the message |
| a message of the role ``tool`` | a block ``tool_result`` of a user's message |
| ``function`` with ``parameters`` | a tool with ``input_schema`` |
| ``stop``, ``tool_choice``, ``parallel_tool_calls`` | ``stop_sequences``, ``tool_choice`` |

Consecutive messages of a role become one, since roles alternate, and empty messages are left out.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from muses_eval.pipeline.agents.interface import ToolCall
from muses_eval.pipeline.episode.system_role import content_text
from muses_eval.pipeline.errors import ModelFailure
from muses_eval.workers.providers.adapter import Options
from muses_eval.workers.providers.chat_request import MessageDict, ToolDict
from muses_eval.workers.providers.http_client import well_formed

_SYSTEM_ROLES = ("system", "developer")
_CONVERTED = {"stop", "tool_choice", "parallel_tool_calls"}
_CHOICES = {"auto": "auto", "required": "any", "none": "none"}


def system_text(messages: Iterable[MessageDict]) -> str:
    """Returns the system prompt; empty without one."""
    return "\n\n".join(content_text(message.get("content")) for message in messages if message["role"] in _SYSTEM_ROLES)


def turns(messages: Iterable[MessageDict]) -> list[dict[str, Any]]:
    """Returns the messages without the system prompt.

    Raises:
        ModelFailure: a message has a role that the API does not accept.
    """
    found: list[dict[str, Any]] = []
    for message in messages:
        if message["role"] in _SYSTEM_ROLES:
            continue
        role, content = _turn(message)
        if not content:
            continue
        if not found or found[-1]["role"] != role:
            found.append({"role": role, "content": content})
        elif isinstance(content, str) and isinstance(found[-1]["content"], str):
            found[-1]["content"] += f"\n\n{content}"
        else:
            found[-1]["content"] = [*_blocks(found[-1]["content"]), *_blocks(content)]
    return found


def _turn(message: MessageDict) -> tuple[str, str | list[dict[str, Any]]]:
    """Returns the role and the content of a message: a text, or blocks when it has more than text."""
    role, text = message["role"], content_text(message.get("content"))
    if role == "tool":
        return "user", [{"type": "tool_result", "tool_use_id": message.get("tool_call_id"), "content": text}]
    if role not in ("user", "assistant"):
        raise ModelFailure(
            "internal",
            f"a message has the role {role!r}, but Anthropic's API takes user and assistant only; choose a "
            "serialisation other than native",
            retryable=False,
        )
    text = text if text.strip() else ""
    calls = message.get("tool_calls") or ()
    return role, [*_blocks(text), *map(_tool_use, calls)] if calls else text


def _blocks(content: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content


def _tool_use(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call["function"]
    try:
        given = json.loads(function["arguments"] or "{}")
    except ValueError:  # as a model wrote it; the API takes objects only
        given = {"arguments": function["arguments"]}
    return {"type": "tool_use", "id": call["id"], "name": function["name"], "input": given}


def tool_definitions(tools: Sequence[ToolDict]) -> list[dict[str, Any]]:
    """Returns the definitions of functions as Anthropic's; others, such as the provider's own tools, unchanged."""
    return [_definition(tool) for tool in tools]


def _definition(tool: ToolDict) -> dict[str, Any]:
    if tool.get("type") != "function":
        return dict(tool)
    function = tool["function"]
    described = {"description": function["description"]} if function.get("description") else {}
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    return {"name": function["name"], **described, "input_schema": schema}


def request_options(options: Options) -> Options:
    """Returns options in which ``stop``, ``tool_choice`` and ``parallel_tool_calls`` of OpenAI are Anthropic's."""
    if not options.keys() & _CONVERTED:
        return options
    found = {name: value for name, value in options.items() if name not in _CONVERTED}
    if "stop" in options:
        found["stop_sequences"] = [options["stop"]] if isinstance(options["stop"], str) else options["stop"]
    if "tool_choice" in options:
        found["tool_choice"] = _tool_choice(options["tool_choice"])
    if options.get("parallel_tool_calls") is False:
        found["tool_choice"] = {"type": "auto", **found.get("tool_choice", {}), "disable_parallel_tool_use": True}
    return found


def _tool_choice(choice: object) -> object:
    """Returns OpenAI's ``tool_choice`` as Anthropic's; one in Anthropic's format unchanged."""
    match choice:
        case str():
            return {"type": _CHOICES.get(choice, choice)}
        case {"type": "function", "function": {"name": name}}:
            return {"type": "tool", "name": name}
        case _:
            return choice


def tool_calls(content: Iterable[object]) -> tuple[ToolCall, ...]:
    """Returns the tool calls in the blocks of a response."""
    calls = []
    for block in content:
        match block:
            case {"type": "tool_use", "id": str(identity), "name": str(name), **rest}:
                given = rest.get("input")
                text = given if isinstance(given, str) else json.dumps(given or {}, ensure_ascii=False)
                calls.append(ToolCall(well_formed(identity), well_formed(name), well_formed(text)))
    return tuple(calls)
