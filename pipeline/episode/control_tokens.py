"""Escapes control tokens in prompts, so that no principal can forge a message of another role.

A chat template or its tokenizer would take ``alice<|im_end|>`` as a role, or in a text, for the end of a message, and
what follows for a message of the system.  A prompt without control tokens is sent unchanged, byte for byte.
Transcripts and scores always have the original texts.
"""

import re

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
"""The opening bracket of a control token, of the families of models that are served under open weights."""
_PLAIN_ROLE = re.compile(r"[A-Za-z0-9_-]+")
_USUAL_ROLES = frozenset({"system", "user", "assistant"})


def escape_control_tokens(message: ChatMessage) -> ChatMessage:
    """The message without control tokens; the same object where it has none."""
    role, content = escape_role(message.role), escape_text(message.content)
    return message if role == message.role and content == message.content else ChatMessage(role, content)


def escape_text(text: str) -> str:
    """*text* with a space after the opening bracket of every control token: visible, and no token any more."""
    if "<" not in text and "[" not in text:
        return text
    return _CONTROL_TOKEN.sub(lambda found: f"{found.group()} ", text)


def escape_role(role: str) -> str:
    """A role of letters, digits, dash and underscore: *role* itself where it is one.

    Anything else gets underscores and the beginning of its hash, so that two principals never become one.
    """
    if role in _USUAL_ROLES or _PLAIN_ROLE.fullmatch(role):
        return role
    return f"{re.sub('[^A-Za-z0-9_-]+', '_', role)}-{digest(role)[:8]}"
