"""The words of generated instruct scenarios: tasks, constraints as users put them, and demands that clash with them.

They stand in ``wording.toml``, beside this module.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated

from muses_eval.pipeline.word_tables import Gaps, read_words


@dataclass(frozen=True, slots=True)
class Theme:
    """What can be asked for on subjects of one kind: any act goes with any subject."""

    acts: tuple[Annotated[str, Gaps(("subject",))], ...]
    subjects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """A constraint in words.  Its gaps have the names of the constraint's arguments."""

    statements: tuple[str, ...]
    """How users put it."""
    clash: str
    """What somebody asks for all answers that cannot be had together with it."""


@dataclass(frozen=True, slots=True)
class Wording:
    """All tables."""

    objectives: tuple[str, ...]
    themes: tuple[Theme, ...]
    """Tasks are an act, a subject, an audience and a tone."""
    audiences: tuple[str, ...]
    tones: tuple[str, ...]
    question_openers: tuple[str, ...]
    proposals: tuple[str, ...]
    keywords: tuple[str, ...]
    forbidden: tuple[str, ...]
    first_words: tuple[str, ...]
    endings: tuple[str, ...]
    section_words: tuple[str, ...]
    language_names: Mapping[str, str]
    """By the detector's language codes."""
    conditions: Mapping[str, Condition]
    """By the constraint's id, and its relation if it has one."""
    overreach: tuple[Annotated[str, Gaps(("clash",))], ...]
    """How a user reaches into the answers to others."""


@cache
def wording() -> Wording:
    """The tables, read once a process."""
    return read_words(Wording, __package__, "wording.toml")
