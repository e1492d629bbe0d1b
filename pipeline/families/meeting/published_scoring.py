"""The released scorer of the meeting family, including its errors.  It is frozen: fix ``corrected_scoring``, not this.

A slot is a day and a time: the first word of a fixed list of days that the text contains anywhere, and the first number
after all dots are deleted.  A principal attends when the slot equals one of its own and the attendee list is empty or
contains its exact name (a string contains it as a substring).  Success means that all essential principals attend.  The
agent's announcement is the last top-level object with a true ``goal_achieved`` in the first reply that has one.  A row
fails when a target is a list or an object, when content is not text, or when the decoder reaches a limit of Python's.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from muses_eval.pipeline.families.meeting.scenario import MeetingTruth
from muses_eval.pipeline.text.released_json import FailedRowError, values_in_reply

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "mon", "tue", "wed", "thu", "fri")
_CLOCK = re.compile(r"(\d{1,2})(?::(\d{2}))?\s*(am|pm)?")
_HOURS = (9, 10, 11, 13, 14, 15, 16)
_ESSENTIAL_POINTS = (100.0, 75.0)
_OPTIONAL_POINTS = (2.0, 1.0)
_OPTIONAL_WEIGHT = 0.5
_MAX_TURNS = 10

GRID = tuple(
    f"{day} {hour}:{minute}"
    for day in ("Mon", "Tue", "Wed", "Thu", "Fri")
    for hour in _HOURS
    for minute in ("00", "30")
)
"""Slots among which the best one is searched for."""


@dataclass(frozen=True, slots=True)
class RawAnnouncement:
    """The values of the agent's final object; any JSON values."""

    schedule: object
    attendees: object
    goal: object
    turn: int


@dataclass(frozen=True, slots=True)
class Result:
    """Metrics of one episode; all are 0 when there is an ``error``."""

    success: float = 0.0
    attendance: float = 0.0
    essential_attendance: float = 0.0
    optional_attendance: float = 0.0
    slot_utility: float = 0.0
    error: str | None = None
    slot: str | None = None
    """The announced slot in the form of :func:`normalise`; None when there is none, or an ``error``."""
    invited: frozenset[str] = frozenset()
    coming: frozenset[str] = frozenset()
    """The invited principals who can attend the slot."""


@dataclass(frozen=True, slots=True)
class EpisodeResult:
    """Metrics of an episode, and the number of turns that the released code reports for it."""

    metrics: Result
    turns: int


def score(truth: MeetingTruth, schedule: object, attendees: object, goal: object) -> Result:
    """Scores one announcement."""
    if not goal or not schedule:
        return Result()
    if not isinstance(schedule, str):
        return Result(error=f"final_schedule is {type(schedule).__name__}, not text")
    target = normalise(schedule)
    calendars = [(m, {*map(normalise, m.preferred_texts)}, {*map(normalise, m.secondary_texts)}) for m in truth.members]
    try:
        invited = frozenset(member.name for member in truth.members if _invited(attendees, member.name))
    except TypeError as error:  # a number or true instead of a list
        return Result(error=str(error))
    coming = frozenset(m.name for m, pref, sec in calendars if m.name in invited and target in pref | sec)
    essential = [m.name in coming for m in truth.members if m.essential]
    optional = [m.name in coming for m in truth.members if not m.essential]
    essential_attendance, optional_attendance = _share(essential), _share(optional)
    weight = len(essential) + _OPTIONAL_WEIGHT * len(optional)

    def points(slot: str) -> float:
        total = 0.0
        for member, preferred, secondary in calendars:
            high, low = _ESSENTIAL_POINTS if member.essential else _OPTIONAL_POINTS
            total += high if slot in preferred else low if slot in secondary else 0.0
        return total

    most = max(map(points, GRID))
    return Result(
        success=float(essential_attendance == 1.0),
        attendance=(sum(essential) + _OPTIONAL_WEIGHT * sum(optional)) / weight if weight else 0.0,
        essential_attendance=essential_attendance,
        optional_attendance=optional_attendance,
        slot_utility=points(target) / most if most else 0.0,
        slot=target,
        invited=invited,
        coming=coming,
    )


def normalise(text: str) -> str:
    """Returns a slot in the normal form for comparisons."""
    lowered = text.strip().lower()
    day = next((word for word in _DAYS if word in lowered), None)
    if day is None:
        return text.strip().title()
    rest = lowered.replace(day, " ").replace(".", "").strip()
    found = _CLOCK.search(rest)
    if found is None:
        return f"{day[:3].title()} {rest}"
    hour = int(found[1])
    if found[3] == "pm" and hour != 12:
        hour += 12
    elif found[3] == "am" and hour == 12:
        hour = 0
    return f"{day[:3].title()} {hour}:{int(found[2] or 0):02d}"


def score_replies(truth: MeetingTruth, replies: Sequence[tuple[int, str]], *, from_api: bool = False) -> EpisodeResult:
    """Scores the agent's replies, up to the one that ends the episode for the released runner.

    *from_api*: an empty reply makes the row fail, as a failed call does.
    """
    return _score_replies(truth, tuple(replies), from_api)


@lru_cache(maxsize=1)  # an episode's scores and their evidence need the same result
def _score_replies(truth: MeetingTruth, replies: tuple[tuple[int, str], ...], from_api: bool) -> EpisodeResult:
    try:
        final = find_announcement(replies, from_api=from_api)
    except FailedRowError as error:
        return EpisodeResult(Result(error=str(error)), 0)
    if final is None:
        return EpisodeResult(Result(), min(len(replies), _MAX_TURNS))
    result = score(truth, final.schedule, final.attendees, final.goal)
    return EpisodeResult(result, 0 if result.error else final.turn)


def find_announcement(replies: Sequence[tuple[int, str]], *, from_api: bool = False) -> RawAnnouncement | None:
    """Returns the announcement that ends the episode for the released runner.

    Raises:
        FailedRowError: the row fails before.
    """
    for turn, reply in replies[:_MAX_TURNS]:
        if from_api and not reply:
            raise FailedRowError("the API returned no text")
        objects = top_level_objects(reply)
        check_messages(objects)
        last = next((value for value in reversed(objects) if value.get("goal_achieved")), None)
        if last is not None:
            return RawAnnouncement(last.get("final_schedule"), last.get("attendees", []), last["goal_achieved"], turn)
    return None


def check_messages(objects: Sequence[dict[str, object]]) -> None:
    """Raises FailedRowError when messages cannot be grouped by target, or the texts of a group not be joined."""
    for message in objects:
        if "target" in message and "content" in message:
            if isinstance(message["target"], (list, dict)):
                raise FailedRowError(f"a target is {type(message['target']).__name__}, not text")
            if not isinstance(message["content"], str):
                raise FailedRowError(f"content is {type(message['content']).__name__}, not text")


def _invited(attendees: Any, name: str) -> bool:  # noqa: ANN401 - any JSON value; one without `in` raises TypeError
    return not attendees or name in attendees


def _share(attending: Collection[bool]) -> float:
    return sum(attending) / len(attending) if attending else 1.0


def top_level_objects(reply: str) -> list[dict[str, object]]:
    """Returns the JSON objects that are not inside another value, left to right.

    Raises:
        FailedRowError: the decoder reaches a limit of Python's.
    """
    return [value for value in values_in_reply(reply, skip_failures=False) if isinstance(value, dict)]
