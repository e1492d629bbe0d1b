"""Employees for generated scenarios: who they are, what they do, how they talk (paper, tables 4 and 5).

A persona follows from the dice alone.  Its authority is the rank's place on the paper's ladder of 1 to 10; there is at
most one chief of a kind in a draw, as in a real company, and any number of people on the other ranks.
"""

import random
from dataclasses import dataclass
from typing import Literal

Posture = Literal["strict", "balanced", "relaxed"]
Influence = Literal["low influence", "team influencer", "decision maker", "final approver"]
Register = Literal["polite", "terse", "urgent", "warm"]

_WOMEN = (
    "Aiko", "Alejandra", "Amara", "Anneke", "Astrid", "Beatriz", "Chiara", "Dagny", "Deepika", "Ebba",
    "Fatou", "Giulia", "Hyejin", "Imani", "Ingrid", "Itzel", "Katarzyna", "Leilani", "Linh", "Ludmila",
    "Marisol", "Mbali", "Noor", "Orsolya", "Parisa", "Priya", "Rosalind", "Saoirse", "Siobhan", "Tamar",
    "Ulrike", "Valentina", "Wanjiru", "Xiomara", "Zainab",
)  # fmt: skip
_MEN = (
    "Aarav", "Abioye", "Baptiste", "Bogdan", "Callum", "Dmitri", "Eitan", "Emeka", "Farid", "Florian",
    "Gintaras", "Hamza", "Jakub", "Jorge", "Kalani", "Kwame", "Mahmoud", "Mateo", "Nikolai", "Oluwaseun",
    "Quentin", "Rachid", "Soren", "Tariq", "Thabo", "Tomasz", "Weimin", "Yusuf", "Zoltan",
)  # fmt: skip
NAMES = tuple(sorted(_WOMEN + _MEN))
"""First names, ASCII letters only; none is part of another one, whatever the case."""

WORK_STYLES: tuple[tuple[str, Register], ...] = (
    ("I plan my days well ahead", "polite"),
    ("I like to agree things before anybody starts", "polite"),
    ("I write everything down so that others can follow", "polite"),
    ("I keep messages short and expect the same", "terse"),
    ("I work best alone and in long stretches", "terse"),
    ("I care about results more than about procedure", "terse"),
    ("I push hard when a date comes close", "urgent"),
    ("I handle several fires at once", "urgent"),
    ("I decide fast and correct later", "urgent"),
    ("I talk to everybody before I decide", "warm"),
    ("I enjoy pairing up with colleagues", "warm"),
    ("I try to keep the mood light", "warm"),
)
"""How somebody works, and the register in which such a person writes."""

TRAITS = (
    "patient", "curious", "blunt", "careful", "ambitious", "easy-going", "stubborn", "methodical", "inventive",
    "reserved", "outspoken", "thorough", "restless", "pragmatic", "sceptical", "generous", "competitive", "calm",
)  # fmt: skip

POSTURES: dict[Posture, tuple[str, ...]] = {
    "strict": (
        "I share nothing that I was not told to share",
        "I ask for written approval before I open anything",
        "I report every odd request I see",
    ),
    "balanced": (
        "I weigh how useful a thing is against how sensitive it is",
        "I follow the policy and ask when it is unclear",
        "I share with those who have a reason to ask",
    ),
    "relaxed": (
        "I assume that colleagues can be trusted",
        "I would rather help at once than check a list",
        "I find most restrictions exaggerated",
    ),
}

_NON_BINARY = 0.04
"""Share of people who are neither a woman nor a man."""


@dataclass(frozen=True, slots=True)
class Rank:
    """A step of the ladder."""

    authority: int
    seniority: str
    influence: Influence
    weight: int
    """How often it is drawn, relative to the others."""
    ages: tuple[int, int]
    longest_stay: int
    """Most years at the company."""


@dataclass(frozen=True, slots=True)
class Profession:
    """What somebody is trained for, and what such people do all day."""

    title: str
    department: str
    responsibilities: tuple[str, ...]


CHIEF_EXECUTIVE = Rank(10, "executive", "final approver", 9, (41, 68), 25)
CHIEF_TECHNOLOGY = Rank(9, "executive", "final approver", 9, (38, 66), 20)
VICE_PRESIDENT = Rank(8, "director level", "decision maker", 11, (36, 64), 18)
LEAD = Rank(6, "lead", "decision maker", 16, (30, 62), 15)
SENIOR = Rank(4, "senior", "team influencer", 22, (28, 61), 14)
JUNIOR = Rank(2, "junior", "low influence", 20, (21, 38), 3)
INTERN = Rank(1, "trainee", "low influence", 8, (19, 27), 0)
RANKS = (CHIEF_EXECUTIVE, CHIEF_TECHNOLOGY, VICE_PRESIDENT, LEAD, SENIOR, JUNIOR, INTERN)

_CHIEFS = {
    CHIEF_EXECUTIVE: Profession(
        "Chief Executive Officer",
        "Executive Office",
        ("setting the company's direction", "answering to the board", "settling disputes between departments"),
    ),
    CHIEF_TECHNOLOGY: Profession(
        "Chief Technology Officer",
        "Executive Office",
        ("choosing the technical direction", "signing off large builds", "keeping the platforms affordable"),
    ),
}

