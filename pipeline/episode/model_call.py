"""Model calls of an episode, and the replies that they return."""

from dataclasses import dataclass
from typing import Literal

Role = Literal["agent", "user"]
"""Role that the called model plays in the episode."""


@dataclass(frozen=True, slots=True)
class Call:
    """One model call as it is recorded.  Token counts are None when the provider did not report them."""

    role: Role
    model: str
    prompt_tokens: int | None
    completion_tokens: int | None
    latency_s: float
    """From sending the first try to the end of the last one."""
    retries: int
    finish_reason: str
    cached: bool = False
    """True when the reply came from our response cache and no provider was called."""
    cached_tokens: int | None = None
    """Prompt tokens that the provider had in its prefix cache; None when it does not report them."""
    cost_usd: float | None = None
    """None when a price or a count is not known; never 0 instead."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered; ``call`` is None for models that are functions."""

    text: str
    call: Call | None = None
