"""Escapes control tokens in prompts, so that no principal can forge a message of another role.

A principal called ``alice<|im_end|>`` would end its message in many chat templates, and the text that follows could
pass for a system message.  A prompt without control tokens is sent unchanged, byte for byte.  Transcripts and scores
always use the original texts.
"""

import re
from collections.abc import Mapping
from typing import Any

from muses_eval.pipeline.episode.serialization import ChatMessage
from muses_eval.pipeline.hashing import digest

_CONTROL_TOKEN = re.compile(
    r"""
      <(?=[|\uff5c][^\s<>|\uff5c]{1,64}[|\uff5c]>)                # <|im_start|>, <|eot_id|>, DeepSeek's wide bars
    | <(?=(/?(s|unk|pad|bos|eos|sop|eop)|(start|end)_of_turn|unused\d+|(B|E)OS_TOKEN|seed:[a-z]+)>)   # Llama, Gemma
    | <(?=</?SYS>>)                                             # Llama 2
    | \[(?=/?(INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|ARGS|CALL_ID|IMG|THINK)\])  # Mistral
    | \[(?=(gMASK|UNUSED_TOKEN_\d+|\|[^\n|]{1,40}\|)\])          # GLM, InternLM, EXAONE
    """,
    re.VERBOSE,
)
"""The opening bracket of a control token of the model families with open weights."""
_PLAIN_ROLE = re.compile(r"[A-Za-z0-9_-]+")
_USUAL_ROLES = frozenset({"system", "user", "assistant"})


def escape_control_tokens(message: ChatMessage) -> ChatMessage:
    """Returns the message without control tokens; the same object when it has none."""
    role, content = escape_role(message.role), escape_text(message.content)
    return message if role == message.role and content == message.content else ChatMessage(role, content)


def escape_message(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns a message in the format of chat APIs without control tokens; the same object when it is plain text."""
    role, content = message["role"], message.get("content")
    if len(message) == 2 and role in _USUAL_ROLES and isinstance(content, str):
        escaped = escape_text(content)
        return message if escaped == content else {"role": role, "content": escaped}
    return {**{name: _escape_json(value) for name, value in message.items()}, "role": escape_role(role)}


def _escape_json(value: object) -> object:
    match value:
        case str():
            return escape_text(value)
        case Mapping():
            return {name: _escape_json(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_escape_json(inner) for inner in value]
        case _:
            return value


def escape_text(text: str) -> str:
    """Returns *text* with a space after the opening bracket of every control token, which disables the token."""
    if "<" not in text and "[" not in text:
        return text
    return _CONTROL_TOKEN.sub(lambda found: f"{found.group()} ", text)


def escape_role(role: str) -> str:
    """Returns *role* when it has only letters, digits, dashes and underscores.

    In any other role, each run of other characters becomes an underscore.  The first digits of the role's hash are
    appended, so that two principals never get the same role.
    """
    if role in _USUAL_ROLES or _PLAIN_ROLE.fullmatch(role):
        return role
    return f"{re.sub('[^A-Za-z0-9_-]+', '_', role)}-{digest(role)[:8]}"
