"""A scenario: one problem with its principals and its ground truth."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from muses_eval.pipeline.episode.principal import Principal
from muses_eval.pipeline.episode.serialization import Template, describe

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Input:
    """Message of one principal in one turn, before serialisation."""

    sender: str
    text: str


@dataclass(frozen=True, slots=True)
class RowPrompt:
    """Texts for the agent's first prompt exactly as the row has them, which the protocol ``released`` sends."""

    system: str
    """The row's system prompt."""
    inputs: tuple[Input, ...] = ()
    """First texts of the principals in the order of the row, several for a principal with several instructions.  Empty
    where the row has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario(Generic[T_co]):
    """One problem.  ``truth`` is a frozen value of the family, which only scorers and scripted models read."""

    id: str
    family: str
    principals: tuple[Principal, ...]
    briefing: str
    """Instructions of the agent, as published."""
    format_line: str
    """Part of the briefing that describes the format of the inputs; empty when there is none."""
    template: Template
    """Serialisation in which the scenario was published."""
    openings: tuple[Input, ...]
    """Inputs of the first turn, without silent principals."""
    truth: T_co
    row_prompt: RowPrompt | None = None
    """None in a family that the released evaluator does not have."""
    mode: str | None = None
    attack: str | None = None
    disclosure: str | None = None
    difficulty: str | None = None

    def principal(self, name: str) -> Principal:
        """Returns the principal with this name.  Raises KeyError when the scenario has none."""
        for principal in self.principals:
            if principal.name == name:
                return principal
        raise KeyError(name)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(principal.name for principal in self.principals)

    def briefing_in(self, template: Template) -> str:
        """Returns the agent's instructions for a serialisation; for the published one, the published text unchanged."""
        if template == self.template:
            return self.briefing
        if self.format_line:
            return self.briefing.replace(self.format_line, describe(template), 1)
        return f"{self.briefing.rstrip()}\n\n{describe(template)}\n"
