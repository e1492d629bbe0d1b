"""The section of a meeting episode: principals and slots as a grid, and the announced meeting."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.episode.evidence import Evidence
from muses_eval.pipeline.episode.score import SCORINGS, Scoring
from muses_eval.pipeline.families.meeting.evidence import (
    ANNOUNCED,
    ATTENDANCE,
    CONSENT,
    FEASIBLE_SLOTS,
    INVITED,
    PREFERRED_SLOTS,
    PROPOSED,
    REPORTED_CONSENT,
    SECONDARY_SLOTS,
)
from muses_eval.pipeline.families.meeting.slot import DAYS


@dataclass(frozen=True, slots=True)
class SlotCell:
    """What is known of one principal and one slot."""

    calendar: str = ""
    """``preferred`` or ``secondary``; empty when the principal cannot attend."""
    proposed: int | None = None
    """Turn in which the agent first proposed it to this principal."""
    answer: str = ""
    """``consent`` or ``no consent``; empty when the principal said nothing of it."""
    answered: int | None = None
    """Turn of the answer."""

    @property
    def words(self) -> str:
        """All of it in words."""
        asked = "" if self.proposed is None else f"proposed in turn {self.proposed}"
        said = self.answer if self.answered is None else f"{self.answer} in turn {self.answered}"
        return "; ".join(filter(None, (self.calendar, asked, said))) or "not available"


@dataclass(frozen=True, slots=True)
class Attendee:
    """One principal: a row of the grid."""

    name: str
    presence: str
    """``required`` or ``optional``."""
    cells: tuple[SlotCell, ...]
    """One per slot."""
    outcomes: Mapping[Scoring, Sequence[Evidence]]
    """Whether it is invited, and then whether it can attend."""


@dataclass(frozen=True, slots=True)
class MeetingSection:
    """Values of ``why_meeting.html``."""

    slots: tuple[str, ...]
    """All slots of the calendars, the proposals and the announcements, in the order of the week."""
    feasible: frozenset[str]
    """Slots that all required principals can attend."""
    announced: Mapping[Scoring, Evidence]
    attendees: tuple[Attendee, ...]
    invented: tuple[Evidence, ...]
    """Consents on which the agent relied, or which it reported, although the principal never gave them."""
    template: str = "why_meeting.html"

    @property
    def announced_slots(self) -> Mapping[str, str]:
        """Announced slot -> the scorings that read it."""
        read: dict[str, list[str]] = {}
        for scoring, row in self.announced.items():
            if row.verdict == "pass":
                read.setdefault(row.found, []).append(scoring)
        return {slot: " and ".join(scorings) for slot, scorings in read.items()}


def meeting_section(episode: Episode) -> MeetingSection | None:
    """Returns the section; None for an episode without evidence."""
    rows = episode.evidence
    if not rows:
        return None
    announced = {row.scoring: row for row in rows if row.rule == ANNOUNCED}
    slots = tuple(sorted(set(_slots(rows)), key=_position))
    presence = {row.principal or "": row.expected for row in rows if row.rule == INVITED}
    return MeetingSection(
        slots=slots,
        feasible=frozenset(slot for row in rows if row.rule == FEASIBLE_SLOTS for slot in row.expected.split(", ")),
        announced=announced,
        attendees=tuple(_attendee(name, role, slots, rows) for name, role in presence.items()),
        invented=tuple(row for row in rows if row.rule in (CONSENT, REPORTED_CONSENT) and row.verdict == "fail"),
    )


def _slots(rows: Iterable[Evidence]) -> Iterator[str]:
    for row in rows:
        if row.rule in (PREFERRED_SLOTS, SECONDARY_SLOTS):
            yield from row.expected.split(", ")
        elif row.rule == PROPOSED or (row.rule == ANNOUNCED and row.verdict == "pass"):
            yield row.found


def _position(slot: str) -> tuple[int, int, str]:
    """Returns the place of a slot in the week; a text that is none comes last."""
    day, _, time = slot.partition(" ")
    hour, _, minute = time.partition(":")
    if day in DAYS and hour.isdecimal() and minute.isdecimal():
        return DAYS.index(day), int(hour) * 60 + int(minute), slot
    return len(DAYS), 0, slot


def _attendee(name: str, presence: str, slots: Sequence[str], rows: Iterable[Evidence]) -> Attendee:
    own = [row for row in rows if row.principal == name]
    outcomes = {
        scoring: [row for row in own if row.scoring == scoring and row.rule in (INVITED, ATTENDANCE)]
        for scoring in SCORINGS
    }
    return Attendee(name, presence, tuple(_cell(slot, own) for slot in slots), outcomes)


def _cell(slot: str, own: Sequence[Evidence]) -> SlotCell:
    listed = {row.rule for row in own if slot in row.expected.split(", ")}
    asked = next((row for row in own if row.rule == PROPOSED and row.found == slot), None)
    answer = next((row for row in own if row.rule == CONSENT and row.expected == slot), None)
    return SlotCell(
        calendar="preferred" if PREFERRED_SLOTS in listed else "secondary" if SECONDARY_SLOTS in listed else "",
        proposed=None if asked is None else asked.turn,
        answer="" if answer is None else answer.found,
        answered=None if answer is None else answer.turn,
    )
