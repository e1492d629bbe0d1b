"""An event inside an agent, which the trace of an episode keeps beside the messages."""

from dataclasses import dataclass
from typing import Literal

EventKind = Literal["log", "call", "error"]
"""``log``: a line that the agent logged or printed.  ``call``: the reply of the model to one of the agent's calls.
``error``: the traceback of a turn in which the agent failed."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event."""

    turn: int
    """1-based; 0 before the first turn."""
    step: int
    """Number of the agent's model calls in this turn until then; for a call its own 1-based number."""
    kind: EventKind
    text: str
