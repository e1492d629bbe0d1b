"""Finds the agent's announcement of the meeting in a reply, including formats that a human reader would understand.

The briefing asks for one object with ``goal_achieved``, ``final_schedule`` and ``attendees``.  Models also wrap it in
another object, write the keys in another way, add other text, or spread it over two objects.  An object that the text
around it quotes as a format, or makes depend on a condition, announces nothing; nor does an unfilled template.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from muses_eval.pipeline.families.meeting.attendees import parse_attendees
from muses_eval.pipeline.families.meeting.goal_value import is_true
from muses_eval.pipeline.families.meeting.name_mentions import names_in
from muses_eval.pipeline.families.meeting.schedule_values import parse_schedule
from muses_eval.pipeline.families.meeting.slot import Slot
from muses_eval.pipeline.text.illustration import is_condition, is_template
from muses_eval.pipeline.text.reasoning import strip_reasoning
from muses_eval.pipeline.text.reply_parsing import (
    Span,
    as_text,
    first_value,
    json_objects,
    json_spans,
    plain_key,
)

__all__ = ["Announcement", "find_announcement", "is_true", "names_in", "parse_attendees", "parse_schedule"]

_GOAL_KEYS = (
    "goal_achieved", "is_goal_achieved", "goal_is_achieved", "goal_reached", "goal_met", "goal_completed",
    "goal_complete", "goal_accomplished", "goal_fulfilled", "achieved_goal", "goal_attained", "goal_done",
)  # fmt: skip
_SCHEDULE_KEYS = (
    "final_schedule", "schedule", "final_time", "meeting_time", "scheduled_time", "final_slot", "meeting_slot",
    "final_meeting_time", "agreed_time", "agreed_slot", "time_slot", "final_decision", "meeting", "time", "slot",
    "when", "datetime",
)  # fmt: skip
_ATTENDEE_KEYS = (
    "attendees", "final_attendees", "participants", "confirmed_attendees", "confirmed_participants", "invitees",
    "attendee_list", "invited", "attending", "members", "people", "users", "who",
)  # fmt: skip
_REPORT_KEYS = ("final_report", "report", "final_message")
_QUOTING_PREFIXES = (
    "if",
    "when",
    "once",
    "unless",
    "format",
    "example",
    "template",
    "previous",
    "thought",
    "thinking",
    "reasoning",
    "analysis",
    "draft",
)
_QUOTING_SUFFIXES = ("format", "example", "template", "schema", "draft")
"""Beginnings and ends of keys of objects that are not the decision itself."""
_MAX_DEPTH = 4
_MAX_CHILDREN = 200
_MAX_LINES = 400
_KEY_LINE = re.compile(r"[\s*_#>`-]*\"?(?P<key>[A-Za-z][A-Za-z_ -]{1,30}?)\"?[*_`]{0,3}\s?[:=](?P<value>.*)")
_ITEM_LINE = re.compile(r"\s*(?:[-*•+]|\d{1,2}[.)])\s+(?P<item>.+)")
_CACHED_REPLIES = 16
_CONTEXT = 240
"""Number of characters of a line or a schedule that are read."""
_UNFILLED = re.compile(
    r"\W*|.*(?:hh:mm|\[[^\]]*(?:day|time|slot)[^\]]*\]|<[^>]*(?:day|time|slot)[^>]*>|\{[^}]*(?:day|time|slot)[^}]*\}).*"
    r"|\W*(?:week)?day\W+(?:and )?(?:start )?time\W*|(?:x{2,}|y{2,}|\.{3}|…)\W*"
    r"|\W*(?:your|the|insert|agreed) .{0,20}(?:time|slot|here)\W*",
    re.IGNORECASE | re.DOTALL,
)
"""A schedule that still is the text of the template."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """A meeting that the agent has announced."""

    slot: Slot | None
    """Time of the meeting; None when no day and time can be parsed."""
    invited: tuple[str, ...]
    """Invited principals, in the scenario's order; all when the announcement has no list."""
    report: str


def find_announcement(reply: str, names: Sequence[str]) -> Announcement | None:
    """Returns the announcement outside the reasoning; None when no object declares the goal achieved.

    The last one with a time counts; objects without one, such as a summary, do not replace it.
    """
    return _announcement(reply, tuple(names))


