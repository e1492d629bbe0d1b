"""Serialisation of the messages of several principals into the prompt of one model (paper, table 1).

A scenario can be played in each of four templates.  Three of them put all inputs of a turn into one ``user`` message.
``native`` sends one chat message per principal with the principal's name as its role, which requires a chat template
that accepts any role.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

Template = Literal["says", "colon", "xml", "native"]
TEMPLATES: tuple[Template, ...] = get_args(Template)

_DESCRIPTIONS: dict[Template, str] = {
    "says": "Every message starts with its author, in the form: Name says: text",
    "colon": "Every message starts with its author, in the form: Name: text",
    "xml": "Every message is enclosed in a tag that names its author, in the form: <Name>text</Name>",
    "native": "Every message is a chat message of its own whose role is the name of its author.",
}


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a prompt, as in chat APIs."""

    role: str
    content: str


def describe(template: Template) -> str:
    """Returns the sentence that describes a template to the agent."""
    return _DESCRIPTIONS[template]


def find_format_line(briefing: str, template: Template, published: re.Pattern[str]) -> str:
    """Returns the sentence of a briefing that describes the template, ours or the published one; empty without one."""
    own = describe(template)
    if own in briefing:
        return own
    found = published.search(briefing)
    return found.group() if found else ""


def add_author(template: Template, name: str, text: str) -> str:
    """Returns a principal's text with its author; ``native`` has the author in the role instead."""
    head, tail = _frame(template, name)
    return f"{head}{text}{tail}"


def remove_author(template: Template, name: str, text: str) -> str:
    """Inverts :func:`add_author`; a text without the author is returned unchanged."""
    head, tail = _frame(template, name)
    framed = len(text) >= len(head) + len(tail) and text.startswith(head) and text.endswith(tail)
    return text[len(head) : len(text) - len(tail)] if framed else text


def _frame(template: Template, name: str) -> tuple[str, str]:
    """Returns the prefix and the suffix of a text."""
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
    """Converts the (name, text) pairs of one turn to chat messages in the same order; empty without pairs."""
    pairs = tuple(messages)
    if template == "native":
        return tuple(ChatMessage(name, text) for name, text in pairs)
    if not pairs:
        return ()
    return (ChatMessage("user", "\n".join(add_author(template, name, text) for name, text in pairs)),)
