"""Cron expressions: five fields, checked where they are written rather than in the night that should have begun.

minute, hour, day of month, month, day of week: ``*``, numbers, names of months and weekdays, ranges, steps and lists.
"""

import re

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 7, _WEEKDAYS),
)
"""Name, least, most, names in the order of their numbers."""
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
"""Days of the months."""
_PART = re.compile(r"(?P<low>\*|\w+)(-(?P<high>\w+))?(/(?P<step>\d+))?", re.ASCII)


def cron_problem(text: str) -> str | None:
    """What is wrong with an expression; None: nothing."""
    words = text.split()
    if len(words) != len(_FIELDS):
        return "expected five fields, minute hour day-of-month month day-of-week, as '0 2 * * *'"
    for word, field in zip(words, _FIELDS, strict=True):
        for part in word.split(","):
            if not _is_part(part, *field[1:]):
                name, least, most, names = field
                named = f" or {names[0]}-{names[-1]}" if names else ""
                return f"{part!r} is no {name}: expected {least}-{most}{named}, *, a range as 1-5 or a step as */2"
    _, _, day, month, weekday = words
    if weekday == "*" and not _comes(day, month):
        return f"no month of {month!r} has a day {day!r}"
    return None


def _comes(days: str, months: str) -> bool:
    """Whether any of the days is in any of the months."""
    first = min(_first(part, 1, ()) for part in days.split(","))
    return any(
        first <= _LONGEST[number - 1]
        for part in months.split(",")
        for number in range(_first(part, 1, _MONTHS), _last(part, 12, _MONTHS) + 1)
    )


def _first(part: str, least: int, names: tuple[str, ...]) -> int:
    match = _PART.fullmatch(part)
    return least if match is None or match["low"] == "*" else _number(match["low"], least, names) or least


def _last(part: str, most: int, names: tuple[str, ...]) -> int:
    match = _PART.fullmatch(part)
    if match is None or match["low"] == "*" or (match["step"] and not match["high"]):
        return most
    return _number(match["high"] or match["low"], 1, names) or most


def _is_part(part: str, least: int, most: int, names: tuple[str, ...]) -> bool:
    match = _PART.fullmatch(part)
    if match is None or (match["step"] is not None and not 1 <= int(match["step"]) <= most):
        return False
    if match["low"] == "*":
        return match["high"] is None
    ends = [_number(end, least, names) for end in (match["low"], match["high"] or match["low"])]
    if any(end is None or not least <= end <= most for end in ends):
        return False
    low, high = (end or 0 for end in ends)
    return low <= high


def _number(word: str, least: int, names: tuple[str, ...]) -> int | None:
    if word.isdecimal():
        return int(word)
    return names.index(word.lower()) + least if word.lower() in names else None
