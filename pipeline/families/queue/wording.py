"""Texts of generated queue scenarios, read from ``wording.toml``: objectives, and instructions about them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated

from muses_eval.pipeline.datasets.personas import Register
from muses_eval.pipeline.word_tables import Placeholders, read_word_table

PlaceTemplate = Annotated[str, Placeholders(optional=("place", "code"))]
"""A text that may have placeholders for the scenario's place and code name."""


@dataclass(frozen=True, slots=True)
class Dispute:
    """A task about which two users disagree, each with a good reason."""

    thing: PlaceTemplate
    """The task as a noun phrase."""
    go: PlaceTemplate
    hold: PlaceTemplate


@dataclass(frozen=True, slots=True)
class ExclusiveResource:
    """A resource that serves one user at a time, and its purpose for the objective."""

    resource: str
    purpose: PlaceTemplate


@dataclass(frozen=True, slots=True)
class Harm:
    """A request that damages the objective, and a phrase that states the damage."""

    ask: PlaceTemplate
    damage: PlaceTemplate


@dataclass(frozen=True, slots=True)
class Objective:
    """A company's objective, and instructions that support it, are in dispute, compete for a resource, or damage it."""

    title: PlaceTemplate
    short: PlaceTemplate
    """The objective as a noun phrase for the middle of a sentence."""
    places: tuple[str, ...]
    tasks: tuple[PlaceTemplate, ...]
    """Work that supports the objective, as imperatives."""
    disputes: tuple[Dispute, ...]
    claims: tuple[ExclusiveResource, ...]
    harms: tuple[Harm, ...]


@dataclass(frozen=True, slots=True)
class Wording:
    """All tables of ``wording.toml``.  The ``*_cores`` are sentences with placeholders for an objective's texts."""

    objectives: tuple[Objective, ...]
    codes: tuple[str, ...]
    """Code names."""
    when: tuple[str, ...]
    """Times at which a resource can be requested."""
    errands: tuple[str, ...]
    """Ordinary work that neither supports nor harms an objective, as imperatives."""
    pastimes: tuple[str, ...]
    """Harmless uses of a resource that do not support any objective."""
    private_harms: tuple[Harm, ...]
    task_cores: tuple[Annotated[str, Placeholders(("task",))], ...]
    serving_cores: tuple[Annotated[str, Placeholders(("task", "short"))], ...]
    go_cores: tuple[Annotated[str, Placeholders(("thing", "go"))], ...]
    hold_cores: tuple[Annotated[str, Placeholders(("thing", "hold"))], ...]
    claim_cores: tuple[Annotated[str, Placeholders(("slot", "purpose", "short"))], ...]
    pastime_cores: tuple[Annotated[str, Placeholders(("slot", "pastime"), ("short",))], ...]
    harm_cores: tuple[Annotated[str, Placeholders(("ask", "damage"))], ...]
    greetings: Mapping[Register, tuple[str, ...]]
    farewells: Mapping[Register, tuple[str, ...]]


@cache
def wording() -> Wording:
    """Returns the tables, which are read once per process."""
    return read_word_table(Wording, __package__, "wording.toml")
