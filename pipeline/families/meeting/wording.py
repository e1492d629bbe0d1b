"""Sentences of the scripted users of the meeting family, read from ``wording.toml``."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated

from muses_eval.pipeline.families.meeting.slot import Slot
from muses_eval.pipeline.word_tables import Placeholders, read_word_table

_Greeting = Annotated[str, Placeholders(("name",))]
_WithSlots = Annotated[str, Placeholders(("slots",))]
"""A sentence with a placeholder for times."""


@dataclass(frozen=True, slots=True)
class Wording:
    """All tables of ``wording.toml``: alternative sentences by purpose."""

    greetings: tuple[_Greeting, ...]
    openings: tuple[Annotated[str, Placeholders(("name", "slots"))], ...]
    nothing_preferred: tuple[_Greeting, ...]
    more_if_needed: tuple[str, ...]
    available: tuple[_WithSlots, ...]
    backup: tuple[_WithSlots, ...]
    no_backup: tuple[str, ...]
    accepted: tuple[_WithSlots, ...]
    accepted_reluctantly: tuple[_WithSlots, ...]
    declined: tuple[_WithSlots, ...]
    none_of_many: tuple[str, ...]
    rest_declined: tuple[str, ...]
    instead: tuple[_WithSlots, ...]
    skip: tuple[str, ...]
    required: tuple[str, ...]
    noted: tuple[str, ...]


@cache
def wording() -> Wording:
    """Returns the sentences, which are read once per process."""
    return read_word_table(Wording, __package__, "wording.toml")


def join_slots(slots: Sequence[Slot], conjunction: str) -> str:
    """Returns times as an enumeration: ``Mon 9:00, Tue 10:30 and Fri 14:00``."""
    *others, last = map(str, slots)
    return f"{', '.join(others)} {conjunction} {last}" if others else last
