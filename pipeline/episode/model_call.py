"""Model calls of an episode, and the replies that they return."""

from dataclasses import dataclass
from typing import Literal

from muses_eval.pipeline.agents.interface import ToolCall

Role = Literal["agent", "user"]
"""Role that the called model plays in the episode."""


@dataclass(frozen=True, slots=True)
class Call:
    """The record of one model call.  Token counts are None when the provider did not report them."""

    role: Role
    model: str
    prompt_tokens: int | None
    completion_tokens: int | None
    latency_s: float
    """Seconds from the start of the first attempt to the end of the last one."""
    retries: int
    finish_reason: str
    cached: bool = False
    """True when the reply came from the response cache and no provider was called."""
    cached_tokens: int | None = None
    """Prompt tokens that were in the provider's prefix cache; None when the provider does not report them."""
    cost_usd: float | None = None
    """Cost of the call; None, never 0, when a price or a token count is unknown."""
    turn: int | None = None
    """Turn of the episode, 1-based; None in rows of older versions."""
    step: int | None = None
    """1-based number of the call in its turn, for the role and the speaker; None in rows of older versions."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's reply; ``call`` is None for scripted models, which call nothing."""

    text: str
    call: Call | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    """Calls of tools that the model requests."""
    reasoning: str = ""
    """Reasoning of the model, when the provider returns it apart from the text; otherwise empty."""

    @property
    def with_tool_calls(self) -> str:
        """The reply as a trace shows it: its text, then one line for each call of a tool."""
        calls = (f"[tool call] {call.name}({call.arguments})" for call in self.tool_calls)
        return "\n".join((*([self.text] if self.text else ()), *calls))
