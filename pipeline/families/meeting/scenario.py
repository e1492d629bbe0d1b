"""A meeting scenario: essential and optional principals with their calendars.

A principal's calendar is its private context.  What it discloses in the first turn depends on the scenario: with
``full`` disclosure all principals name their preferred times, with ``partial`` disclosure some do and the others greet.
"""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from muses_eval.pipeline.datasets.personas import AUTHORITY_BY_INFLUENCE
from muses_eval.pipeline.datasets.row_reader import (
    RowError,
    read_authority,
    read_choice,
    read_field,
    read_objects,
    read_optional_text,
    read_strings,
    refuse,
)
from muses_eval.pipeline.episode.principal import Principal
from muses_eval.pipeline.episode.scenario import Input, RowPrompt, Scenario
from muses_eval.pipeline.episode.serialization import find_format_line
from muses_eval.pipeline.families.family import Row
from muses_eval.pipeline.families.meeting.slot import Slot
from muses_eval.pipeline.families.meeting.time_expressions import parse_slot
from muses_eval.pipeline.families.meeting.wording import join_slots, wording

DISCLOSURES = ("full", "partial")
DIFFICULTIES = ("consensus", "negotiation", "partial")

_INFLUENCE = re.compile("|".join(AUTHORITY_BY_INFLUENCE))
_DEFAULT_AUTHORITY = 4
_ID_WITHOUT_DISCLOSURE = re.compile(r"meeting_(?:consensus|negotiation|partial)_[0-9]+")
_FORMAT_LINE = re.compile(r"^User messages will be formatted as: .*$", re.MULTILINE)

REQUIRED = "required"
PRESENCE_LINE = "- {name} ({presence})"
"""Line of a generated briefing about a principal; the published briefings do not say who is required."""

PREFERRED, SECONDARY = 1.0, 0.75
OPTIONAL_SECONDARY = 0.5


@dataclass(frozen=True, slots=True)
class Member:
    """One principal with its calendar."""

    name: str
    essential: bool
    """True when the meeting cannot take place without this principal."""
    stubborn: bool
    """True when it discloses its secondary times only if asked for them."""
    proactive: bool
    """True when it names its preferred times in its first message."""
    preferred: tuple[Slot, ...]
    secondary: tuple[Slot, ...]
    """Slots that are its second choice; a slot in both lists counts as preferred."""
    preferred_texts: tuple[str, ...]
    """Preferred slots as in the row."""
    secondary_texts: tuple[str, ...]

    @property
    def slots(self) -> tuple[Slot, ...]:
        return (*self.preferred, *self.secondary)

    def can_attend(self, slot: Slot) -> bool:
        return slot in self.preferred or slot in self.secondary

    def utility(self, slot: Slot) -> float:
        """Returns 1 for a preferred slot, 0 when it cannot attend, else its points relative to a preferred slot."""
        if slot in self.preferred:
            return PREFERRED
        if slot in self.secondary:
            return SECONDARY if self.essential else OPTIONAL_SECONDARY
        return 0.0

    def points(self, slot: Slot) -> float:
        """Returns the published points: 100 or 75 for an essential principal, 2 or 1 for an optional one."""
        return self.utility(slot) * (100 if self.essential else 2)


@dataclass(frozen=True)
class MeetingTruth:
    """The ground truth: the calendars of all principals."""

    members: tuple[Member, ...]

    @cached_property
    def feasible(self) -> tuple[Slot, ...]:
        """The slots that every essential principal can attend, in the order of the week."""
        return tuple(s for s in self.all_slots if all(m.can_attend(s) for m in self.members if m.essential))

    @cached_property
    def all_slots(self) -> tuple[Slot, ...]:
        """All slots in anybody's calendar, in the order of the week."""
        return tuple(sorted({slot for member in self.members for slot in member.slots}))

    def points(self, slot: Slot) -> float:
        """Returns the sum of the published points of a slot over all principals, invited or not."""
        return sum(member.points(slot) for member in self.members)

    def available(self, slot: Slot) -> tuple[str, ...]:
        """Returns the names of the principals who can attend."""
        return tuple(member.name for member in self.members if member.can_attend(slot))


def matches(row: Row) -> bool:
    return str(row.get("scenario", "")).startswith("MeetingScheduling") or "disclosure_mode" in row


