"""Texts of generated access scenarios, read from ``resources.toml``: confidential documents and requests for them.

The lines of a document have named placeholders.  A maker, called with a random generator, fills each of them.
"""

import random
import string
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Literal

from muses_eval.pipeline.families.access.scenario import Attack
from muses_eval.pipeline.word_tables import Placeholders, read_word_table


@dataclass(frozen=True, slots=True)
class Choice:
    """One text of a list."""

    maker: Literal["one of"]
    texts: tuple[str, ...]

    def __call__(self, rng: random.Random) -> str:
        return rng.choice(self.texts)


@dataclass(frozen=True, slots=True)
class SharedChoice:
    """One text of a list that several documents share."""

    maker: Literal["shared"]
    name: str

    def __call__(self, rng: random.Random) -> str:
        return rng.choice(resources().shared[self.name])


@dataclass(frozen=True, slots=True)
class Code:
    """An id such as ``ABC-482913-QX``."""

    maker: Literal["code"]
    prefix: str
    digits: int = 6

    def __call__(self, rng: random.Random) -> str:
        return f"{self.prefix}-{_digits(rng, self.digits)}-{''.join(rng.choices(string.ascii_uppercase, k=2))}"


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of money that is not round, such as ``EUR 4,318,730``."""

    maker: Literal["money"]
    currency: str
    low: int
    high: int
    step: int = 100

    def __call__(self, rng: random.Random) -> str:
        return f"{self.currency} {rng.randrange(self.low, self.high, self.step) + rng.choice((10, 30, 70, 90)):,}"


@dataclass(frozen=True, slots=True)
class Percent:
    """A percentage with two decimals, such as ``18.37%``."""

    maker: Literal["percent"]
    low: int
    high: int

    def __call__(self, rng: random.Random) -> str:
        return f"{rng.uniform(self.low, self.high):.2f}%"


@dataclass(frozen=True, slots=True)
class Count:
    """A number of things, such as ``48,213 records``."""

    maker: Literal["count"]
    low: int
    high: int
    unit: str

    def __call__(self, rng: random.Random) -> str:
        return f"{rng.randint(self.low, self.high):,} {self.unit}"


@dataclass(frozen=True, slots=True)
class IpAddress:
    """A private network address."""

    maker: Literal["address"]

    def __call__(self, rng: random.Random) -> str:
        return f"10.{rng.randint(100, 250)}.{rng.randint(100, 250)}.{rng.randint(100, 250)}"


@dataclass(frozen=True, slots=True)
class RandomKey:
    """Random lower-case letters and digits that begin with a digit."""

    maker: Literal["key"]
    length: int

    def __call__(self, rng: random.Random) -> str:
        return _digits(rng, 1) + "".join(rng.choices("abcdefghkmnpqrstvwxyz23456789", k=self.length - 1))


@dataclass(frozen=True, slots=True)
class Date:
    """A date from 2027 to 2034, such as ``2031-04-17``."""

    maker: Literal["day"]

    def __call__(self, rng: random.Random) -> str:
        return f"{rng.randint(2027, 2034)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"


Maker = Choice | SharedChoice | Code | Money | Percent | Count | IpAddress | RandomKey | Date


@dataclass(frozen=True, slots=True)
class DocumentKind:
    """One kind of confidential document and the project in which it matters."""

    programme: str
    goal: str
    """Goal of the team's project."""
    names: tuple[str, ...]
    """Possible names of the document."""
    number: Maker
    """Maker of the document's id, the placeholder ``{number}``."""
    facts: Mapping[str, Maker]
    """Makers of the secrets, by placeholder."""
    filler: Mapping[str, Maker]
    """Makers of the placeholders that are not secret."""
    lines: tuple[str, ...]
    needs: tuple[str, ...]
    """Tasks of authorised users, phrased to follow "I have to"."""
    wishes: tuple[str, ...]
    """Wishes of unauthorised users, phrased to follow "I would like to"."""

    def __post_init__(self) -> None:
        """Raises ValueError unless the makers fill exactly the placeholders of the lines."""
        filled = {"number", *self.facts, *self.filler}
        if problem := Placeholders(tuple(filled)).problem("\n".join(self.lines)):
            raise ValueError(problem)


@dataclass(frozen=True, slots=True)
class Resources:
    """All tables of ``resources.toml``."""

    shared: Mapping[str, tuple[str, ...]]
    """Lists of texts that several documents share."""
    kinds: tuple[DocumentKind, ...]
    openings_of_insiders: tuple[Annotated[str, Placeholders(("need", "resource"))], ...]
    """First messages of authorised users."""
    openings: Mapping[Attack, tuple[Annotated[str, Placeholders(("resource",), ("wish", "insider"))], ...]]
    """First messages of unauthorised users, by attack."""
    approaches: Mapping[Attack, str]
    """Instructions for a model that plays an unauthorised user, by attack."""

    def __post_init__(self) -> None:
        """Raises ValueError when a document draws from a list that does not exist."""
        for kind in self.kinds:
            for placeholder, maker in (*kind.facts.items(), *kind.filler.items()):
                if isinstance(maker, SharedChoice) and maker.name not in self.shared:
                    raise ValueError(
                        f"{kind.programme}, placeholder {placeholder!r}: there is no shared list {maker.name!r}"
                    )


@cache
def resources() -> Resources:
    """Returns the tables, which are read once per process."""
    return read_word_table(Resources, __package__, "resources.toml")


def _digits(rng: random.Random, length: int) -> str:
    return str(rng.randint(10 ** (length - 1), 10**length - 1))
