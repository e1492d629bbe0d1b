"""The form in which a model receives its system messages: with the role ``system``, or folded into a user's message.

The chat templates of some models have no system role: a server then refuses the prompt, or leaves the message out.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

SystemRole = Literal["send", "fold"]
"""``send``: system messages keep their role.  ``fold``: they become the beginning of the next user's message."""


def fold_system(messages: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """Returns messages in the format of chat APIs without system messages.

    Each becomes the beginning of the user's message that follows it.
    An empty line separates the two texts.  A system message that no message of the role ``user`` follows, as with the
    template ``native`` or before a greeting of the agent, becomes a user's message of its own, so that its text is
    never attributed to a principal.
    """
    return tuple(_folded(messages))


def _folded(messages: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    waiting: list[str] = []
    for message in messages:
        role, content = message["role"], message.get("content")
        if role == "system":
            waiting.append(content_text(content))
        elif not waiting:
            yield message
        elif role == "user" and isinstance(content, str):
            yield {**message, "content": "\n\n".join((*waiting, content))}
            waiting.clear()
        else:
            yield {"role": "user", "content": "\n\n".join(waiting)}
            yield message
            waiting.clear()
    if waiting:
        yield {"role": "user", "content": "\n\n".join(waiting)}


def content_text(content: object) -> str:
    """Returns the text of a message's content: the text itself, or the texts of its parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list | tuple) else ()
    return "\n".join(part["text"] for part in parts if isinstance(part, Mapping) and isinstance(part.get("text"), str))
