"""The values that agents in Python receive and return (docs/agents.md)."""

from muses_eval.pipeline.agents.facts import Facts, PrecedenceRule, Resource
from muses_eval.pipeline.agents.interface import (
    Agent,
    Context,
    Llm,
    LlmReply,
    LlmUnavailable,
    ModelEndpoint,
    PrincipalProfile,
    ToolCall,
    TooManyCalls,
    Turn,
    TurnInput,
    TurnReply,
)

__all__ = [
    "Agent",
    "Context",
    "Facts",
    "Llm",
    "LlmReply",
    "LlmUnavailable",
    "ModelEndpoint",
    "PrecedenceRule",
    "PrincipalProfile",
    "Resource",
    "TooManyCalls",
    "ToolCall",
    "Turn",
    "TurnInput",
    "TurnReply",
]