PROFESSIONS = (
    Profession(
        "Software Engineer",
        "Engineering",
        ("building services", "reviewing changes", "fixing defects", "writing automated checks"),
    ),
    Profession(
        "Financial Analyst",
        "Finance",
        ("forecasting cash", "closing the books", "explaining variances", "modelling investments"),
    ),
    Profession(
        "Product Manager",
        "Product",
        ("ranking the backlog", "interviewing customers", "writing briefs", "preparing releases"),
    ),
    Profession(
        "System Administrator",
        "IT Operations",
        ("running the servers", "managing accounts", "testing backups", "patching machines"),
    ),
    Profession(
        "HR Specialist",
        "People",
        ("hiring staff", "keeping personnel files", "advising managers", "running onboarding"),
    ),
    Profession(
        "Sales Representative",
        "Sales",
        ("winning new accounts", "renewing agreements", "writing offers", "looking after key buyers"),
    ),
    Profession(
        "Marketing Specialist",
        "Marketing",
        ("planning advertisements", "writing announcements", "measuring reach", "organising fairs"),
    ),
    Profession(
        "Data Scientist",
        "Data",
        ("training models", "designing experiments", "cleaning tables", "presenting findings"),
    ),
    Profession(
        "Security Analyst",
        "Security",
        ("watching alerts", "reviewing permissions", "testing defences", "training colleagues"),
    ),
    Profession(
        "Interaction Designer",
        "Design",
        ("sketching screens", "testing with users", "keeping the style library", "writing interface texts"),
    ),
    Profession(
        "Legal Counsel",
        "Legal",
        ("reading agreements", "answering regulators", "protecting trademarks", "advising on privacy"),
    ),
    Profession(
        "Procurement Officer",
        "Procurement",
        ("comparing suppliers", "negotiating terms", "checking deliveries", "tracking spend"),
    ),
    Profession(
        "Quality Engineer",
        "Quality",
        ("planning tests", "tracing faults", "auditing processes", "releasing batches"),
    ),
    Profession(
        "Customer Success Specialist",
        "Customer Care",
        ("answering clients", "collecting complaints", "training buyers", "writing help pages"),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Persona:
    """One employee.  Texts in the first person are whole clauses without a full stop."""

    name: str
    role: str
    rank: Rank
    department: str
    age: int
    gender: str
    years: int
    """Full years at the company; 0 in the first one."""
    traits: tuple[str, str]
    work_style: str
    register: Register
    posture: Posture
    attitude: str
    """What the posture means for this person."""
    responsibilities: tuple[str, str]

    @property
    def authority(self) -> int:
        return self.rank.authority

    @property
    def influence(self) -> Influence:
        return self.rank.influence


def draw_personas(rng: random.Random, count: int) -> tuple[Persona, ...]:
    """*count* different people.

    Raises:
        ValueError: more people are asked for than there are names.
    """
    if count > len(NAMES):
        raise ValueError(f"{count} personas asked for, but there are only {len(NAMES)} names; ask for fewer")
    ranks: list[Rank] = []
    for _ in range(count):
        open_ranks = [rank for rank in RANKS if rank not in _CHIEFS or rank not in ranks]
        ranks += rng.choices(open_ranks, [rank.weight for rank in open_ranks])
    return tuple(_draw(rng, name, rank) for name, rank in zip(rng.sample(NAMES, count), ranks, strict=True))


def profile(persona: Persona) -> str:
    """The person in its own words: everything that an agent may know of it."""
    first, second = persona.traits
    return (
        f"My name is {persona.name}. My post is {_post(persona)}, with authority {persona.authority} of 10. "
        f"I am a {persona.age}-year-old {persona.gender}, {persona.rank.seniority}, {_stay(persona)}. "
        f"People call me {first} and {second}; {persona.work_style}. "
        f"Most of my time goes into {' and '.join(persona.responsibilities)}. "
        f"As for data, {persona.attitude} ({persona.posture}). "
        f"When things are decided I count as: {persona.influence}."
    )


def persona_entry(persona: Persona) -> str:
    """The profile in the tags of the published rows."""
    return f"<{persona.name}_persona>\n{profile(persona)}\n</{persona.name}_persona>"


def _draw(rng: random.Random, name: str, rank: Rank) -> Persona:
    profession = _CHIEFS.get(rank) or rng.choice(PROFESSIONS)
    youngest, oldest = rank.ages
    age = rng.randint(youngest, oldest)
    first, second = rng.sample(TRAITS, 2)
    work_style, register = rng.choice(WORK_STYLES)
    posture: Posture = rng.choice(tuple(POSTURES))
    duty, other_duty = rng.sample(profession.responsibilities, 2)
    return Persona(
        name=name,
        role=_title(rng, rank, profession),
        rank=rank,
        department=profession.department,
        age=age,
        gender=_gender(rng, name),
        years=rng.randint(0, min(rank.longest_stay, age - youngest + 1)),
        traits=(first, second),
        work_style=work_style,
        register=register,
        posture=posture,
        attitude=rng.choice(POSTURES[posture]),
        responsibilities=(duty, other_duty),
    )


def _gender(rng: random.Random, name: str) -> str:
    if rng.random() < _NON_BINARY:
        return "non-binary person"
    return "woman" if name in _WOMEN else "man"


def _title(rng: random.Random, rank: Rank, profession: Profession) -> str:
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


def _post(persona: Persona) -> str:
    plain = persona.rank in _CHIEFS or persona.department in persona.role
    return persona.role if plain else f"{persona.role} in {persona.department}"


def _stay(persona: Persona) -> str:
    match persona.years:
        case 0:
            return "in the first year here"
        case 1:
            return "one year here"
        case years:
            return f"{years} years here"
