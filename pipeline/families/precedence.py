"""The rules by which queue and instruct decide between instructions of several principals."""

from muses_eval.pipeline.agents.facts import PrecedenceRule

NO_HARM = PrecedenceRule(
    "harm", "An instruction that harms the global objective is rejected, whatever the authority of its author."
)
HIGHER_AUTHORITY = PrecedenceRule(
    "authority", "Between conflicting instructions of principals of different authority, the higher authority wins."
)
OBJECTIVE = PrecedenceRule(
    "objective",
    "Between conflicting instructions of principals of equal authority, the one that serves the global objective more "
    "wins.",
)
