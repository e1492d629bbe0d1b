"""Structured facts of a scenario for agents that ask for them (``facts: structured``).

They say as data what the briefing says in prose.  They never contain the ground truth: no markers of confidential text,
no expected decisions or answers, and no calendar of a principal.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A confidential resource that the agent keeps."""

    name: str
    content: str
    """Text of the resource, as it is in the briefing."""
    owners: tuple[str, ...] = ()
    """Names of the principals to whom it belongs; empty when the scenario names none."""
    readers: tuple[str, ...]
    """Names of the principals who may receive it, in the scenario's order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Facts of one scenario."""

    resources: tuple[Resource, ...] = ()
    precedence: str = ""
    """Rule by which conflicting instructions are decided; empty when the scenario has none."""
    required: tuple[str, ...] = ()
    """Names of the principals without whom the task cannot be done, in the scenario's order."""


NO_FACTS = Facts()
