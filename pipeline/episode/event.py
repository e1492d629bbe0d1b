"""An event inside an agent or its model, which the trace of an episode keeps beside the messages."""

from dataclasses import dataclass
from typing import Literal

EventKind = Literal["log", "call", "error", "reasoning"]
"""``log``: a line that the agent logged or printed.  ``call``: the reply of the model to one of the agent's calls; for
the model alone, calls of tools that it was not offered.  ``error``: the traceback of a turn in which the agent failed.
``reasoning``: what the model thought before its reply, when the provider returns it apart from the text."""

CALL_CHARS = 16_384
"""Maximum length of the text of a call or of reasoning."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event."""

    turn: int
    """1-based; 0 before the first turn."""
    step: int
    """Number of the agent's model calls in this turn until then; for a call its own 1-based number."""
    kind: EventKind
    text: str


def shortened(text: str, most: int) -> str:
    """Returns a text of at most *most* characters, and how many more there were."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most:,} more characters)"
