"""A call of a model with any messages, as the harness of an episode makes it.

Messages and tools have the format of OpenAI's chat completions, in which the harness writes them; the adapter of
another wire format converts them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from muses_eval.pipeline.config.sampling import Sampling
from muses_eval.pipeline.episode.serialization import ChatMessage

MessageDict = Mapping[str, Any]
"""A message in OpenAI's format: ``role``, ``content``, ``tool_calls``, ``tool_call_id``."""
ToolDict = Mapping[str, Any]
"""The definition of a tool in OpenAI's format."""
NO_OVERRIDES = Sampling()


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One call.  The model, the seed offset and the session are those of the episode."""

    messages: tuple[MessageDict, ...]
    tools: tuple[ToolDict, ...] = ()
    overrides: Sampling = NO_OVERRIDES
    """Options that replace those of the model; an option that is None replaces nothing."""

    @property
    def further(self) -> tuple[object, ...]:
        """Everything besides the messages that determines the reply; empty for a request of the model alone."""
        if not self.tools and self.overrides == NO_OVERRIDES:
            return ()
        return (self.tools, *self.overrides.identity)


def message_dicts(prompt: Sequence[ChatMessage]) -> tuple[dict[str, Any], ...]:
    """Returns the messages of a prompt in OpenAI's format."""
    return tuple([{"role": message.role, "content": message.content} for message in prompt])