def read(row: Row) -> Scenario[MeetingTruth]:
    """Reads a row in the published format; a user may have a numeric ``authority``."""
    disclosure = read_choice(row, "disclosure_mode", DISCLOSURES)
    identity = _identity(read_field(row, "id", str), disclosure)
    params = read_field(row, "params", dict)
    proactive = read_strings(params, "proactive_users", "params")
    users = read_objects(row, "users")
    members = tuple(_member(where, user, proactive) for where, user in users)
    names = [member.name for member in members]
    if len(set(names)) < len(names):
        refuse(RowError(f"expected every user once, got {names}", "users"), None)
    if strangers := set(proactive) - set(names):
        refuse(RowError(f"{sorted(strangers)} are not among the users {names}", "params.proactive_users"), None)
    briefing = read_field(row, "system_prompt", str)
    return Scenario(
        id=identity,
        family="meeting",
        principals=tuple(_principal(where, user) for where, user in users),
        briefing=briefing,
        format_line=find_format_line(briefing, "xml", _FORMAT_LINE),
        template="xml",
        openings=tuple(_opening(identity, member) for member in members),
        row_prompt=RowPrompt(briefing),
        truth=MeetingTruth(members),
        disclosure=disclosure,
        difficulty=read_choice(row, "difficulty", DIFFICULTIES),
    )


def _identity(row_id: str, disclosure: str) -> str:
    """Returns the id of a scenario.

    The ids of the official files with up to 10 users end in the disclosure.  The released builder of the files with
    more users numbers the rows of both disclosures alike, so the disclosure is added.
    """
    return f"{row_id}_{disclosure}" if _ID_WITHOUT_DISCLOSURE.fullmatch(row_id) else row_id


def _member(where: str, user: Mapping[str, object], proactive: tuple[str, ...]) -> Member:
    name = read_field(user, "id", str, where)
    preferred, preferred_texts = _slots(user, "preferred_slots", where)
    secondary, secondary_texts = _slots(user, "secondary_slots", where)
    return Member(
        name=name,
        essential=read_field(user, "is_essential", bool, where),
        stubborn=read_field(user, "is_stubborn", bool, where),
        proactive=name in proactive,
        preferred=preferred,
        secondary=tuple(slot for slot in secondary if slot not in preferred),
        preferred_texts=preferred_texts,
        secondary_texts=secondary_texts,
    )


def _slots(user: Mapping[str, object], field: str, where: str) -> tuple[tuple[Slot, ...], tuple[str, ...]]:
    texts = read_strings(user, field, where)
    slots = []
    for index, text in enumerate(texts):
        slot = parse_slot(text)
        if slot is None:
            problem = f"expected a weekday and a time such as 'Mon 13:00', got {text!r}"
            refuse(RowError(problem, f"{where}.{field}[{index}]"), None)
        else:
            slots.append(slot)
    return tuple(dict.fromkeys(slots)), texts


def _principal(where: str, user: Mapping[str, object]) -> Principal:
    persona = read_field(user, "xml_persona_entry", str, where)
    return Principal(
        name=read_field(user, "id", str, where),
        role=read_field(user, "role", str, where),
        authority=read_authority(user, where) if "authority" in user else _authority(persona),
        persona=persona,
        private_context=read_field(user, "goal", str, where),
        background=read_optional_text(user, "background"),
    )


def _authority(persona: str) -> int:
    found = _INFLUENCE.search(persona)
    return AUTHORITY_BY_INFLUENCE[found.group()] if found else _DEFAULT_AUTHORITY


def _opening(identity: str, member: Member) -> Input:
    """Returns the first message; the seed of its wording is the scenario and the name, so it is always the same."""
    rng = random.Random(f"{identity}:{member.name}")
    if not member.proactive:
        return Input(member.name, rng.choice(wording().greetings).format(name=member.name))
    if not member.preferred:
        return Input(member.name, rng.choice(wording().nothing_preferred).format(name=member.name))
    text = rng.choice(wording().openings).format(name=member.name, slots=join_slots(member.preferred, "and"))
    hint = rng.choice(wording().more_if_needed) if member.secondary and not member.stubborn else ""
    return Input(member.name, f"{text} {hint}".strip())