@lru_cache(maxsize=_CACHED_REPLIES)  # an episode ends by it, and its scores and their evidence need it too
def _announcement(reply: str, names: tuple[str, ...]) -> Announcement | None:
    text = strip_reasoning(reply)
    spans = list(json_spans(text))
    declared = list(_declared(text, spans)) or list(_written_as_lines(text))
    if not declared:
        return None
    scheduled = [value for value in declared if _schedule(value) is not None]
    timed = next((value for value in reversed(scheduled) if parse_schedule(_schedule(value)) is not None), None)
    last = timed or (scheduled or declared)[-1]
    schedule, attendees = _schedule(last), first_value(last, _ATTENDEE_KEYS)
    if schedule is None:
        beside = _beside(last, [span.value for span in spans])
        schedule = _schedule(beside)
        attendees = first_value(beside, _ATTENDEE_KEYS) if attendees is None else attendees
    if attendees is None and isinstance(schedule, dict):
        attendees = first_value(schedule, _ATTENDEE_KEYS)
    report = first_value(last, _REPORT_KEYS)
    return Announcement(
        slot=parse_schedule(schedule),
        invited=parse_attendees(attendees, names),
        report="" if report is None else as_text(report),
    )


def _declared(text: str, spans: Sequence[Span]) -> Iterator[Mapping[str, object]]:
    """Yields the objects that declare the goal achieved, without quoted ones and unfilled templates."""
    for span in spans:
        declared = [value for value in _objects(span.value, _MAX_DEPTH) if _declares(value)]
        if declared and not is_condition(text, span.start, span.end) and not is_template(text, span.start):
            yield from (value for value in declared if not _is_unfilled(_schedule(value)))


def _may_hold(value: object) -> bool:
    """Returns whether a value may hold an object: a container, or a string of JSON."""
    return isinstance(value, (dict, list)) or (isinstance(value, str) and "{" in value)


def _declares(value: Mapping[str, object]) -> bool:
    return any("goal" in key.casefold() for key in value) and is_true(first_value(value, _GOAL_KEYS))


def _is_quoting(key: str) -> bool:
    """Returns whether the object under a key is an example, a condition or a thought."""
    plain = plain_key(key[:_CONTEXT])
    return plain.startswith(_QUOTING_PREFIXES) or plain.endswith(_QUOTING_SUFFIXES)


def _schedule(value: Mapping[str, object]) -> object:
    return first_value(value, _SCHEDULE_KEYS)


def _beside(value: Mapping[str, object], others: Sequence[object]) -> Mapping[str, object]:
    """Returns the object with the schedule inside or beside an object that has none; an empty one without any."""
    around = islice((each for other in (value, *others) for each in _objects(other, _MAX_DEPTH)), _MAX_CHILDREN)
    return next((each for each in around if first_value(each, _SCHEDULE_KEYS[:1]) or _is_meeting(each)), {})


def _written_as_lines(text: str) -> Iterator[Mapping[str, object]]:
    """Yields the announcement that is written as ``key: value`` lines, with lists below a key; it needs a time."""
    fields: dict[str, object] = {}
    key = ""
    for line in text.splitlines()[:_MAX_LINES]:
        if found := _KEY_LINE.fullmatch(line[:_CONTEXT]):
            key = found["key"].strip()
            fields[key] = found["value"].strip(" *_`,\"'")
        elif (item := _ITEM_LINE.fullmatch(line[:_CONTEXT])) and isinstance(fields.get(key), (str, list)) and key:
            listed = fields[key]
            if not listed or isinstance(listed, list):
                fields[key] = [*(listed if isinstance(listed, list) else ()), item["item"]]
    if is_true(first_value(fields, _GOAL_KEYS)) and parse_schedule(_schedule(fields)) is not None:
        yield fields


def _objects(value: object, depth: int) -> Iterator[Mapping[str, object]]:
    """Yields an object and the objects in it, outer ones first, also those that are written as strings."""
    if isinstance(value, str):
        if depth and value.lstrip()[:1] == "{" and "goal" in value.casefold():
            for inner in json_objects(value):
                yield from _objects(inner, depth - 1)
    elif isinstance(value, list):
        for entry in value[:_MAX_CHILDREN] if depth else ():
            yield from _objects(entry, depth - 1)
    elif isinstance(value, dict):
        yield value
        is_message = "target" in value or "to" in value or "recipient" in value
        for key, child in list(value.items())[:_MAX_CHILDREN] if depth else ():
            if not (is_message and isinstance(child, str)) and _may_hold(child) and not _is_quoting(key):
                yield from _objects(child, depth - 1)


def _is_meeting(value: Mapping[str, object]) -> bool:
    return first_value(value, _SCHEDULE_KEYS) is not None and first_value(value, _ATTENDEE_KEYS) is not None


def _is_unfilled(schedule: object) -> bool:
    return isinstance(schedule, str) and schedule != "" and _UNFILLED.fullmatch(schedule[:_CONTEXT]) is not None
