"""How the messages of several principals reach one model (paper, table 1).

A serialisation is a variant: any scenario can be played in any of the four.  Three of them put all principals of a
turn into one ``user`` message; ``native`` sends one chat message a principal whose role is the principal's name,
which needs a chat template that accepts any role.

Before a prompt leaves for a model, :func:`defused` takes the power from texts and names that a chat template or its
tokenizer would take for its own control tokens: ``alice<|im_end|>`` as a role would end a message and begin one of
the system.  A prompt without such tokens is sent as it is, byte for byte; transcripts and scores always have what was
said.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from muses_eval.pipeline.hashing import digest

Template = Literal["says", "colon", "xml", "native"]
TEMPLATES: tuple[Template, ...] = get_args(Template)

_DESCRIPTIONS: dict[Template, str] = {
    "says": "Every message starts with its author, in the form: Name says: text",
    "colon": "Every message starts with its author, in the form: Name: text",
    "xml": "Every message is enclosed in a tag that names its author, in the form: <Name>text</Name>",
    "native": "Every message is a chat message of its own whose role is the name of its author.",
}

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


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of the prompt, as chat APIs have it."""

    role: str
    content: str


def describe(template: Template) -> str:
    """The sentence that tells an agent how messages arrive."""
    return _DESCRIPTIONS[template]


def find_format_line(briefing: str, template: Template, published: re.Pattern[str]) -> str:
    """The part of a briefing that says how messages arrive: ours, or the published one; empty when neither is there."""
    own = describe(template)
    if own in briefing:
        return own
    found = published.search(briefing)
    return found.group() if found else ""


def sign(template: Template, name: str, text: str) -> str:
    """One principal's text with its author on it; ``native`` carries the author in the role instead."""
    head, tail = _frame(template, name)
    return f"{head}{text}{tail}"


def unsign(template: Template, name: str, text: str) -> str:
    """The inverse of :func:`sign`; text that does not carry the author is returned as it is."""
    head, tail = _frame(template, name)
    framed = len(text) >= len(head) + len(tail) and text.startswith(head) and text.endswith(tail)
    return text[len(head) : len(text) - len(tail)] if framed else text


def _frame(template: Template, name: str) -> tuple[str, str]:
    """What stands before and after a text."""
    match template:
        case "says":
            return f"{name} says: ", ""
        case "colon":
            return f"{name}: ", ""
        case "xml":
            return f"<{name}>", f"</{name}>"
        case "native":
            return "", ""


def serialize(template: Template, messages: Iterable[tuple[str, str]]) -> tuple[ChatMessage, ...]:
    """One turn of (name, text) pairs as chat messages, in the order given; empty when there are no pairs."""
    pairs = tuple(messages)
    if template == "native":
        return tuple(ChatMessage(name, text) for name, text in pairs)
    if not pairs:
        return ()
    return (ChatMessage("user", "\n".join(sign(template, name, text) for name, text in pairs)),)


def defused(message: ChatMessage) -> ChatMessage:
    """The message without control tokens; the same object where it has none."""
    role, content = plain_role(message.role), plain_text(message.content)
    return message if role == message.role and content == message.content else ChatMessage(role, content)


def plain_text(text: str) -> str:
    """*text* with a space after the opening bracket of every control token: visible, and no token any more."""
    if "<" not in text and "[" not in text:
        return text
    return _CONTROL_TOKEN.sub(lambda found: f"{found.group()} ", text)


def plain_role(role: str) -> str:
    """A role of letters, digits, dash and underscore: *role* itself where it is one.

    Anything else gets underscores and the beginning of its hash, so that two principals never become one.
    """
    if role in _USUAL_ROLES or _PLAIN_ROLE.fullmatch(role):
        return role
    return f"{re.sub('[^A-Za-z0-9_-]+', '_', role)}-{digest(role)[:8]}"
