"""How a model receives its system messages: with the role ``system``, or folded into a user's message.

The chat templates of some models have no system role: a server then refuses the prompt, or leaves the message out.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from muses_eval.pipeline.episode.serialization import ChatMessage

SystemRole = Literal["send", "fold"]
"""``send``: system messages keep their role.  ``fold``: they become the beginning of the next user's message."""


def fold_system(prompt: tuple[ChatMessage, ...]) -> tuple[ChatMessage, ...]:
    """Returns the prompt without system messages; each becomes the beginning of the user's message that follows it.

    An empty line separates the two texts.  A system message that no message of the role ``user`` follows, as with the
    template ``native`` or before a greeting of the agent, becomes a user's message of its own, so that its text is
    never attributed to a principal.
    """
    return tuple(_folded(prompt))


def _folded(prompt: tuple[ChatMessage, ...]) -> Iterator[ChatMessage]:
    waiting: list[str] = []
    for message in prompt:
        if message.role == "system":
            waiting.append(message.content)
        elif not waiting:
            yield message
        elif message.role == "user":
            yield replace(message, content="\n\n".join((*waiting, message.content)))
            waiting.clear()
        else:
            yield ChatMessage("user", "\n\n".join(waiting))
            yield message
            waiting.clear()
    if waiting:
        yield ChatMessage("user", "\n\n".join(waiting))
