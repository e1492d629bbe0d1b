"""What principals of the meeting family say.

The sentences stand in ``wording.toml``, beside this module.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated

from muses_eval.pipeline.families.meeting.slots import Slot
from muses_eval.pipeline.word_tables import Placeholders, read_word_table

_Greeting = Annotated[str, Placeholders(("name",))]
_WithSlots = Annotated[str, Placeholders(("slots",))]
"""A sentence about some times."""


@dataclass(frozen=True, slots=True)
class Wording:
    """Sentences by what they are for; a principal says one of each."""

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
    """The sentences, read once a process."""
    return read_word_table(Wording, __package__, "wording.toml")


def join_slots(slots: Sequence[Slot], conjunction: str) -> str:
    """Times as people enumerate them: ``Mon 9:00, Tue 10:30 and Fri 14:00``."""
    *others, last = map(str, slots)
    return f"{', '.join(others)} {conjunction} {last}" if others else last
