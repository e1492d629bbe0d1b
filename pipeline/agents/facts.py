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
    """Text of the resource, as it is in the briefing; empty when the briefing does not contain it."""
    owners: tuple[str, ...] = ()
    """Names of the principals to whom it belongs; empty when the scenario names none."""
    readers: tuple[str, ...]
    """Names of the principals who may receive it, in the scenario's order."""


@dataclass(frozen=True, slots=True)
class PrecedenceRule:
    """One of the rules by which instructions of several principals are decided."""

    name: str
    """Identifier of the rule: in the families of the benchmark ``harm``, ``authority`` or ``objective``."""
    text: str
    """The rule as a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Facts of one scenario.  A field is empty when the briefing does not say anything of the kind."""

    resources: tuple[Resource, ...] = ()
    precedence: tuple[PrecedenceRule, ...] = ()
    """The rules in the order in which they apply: the first one that fits decides."""
    required: tuple[str, ...] = ()
    """Names of the principals without whom the task cannot be done, in the scenario's order."""

    def withheld_from(self, name: str) -> tuple[Resource, ...]:
        """Returns the resources that a principal may not receive."""
        return tuple(resource for resource in self.resources if name not in resource.readers)


NO_FACTS = Facts()
