"""Reads the time of a meeting from any JSON value: a string, an object such as {day, time}, or a list."""

import re
from collections.abc import Iterator, Mapping

from muses_eval.pipeline.families.meeting.slot import Slot
from muses_eval.pipeline.families.meeting.time_expressions import parse_slot, time_expressions
from muses_eval.pipeline.text.reply_parsing import plain_key

_CHOSEN_KEYS = (
    "final", "finalschedule", "finaltime", "finalslot", "confirmed", "agreed", "selected", "chosen", "new", "slot",
    "schedule", "scheduledtime", "meeting", "meetingtime", "meetingslot", "datetime", "when", "value", "timeslot",
    "time", "start", "starttime", "begin", "begins", "from", "startdatetime", "text",
)  # fmt: skip
"""Keys of the time itself, the most definite first."""
_DAY_KEYS = ("day", "weekday", "dayofweek", "dayname", "date")
_TIME_KEYS = (
    "starttime", "start", "starts", "startsat", "begin", "begins", "from", "time", "timeofday", "timeslot", "slot",
    "hour", "hours", "at",
)  # fmt: skip
_MINUTE_KEYS = ("minute", "minutes", "min", "mins")
_HALF_KEYS = ("ampm", "meridiem", "period", "half", "partofday")
_OTHER_TIMES = re.compile(
    r"end|finish|until|backup|alternative|fallback|proposed|rejected|declined|cancelled|old|previous|original|duration|length"
    r"|zone|location|room|attendee|participant|note|reason|considered|^to$|^tz$"
)
"""Keys of what is not the time of the meeting."""
_MAX_DEPTH = 5
_MAX_ENTRIES = 50
_LONGEST_NAME = 20
"""Number of characters of a key in which the name of a weekday is looked for."""


def parse_schedule(value: object, depth: int = _MAX_DEPTH) -> Slot | None:
    """Returns the time in a value; of a list the first; None when there is none."""
    if isinstance(value, str):
        return parse_slot(value)
    if depth and isinstance(value, list):
        entries = value[:_MAX_ENTRIES]
        first = next((slot for entry in entries if (slot := parse_schedule(entry, depth - 1)) is not None), None)
        return first or parse_slot(" ".join(entry for entry in entries if isinstance(entry, str)))
    if depth and isinstance(value, dict):
        return next((slot for slot in _readings(value, depth - 1) if slot is not None), None)
    return None


def _readings(value: Mapping[str, object], depth: int) -> Iterator[Slot | None]:
    """Yields what an object may mean, the most likely first."""
    by_key = {plain_key(key): says for key, says in reversed(list(value.items())[:_MAX_ENTRIES])}
    day = next((by_key[key] for key in _DAY_KEYS if isinstance(by_key.get(key), str)), None)
    if isinstance(day, str):
        weekdays = [by_key[key] for key in _DAY_KEYS if isinstance(by_key.get(key), str)]
        yield parse_slot(f"{' '.join(map(str, weekdays))} {_clock(by_key, depth)}")
    yield from (parse_schedule(by_key[key], depth) for key in _CHOSEN_KEYS if key in by_key)
    if day is None:
        named = ((key, says) for key, says in by_key.items() if time_expressions(key[:_LONGEST_NAME]))
        yield from (parse_slot(f"{key} {_clock_of(says, depth)}") for key, says in named)
    kept = (says for key, says in value.items() if not _OTHER_TIMES.search(plain_key(key)))
    yield parse_slot(" ".join(says for says in kept if isinstance(says, str)))
    rest = (says for key, says in by_key.items() if key not in _CHOSEN_KEYS and not _OTHER_TIMES.search(key))
    yield from (parse_schedule(says, depth) for says in rest if not isinstance(says, str))


def _clock(by_key: Mapping[str, object], depth: int) -> str:
    """Returns the time of day of an object as text; empty when it has none."""
    key = next((key for key in _TIME_KEYS if key in by_key), None)
    if key is None:
        return ""
    half = next((by_key[other] for other in _HALF_KEYS if isinstance(by_key.get(other), str)), "")
    minute = next((by_key[other] for other in _MINUTE_KEYS if other in by_key), None)
    if key.startswith("hour") and minute is not None:
        return f"{_digits(by_key[key])}:{_digits(minute):0>2} {half}"
    return f"{_clock_of(by_key[key], depth)} {half}"


def _clock_of(value: object, depth: int) -> str:
    if isinstance(value, dict) and depth:
        return _clock({plain_key(key): says for key, says in reversed(value.items())}, depth - 1)
    if isinstance(value, list) and value:
        return _clock_of(value[0], depth - 1) if depth else ""
    if isinstance(value, float) and 0 <= value < 24:
        return f"{int(value)}:{round(value % 1 * 60):02d}"
    return value if isinstance(value, str) else _digits(value)


def _digits(value: object) -> str:
    """Returns a number or a string of one as text; empty for anything else."""
    if isinstance(value, str):
        return value.strip()[:5]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10_000 else ""
