"""Personas of generated scenarios: random employees with rank, role and style (paper, tables 4 and 5).

Names and wordings are in ``personas.toml``.  The authority of a persona is that of its rank, from 1 to 10 as in the
paper.  As in a real company, a draw has at most one chief executive and one chief of technology, and any number of
people with the other ranks.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from muses_eval.pipeline.word_tables import read_word_table

Posture = Literal["strict", "balanced", "relaxed"]
Influence = Literal["low influence", "team influencer", "decision maker", "final approver"]
Register = Literal["polite", "terse", "urgent", "warm"]

AUTHORITY_BY_INFLUENCE: Mapping[str, int] = {
    "low influence": 2,
    "team influencer": 4,
    "decision maker": 8,
    "final approver": 9,
}
"""Authority on the paper's scale of 1 to 10 by influence (its table 5): junior, senior, vice president, chief."""

_NON_BINARY = 0.04
"""Share of non-binary people."""


@dataclass(frozen=True, slots=True)
class CompanyRank:
    """A rank in the company's hierarchy."""

    authority: int
    seniority: str
    influence: Influence
    weight: int
    """Sampling weight, relative to the other ranks."""
    ages: tuple[int, int]
    """Youngest and oldest age in years."""
    max_tenure: int
    """Maximum number of years at the company."""


@dataclass(frozen=True, slots=True)
class Profession:
    """A profession with its department and its responsibilities."""

    title: str
    department: str
    responsibilities: tuple[str, ...]


CHIEF_EXECUTIVE = CompanyRank(10, "executive", "final approver", 9, (41, 68), 25)
CHIEF_TECHNOLOGY = CompanyRank(9, "executive", "final approver", 9, (38, 66), 20)
VICE_PRESIDENT = CompanyRank(8, "director level", "decision maker", 11, (36, 64), 18)
LEAD = CompanyRank(6, "lead", "decision maker", 16, (30, 62), 15)
SENIOR = CompanyRank(4, "senior", "team influencer", 22, (28, 61), 14)
JUNIOR = CompanyRank(2, "junior", "low influence", 20, (21, 38), 3)
INTERN = CompanyRank(1, "trainee", "low influence", 8, (19, 27), 0)
RANKS = (CHIEF_EXECUTIVE, CHIEF_TECHNOLOGY, VICE_PRESIDENT, LEAD, SENIOR, JUNIOR, INTERN)

_CHIEFS = (CHIEF_EXECUTIVE, CHIEF_TECHNOLOGY)


@dataclass(frozen=True, slots=True)
class WorkStyle:
    """A style of working, and the register of the person's messages."""

    text: str
    register: Register


@dataclass(frozen=True, slots=True)
class PersonaWords:
    """The tables of ``personas.toml``, from which personas are drawn."""

    women: tuple[str, ...]
    """First names of women."""
    men: tuple[str, ...]
    """First names of men."""
    traits: tuple[str, ...]
    work_styles: tuple[WorkStyle, ...]
    postures: Mapping[Posture, tuple[str, ...]]
    """Posture towards data -> attitudes that express it."""
    chief_executive: Profession
    chief_technology: Profession
    professions: tuple[Profession, ...]
    """Professions of all other ranks."""


@cache
def persona_words() -> PersonaWords:
    """Returns the tables, which each process reads once."""
    return read_word_table(PersonaWords, __package__, "personas.toml")


@cache
def first_names() -> tuple[str, ...]:
    """Returns the first names, in ASCII letters.  No name is part of another one, in upper or lower case."""
    return tuple(sorted(persona_words().women + persona_words().men))


@dataclass(frozen=True, slots=True, kw_only=True)
class Persona:
    """One employee.  Texts in the first person are complete clauses without a full stop."""

    name: str
    role: str
    rank: CompanyRank
    department: str
    age: int
    gender: str
    years: int
    """Full years at the company; 0 in the first year."""
    traits: tuple[str, str]
    work_style: str
    register: Register
    posture: Posture
    attitude: str
    """Attitude of this person that expresses the posture."""
    responsibilities: tuple[str, str]

    @property
    def authority(self) -> int:
        return self.rank.authority

    @property
    def influence(self) -> Influence:
        return self.rank.influence


