"""Reads the agent's announcement of the meeting, including formats that a human reader would understand.

The briefing asks for one object with ``goal_achieved``, ``final_schedule`` and ``attendees``.  Models also wrap it in
another object, add other text, write the time as an object, or list the attendees in a sentence.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from muses_eval.pipeline.families.meeting.slot import Slot
from muses_eval.pipeline.families.meeting.time_expressions import parse_slot
from muses_eval.pipeline.text.reply_parsing import as_text, first_value, json_objects, nested_objects, strip_reasoning

_GOAL = "goal_achieved"
_SCHEDULE_KEYS = ("final_schedule", "schedule", "meeting_time", "final_time", "time", "slot")
_ATTENDEE_KEYS = ("attendees", "participants", "confirmed_attendees", "invitees")
_NAME_KEYS = ("name", "id", "user", "attendee")
_DAY_KEYS = ("day", "weekday", "date")
_NO = frozenset({"false", "no", "not yet", "0", "none", "null", "declined", "absent"})
_EVERYBODY = re.compile(r"\b(?:all|everyone|everybody|whole team|entire team)\b")
_BUT = re.compile(r"\b(?:except|without|excluding|apart from|other than|but not|not)\b")
_MAX_DEPTH = 3
_MAX_TEXT = 20_000


@dataclass(frozen=True, slots=True)
class Announcement:
    """A meeting that the agent has announced."""

    slot: Slot | None
    """Time of the meeting; None when no day and time can be parsed."""
    invited: tuple[str, ...]
    """Invited principals, in the scenario's order; all when the announcement has no list."""
    report: str


def find_announcement(reply: str, names: Sequence[str]) -> Announcement | None:
    """Returns the last announcement outside the reasoning; None when no object declares the goal achieved."""
    last = None
    for value in json_objects(strip_reasoning(reply)):
        for candidate in nested_objects(value, _MAX_DEPTH, in_lists=True):
            if is_true(candidate.get(_GOAL)):
                last = candidate
    if last is None:
        return None
    report = last.get("final_report")
    return Announcement(
        slot=parse_schedule(first_value(last, _SCHEDULE_KEYS)),
        invited=parse_attendees(first_value(last, _ATTENDEE_KEYS), names),
        report="" if report is None else as_text(report),
    )


def is_true(value: object) -> bool:
    """Returns whether a JSON value means true; strings such as "false" and "no" do not."""
    return value.strip().casefold() not in _NO | {""} if isinstance(value, str) else bool(value)


def parse_schedule(value: object) -> Slot | None:
    """Returns the time in a value: a string, an object such as {day, time}, or a list (its first time)."""
    if isinstance(value, str):
        return parse_slot(value)
    if isinstance(value, list):
        return next((slot for entry in value[:10] if (slot := parse_schedule(entry)) is not None), None)
    if isinstance(value, dict):
        parts = [value[key] for key in _DAY_KEYS if key in value]
        parts += [part for key, part in value.items() if key not in _DAY_KEYS]
        return parse_slot(" ".join(part for part in parts if isinstance(part, str)))
    return None


def parse_attendees(value: object, names: Sequence[str]) -> tuple[str, ...]:
    """Returns the principals in an attendee list; all when the value is empty or not a list, string or object."""
    if not value or not isinstance(value, (str, list, dict)):
        return tuple(names)
    found = _named(value, names)
    return tuple(name for name in names if name in found)


def _named(value: object, names: Sequence[str]) -> set[str]:
    if isinstance(value, str):
        return _named_in(value[:_MAX_TEXT], names)
    if isinstance(value, list):
        return {name for entry in value for name in _named(entry, names)} if len(value) <= _MAX_TEXT else set()
    if isinstance(value, dict):
        title = first_value(value, _NAME_KEYS)
        if isinstance(title, str):
            return _named_in(title, names)
        return {name for key, says in value.items() if is_true(says) or says == "" for name in _named_in(key, names)}
    return set()


def _named_in(text: str, names: Sequence[str]) -> set[str]:
    """Returns the principals that a text names; phrases such as "all but Ann" are understood."""
    kept, _, dropped = _BUT.sub("\0", text.casefold(), count=1).partition("\0")
    if _EVERYBODY.search(kept):
        return set(names) - set(names_in(dropped, names))
    return set(names_in(kept, names))


def names_in(text: str, names: Sequence[str]) -> tuple[str, ...]:
    """Returns the names that a case-folded text contains as whole words."""
    return tuple(
        n for n in names if n.casefold() in text and re.search(rf"(?<!\w){re.escape(n.casefold())}(?!\w)", text)
    )
