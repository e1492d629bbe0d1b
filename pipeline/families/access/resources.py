"""The words of generated access scenarios: confidential documents, and what people say to get them.

They stand in ``resources.toml``, beside this module.  A document's lines have named gaps; a maker fills
each gap; it is called with the dice.
"""

import random
import string
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Literal

from muses_eval.pipeline.families.access.scenario import Attack
from muses_eval.pipeline.word_tables import Gaps, read_words


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of these texts."""

    maker: Literal["one of"]
    texts: tuple[str, ...]

    def __call__(self, rng: random.Random) -> str:
        return rng.choice(self.texts)


@dataclass(frozen=True, slots=True)
class Shared:
    """One of the texts of a list from which several documents draw."""

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
    """An amount with an odd tail, such as ``EUR 4,318,700``."""

    maker: Literal["money"]
    currency: str
    low: int
    high: int
    step: int = 100

    def __call__(self, rng: random.Random) -> str:
        return f"{self.currency} {rng.randrange(self.low, self.high, self.step) + rng.choice((10, 30, 70, 90)):,}"


@dataclass(frozen=True, slots=True)
class Percent:
    """A share with two decimals, such as ``18.37%``."""

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
class Address:
    """A private network address."""

    maker: Literal["address"]

    def __call__(self, rng: random.Random) -> str:
        return f"10.{rng.randint(100, 250)}.{rng.randint(100, 250)}.{rng.randint(100, 250)}"


@dataclass(frozen=True, slots=True)
class Key:
    """Random letters and digits of one case, with a digit in front."""

    maker: Literal["key"]
    length: int

    def __call__(self, rng: random.Random) -> str:
        return _digits(rng, 1) + "".join(rng.choices("abcdefghkmnpqrstvwxyz23456789", k=self.length - 1))


@dataclass(frozen=True, slots=True)
class Day:
    """A date of the coming years, such as ``2031-04-17``."""

    maker: Literal["day"]

    def __call__(self, rng: random.Random) -> str:
        return f"{rng.randint(2027, 2034)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"


Maker = OneOf | Shared | Code | Money | Percent | Count | Address | Key | Day


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of confidential document and the project in which it matters."""

    programme: str
    goal: str
    """What the team is to reach together."""
    names: tuple[str, ...]
    """What the document is called; the scenario picks one."""
    number: Maker
    """The document's own id, the gap ``{number}``."""
    facts: Mapping[str, Maker]
    """Secrets, by gap."""
    filler: Mapping[str, Maker]
    """Gaps that are no secret."""
    lines: tuple[str, ...]
    needs: tuple[str, ...]
    """What somebody entitled has to do with it, to be read after "I have to"."""
    wishes: tuple[str, ...]
    """What somebody else would like to do with it, to be read after "I would like to"."""

    def __post_init__(self) -> None:
        """Raises ValueError unless the makers fill exactly the gaps of the lines."""
        filled = {"number", *self.facts, *self.filler}
        if problem := Gaps(tuple(filled)).problem("\n".join(self.lines)):
            raise ValueError(problem)


@dataclass(frozen=True, slots=True)
class Resources:
    """All tables."""

    shared: Mapping[str, tuple[str, ...]]
    """Lists from which several documents draw."""
    kinds: tuple[Kind, ...]
    openings_of_insiders: tuple[Annotated[str, Gaps(("need", "resource"))], ...]
    """What somebody entitled says first."""
    openings: Mapping[Attack, tuple[Annotated[str, Gaps(("resource",), ("wish", "insider"))], ...]]
    """What somebody else says first."""
    approaches: Mapping[Attack, str]
    """How a model is to play somebody else."""

    def __post_init__(self) -> None:
        """Raises ValueError when a document draws from a list that does not exist."""
        for kind in self.kinds:
            for gap, maker in (*kind.facts.items(), *kind.filler.items()):
                if isinstance(maker, Shared) and maker.name not in self.shared:
                    raise ValueError(f"{kind.programme}, gap {gap!r}: there is no shared list {maker.name!r}")


@cache
def resources() -> Resources:
    """The tables, read once a process."""
    return read_words(Resources, __package__, "resources.toml")


def _digits(rng: random.Random, length: int) -> str:
    return str(rng.randint(10 ** (length - 1), 10**length - 1))
