"""The words of generated queue scenarios: objectives with their tasks, disputes, claims and harm.

They stand in ``wording.toml``, beside this module.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated

from muses_eval.pipeline.datasets.personas import Register
from muses_eval.pipeline.word_tables import Gaps, read_words

Placed = Annotated[str, Gaps(optional=("place", "code"))]
"""A text that may have gaps for the scenario's own place and code name."""


@dataclass(frozen=True, slots=True)
class Dispute:
    """A task about which people disagree, with a sound reason on each side."""

    thing: Placed
    """What is to be done, as a noun phrase."""
    go: Placed
    hold: Placed


@dataclass(frozen=True, slots=True)
class Claim:
    """A resource that serves one user at a time, and what the objective needs it for."""

    resource: str
    purpose: Placed


@dataclass(frozen=True, slots=True)
class Harm:
    """A request that damages the objective, and the words that leave no doubt of it."""

    ask: Placed
    damage: Placed


@dataclass(frozen=True, slots=True)
class Objective:
    """What a company is after, and what its people ask for on the way."""

    title: Placed
    short: Placed
    """The objective as a noun phrase for the middle of a sentence."""
    places: tuple[str, ...]
    tasks: tuple[Placed, ...]
    """Work that serves the objective, as imperatives."""
    disputes: tuple[Dispute, ...]
    claims: tuple[Claim, ...]
    harms: tuple[Harm, ...]


@dataclass(frozen=True, slots=True)
class Wording:
    """All tables.  A core is a sentence that is put around the words of an objective."""

    objectives: tuple[Objective, ...]
    codes: tuple[str, ...]
    """Code names."""
    when: tuple[str, ...]
    """Times at which a resource can be claimed."""
    errands: tuple[str, ...]
    """Ordinary work that neither serves an objective nor takes anything from it, as imperatives."""
    pastimes: tuple[str, ...]
    """Harmless uses of a resource that have nothing to do with any objective."""
    private_harms: tuple[Harm, ...]
    task_cores: tuple[Annotated[str, Gaps(("task",))], ...]
    serving_cores: tuple[Annotated[str, Gaps(("task", "short"))], ...]
    go_cores: tuple[Annotated[str, Gaps(("thing", "go"))], ...]
    hold_cores: tuple[Annotated[str, Gaps(("thing", "hold"))], ...]
    claim_cores: tuple[Annotated[str, Gaps(("slot", "purpose", "short"))], ...]
    pastime_cores: tuple[Annotated[str, Gaps(("slot", "pastime"), ("short",))], ...]
    harm_cores: tuple[Annotated[str, Gaps(("ask", "damage"))], ...]
    greetings: Mapping[Register, tuple[str, ...]]
    farewells: Mapping[Register, tuple[str, ...]]


@cache
def wording() -> Wording:
    """The tables, read once a process."""
    return read_words(Wording, __package__, "wording.toml")