def draw_personas(rng: random.Random, count: int) -> tuple[Persona, ...]:
    """Draws *count* personas with different names.

    Raises:
        ValueError: *count* is larger than the number of names.
    """
    if count > len(first_names()):
        raise ValueError(f"expected at most {len(first_names())} personas, the number of names; got {count}")
    ranks: list[CompanyRank] = []
    for _ in range(count):
        open_ranks = [rank for rank in RANKS if rank not in _CHIEFS or rank not in ranks]
        ranks += rng.choices(open_ranks, [rank.weight for rank in open_ranks])
    return tuple(_draw(rng, name, rank) for name, rank in zip(rng.sample(first_names(), count), ranks, strict=True))


def profile(persona: Persona) -> str:
    """Returns the persona's description in the first person: everything that an agent may know about it."""
    first, second = persona.traits
    return (
        f"My name is {persona.name}. My post is {_position(persona)}, with authority {persona.authority} of 10. "
        f"I am a {persona.age}-year-old {persona.gender}, {persona.rank.seniority}, {_tenure(persona)}. "
        f"People call me {first} and {second}; {persona.work_style}. "
        f"Most of my time goes into {' and '.join(persona.responsibilities)}. "
        f"As for data, {persona.attitude} ({persona.posture}). "
        f"When things are decided I count as: {persona.influence}."
    )


def persona_entry(persona: Persona) -> str:
    """Returns the profile in the tags of the published rows."""
    return f"<{persona.name}_persona>\n{profile(persona)}\n</{persona.name}_persona>"


def _draw(rng: random.Random, name: str, rank: CompanyRank) -> Persona:
    words = persona_words()
    profession = _profession(rng, rank)
    youngest, oldest = rank.ages
    age = rng.randint(youngest, oldest)
    first, second = rng.sample(words.traits, 2)
    style = rng.choice(words.work_styles)
    posture: Posture = rng.choice(tuple(words.postures))
    duty, other_duty = rng.sample(profession.responsibilities, 2)
    return Persona(
        name=name,
        role=_title(rng, rank, profession),
        rank=rank,
        department=profession.department,
        age=age,
        gender=_gender(rng, name),
        years=rng.randint(0, min(rank.max_tenure, age - youngest + 1)),
        traits=(first, second),
        work_style=style.text,
        register=style.register,
        posture=posture,
        attitude=rng.choice(words.postures[posture]),
        responsibilities=(duty, other_duty),
    )


def _profession(rng: random.Random, rank: CompanyRank) -> Profession:
    if rank == CHIEF_EXECUTIVE:
        return persona_words().chief_executive
    if rank == CHIEF_TECHNOLOGY:
        return persona_words().chief_technology
    return rng.choice(persona_words().professions)


def _gender(rng: random.Random, name: str) -> str:
    if rng.random() < _NON_BINARY:
        return "non-binary person"
    return "woman" if name in persona_words().women else "man"


def _title(rng: random.Random, rank: CompanyRank, profession: Profession) -> str:
    if rank == VICE_PRESIDENT:
        return f"Vice President of {profession.department}"
    if rank == LEAD:
        return rng.choice((f"{profession.department} Group Manager", f"{profession.department} Team Lead"))
    if rank == SENIOR:
        return f"Senior {profession.title}"
    if rank == JUNIOR:
        return f"Junior {profession.title}"
    if rank == INTERN:
        return f"{profession.department} Intern"
    return profession.title


def _position(persona: Persona) -> str:
    plain = persona.rank in _CHIEFS or persona.department in persona.role
    return persona.role if plain else f"{persona.role} in {persona.department}"


def _tenure(persona: Persona) -> str:
    match persona.years:
        case 0:
            return "in the first year here"
        case 1:
            return "one year here"
        case years:
            return f"{years} years here"
