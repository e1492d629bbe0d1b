"""Reads one part of a reply as the corrected scoring does, for cases that concern only that part.

| case | read |
| --- | --- |
| ``reply``, ``human``: {user: text} | the answers of instruct |
| ``part`` ``slots`` or ``values``, ``case``: [text or value, slot or null] | the time of a meeting |
| ``part`` ``attendees``, ``case``: [value, names] | the invited principals among Ann, Bob and Cyd |
| ``part`` ``goal``, ``case``: [value, bool] | whether the value declares the goal achieved |
| ``part`` ``announcements``, ``case``: [name, reply, bool] | whether the reply announces a meeting |
| ``asked``, ``answer``, ``human_granted`` | whether Ann consents to the slot that she was asked about |
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from muses_eval.pipeline.datasets.row_reader import RowError, read_field
from muses_eval.pipeline.episode.principal import AGENT
from muses_eval.pipeline.episode.transcript import Message, Transcript, delivered
from muses_eval.pipeline.families.family import Row
from muses_eval.pipeline.families.instruct.answers import read_answers
from muses_eval.pipeline.families.meeting import announcement, consent
from muses_eval.pipeline.families.meeting.time_expressions import parse_slot

_NAMES = ("Ann", "Bob", "Cyd")
_NAMED_CASE = 3


@dataclass(frozen=True, slots=True)
class Reading:
    """What this project and a person read in one text; ``human`` is None when people differ."""

    family: str
    name: str
    ours: str
    human: str | None


def reading_of(case: Row) -> Reading | None:
    """Returns the reading of a case; None when the case is no part of a reply.

    Raises:
        RowError: the case is malformed.
    """
    if "part" in case:
        return _meeting_part(case)
    if "human_granted" in case:
        return _consent(case)
    if "reply" in case and isinstance(case.get("human"), Mapping):
        return _answers(case)
    return None


def _answers(case: Row) -> Reading:
    human = read_field(case, "human", dict)
    ours = read_answers(tuple(human), read_field(case, "reply", str))
    return Reading("instruct", "reply", _json(ours), _json(human))


def _meeting_part(case: Row) -> Reading:
    part = read_field(case, "part", str)
    entry = read_field(case, "case", list)
    if len(entry) < 2:
        raise RowError(f"expected [value, verdict], got {entry!r}", "case")
    given, human = entry[-2], entry[-1]
    name = f"{part} {entry[0]}" if len(entry) == _NAMED_CASE else f"{part} {_json(given)}"
    if part == "slots":
        slot = parse_slot(given)
        return Reading("meeting", name, _slot(None if slot is None else str(slot)), _slot(human))
    if part == "values":
        slot = announcement.parse_schedule(given)
        return Reading("meeting", name, _slot(None if slot is None else str(slot)), _slot(human))
    ours: object
    if part == "attendees":
        ours, human = sorted(announcement.parse_attendees(given, _NAMES)), sorted(human)
    elif part == "goal":
        ours = announcement.is_true(given)
    elif part == "announcements":
        ours = announcement.find_announcement(given, _NAMES) is not None
    else:
        raise RowError(f"expected slots, values, attendees, goal or announcements; got {part!r}", "part")
    return Reading("meeting", name, _json(ours), _json(human))


def _consent(case: Row) -> Reading:
    asked, answer = read_field(case, "asked", str), read_field(case, "answer", str)
    slot = parse_slot(asked)
    if slot is None:
        raise RowError(f"expected a question with a day and a time, got {asked!r}", "asked")
    transcript = Transcript((delivered(1, (_NAMES[0],), asked), Message(2, _NAMES[0], (AGENT,), answer)))
    ours = consent.has_consented(transcript, _NAMES[0], slot, 2)
    human = case["human_granted"]
    return Reading("meeting", f"consent {answer!r}", _json(ours), None if human is None else _json(human))


def _slot(value: object) -> str:
    return "no time" if value is None else str(value)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
