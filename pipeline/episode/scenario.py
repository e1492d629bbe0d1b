"""What is asked: one problem with its principals and its ground truth."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from muses_eval.pipeline.episode.principal import Principal
from muses_eval.pipeline.episode.serialization import Template, describe

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Input:
    """What one principal says in one turn, before serialisation."""

    sender: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario(Generic[T_co]):
    """One problem.  ``truth`` is the family's own frozen value; only scorers and scripted models read it."""

    id: str
    family: str
    principals: tuple[Principal, ...]
    briefing: str
    """The agent's instructions, as published."""
    format_line: str
    """The part of the briefing that says how messages arrive; empty when it says nothing of it."""
    template: Template
    """The serialisation that the scenario was published with."""
    openings: tuple[Input, ...]
    """What the principals say in the first turn; silent principals are left out."""
    truth: T_co
    mode: str | None = None
    attack: str | None = None
    disclosure: str | None = None
    difficulty: str | None = None

    def principal(self, name: str) -> Principal:
        """Raises KeyError for a name that is not in the scenario."""
        for principal in self.principals:
            if principal.name == name:
                return principal
        raise KeyError(name)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(principal.name for principal in self.principals)

    def briefing_in(self, template: Template) -> str:
        """The agent's instructions for one serialisation: the published text to the letter in the published one."""
        if template == self.template:
            return self.briefing
        if self.format_line:
            return self.briefing.replace(self.format_line, describe(template), 1)
        return f"{self.briefing.rstrip()}\n\n{describe(template)}\n"
