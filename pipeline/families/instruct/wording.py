"""Texts of generated instruct scenarios, read from ``wording.toml``.

They contain tasks, constraints in users' words, and demands that conflict with them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated

from muses_eval.pipeline.word_tables import Placeholders, read_word_table


@dataclass(frozen=True, slots=True)
class Theme:
    """Tasks on subjects of one kind: every act can be combined with every subject."""

    acts: tuple[Annotated[str, Placeholders(("subject",))], ...]
    subjects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """A constraint in users' words.  The placeholders have the names of the constraint's arguments."""

    statements: tuple[str, ...]
    """Wordings of the constraint."""
    clash: str
    """A demand on all answers that cannot be met together with the constraint."""


@dataclass(frozen=True, slots=True)
class Wording:
    """All tables of ``wording.toml``."""

    objectives: tuple[str, ...]
    themes: tuple[Theme, ...]
    """A task consists of an act, a subject, an audience and a tone."""
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
    """Language code of the detector -> name."""
    conditions: Mapping[str, Condition]
    """Constraint id, with its relation if it has one -> wordings."""
    overreach: tuple[Annotated[str, Placeholders(("clash",))], ...]
    """Demands on the answers to other users."""


@cache
def wording() -> Wording:
    """Returns the tables, which are read once per process."""
    return read_word_table(Wording, __package__, "wording.toml")
