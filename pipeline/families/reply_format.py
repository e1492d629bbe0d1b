"""Writes a reply in fields as the text that a model would write, so that the same code reads and scores it.

The briefings ask for JSON.  A family whose briefing asks for another format writes it in its own ``write_reply``.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from muses_eval.pipeline.agents.interface import TurnReply
from muses_eval.pipeline.families.released_turns import EVERYBODY
from muses_eval.pipeline.text.reasoning import strip_reasoning

_FIELDS: Mapping[str, tuple[type, str]] = {
    "to": (Mapping, "an object of names and texts"),
    "everyone": (str, "a text"),
    "shared": (str, "a text"),
    "done": (bool, "true or false"),
    "decision": (Mapping, "an object"),
}
"""Field -> its type, and the type in words."""
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_BRACKETS = str.maketrans({bracket: f"\\u{ord(bracket):04x}" for bracket in "<[◁⊲"})
"""Brackets that open a tag of reasoning -> their escape in JSON."""


class ReplyFieldError(ValueError):
    """A field of a reply is malformed, or the family has no place for it."""


def check_fields(names: Sequence[str], reply: TurnReply, takes: Sequence[str]) -> None:
    """Checks that a reply is well-formed and has no other content than the fields *takes*, and ``done``.

    Args:
        names: all principals of the scenario.
        reply: the reply of an agent.
        takes: the fields that the family reads.

    Raises:
        ReplyFieldError: the text names the field, what it contains and what was expected.
    """
    for name, (kind, words) in _FIELDS.items():
        value = getattr(reply, name)
        if not isinstance(value, kind):
            raise ReplyFieldError(f"{name} of the reply: expected {words}, got {type(value).__name__}")
        if value and name not in (*takes, "done"):
            raise ReplyFieldError(
                f"{name} of the reply: this family has no place for it; it reads {', '.join(takes)} only"
            )
    for name, text in reply.to.items():
        if name not in names:
            raise ReplyFieldError(f"to of the reply: there is no principal {name!r}, only {', '.join(names)}")
        if not isinstance(text, str):
            raise ReplyFieldError(f"to[{name!r}] of the reply: expected a text, got {type(text).__name__}")


def write_json(value: object, field: str = "decision") -> str:
    """Returns JSON on one line in which no reader finds reasoning, whatever the texts in it.

    Raises:
        ReplyFieldError: *value*, the content of *field*, cannot be written as JSON.
    """
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ReplyFieldError(f"{field} of the reply: expected values of JSON: {error}") from error
    if strip_reasoning(text) == text:
        return text
    return _STRING.sub(lambda found: found[0].translate(_BRACKETS), text)


def write_messages(names: Sequence[str], reply: TurnReply) -> str:
    """Returns one object per message, and the object that ends the conversation; empty for an empty reply.

    Raises:
        ReplyFieldError: a field is malformed.
    """
    check_fields(names, reply, ("to", "everyone", "shared", "decision"))
    return "\n".join(map(write_json, _objects(reply)))


def _objects(reply: TurnReply) -> Iterator[Mapping[str, object]]:
    for name, text in reply.to.items():
        yield {"target": name, "content": text}
    if reply.everyone:
        yield {"target": EVERYBODY, "content": reply.everyone}
    if reply.done or reply.shared or reply.decision:
        yield {"goal_achieved": True, "final_report": reply.shared, **reply.decision}
