"""The weekdays and the times of day in a folded text, before they are put together."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from muses_eval.pipeline.families.meeting.clock_words import any_of, clock_words
from muses_eval.pipeline.families.meeting.weekday_names import weekday, weekday_pattern, weekday_starts
from muses_eval.pipeline.families.meeting.word_scanner import WordScanner, first_words

HALF_DAY = 12 * 60
LAST_AFTERNOON_HOUR = 6
"""Hours from 1 to this one are in the afternoon when nothing says otherwise, because people meet during the day."""
_MINUTE_GROUPS = ("colon", "dot", "comma", "quote", "dash", "unit_minutes", "space")


@dataclass(frozen=True, slots=True)
class DayToken:
    start: int
    end: int
    day: int


@dataclass(frozen=True, slots=True)
class TimeToken:
    start: int
    end: int
    minutes: int
    bare: bool
    """True for a number without a unit, which is a time only in certain places."""
    halved: bool
    """True when am, pm or noon determines the half of the day."""
    until: int | None = None
    """End of a range; None for a single time."""


Token = DayToken | TimeToken


def time_tokens(text: str) -> Iterator[Token]:
    """Yields days and everything that could be a time of day, left to right."""
    day_end = -1
    for found in _scanner().finditer(text):
        start, end = found.span()
        if name := found["day"]:
            day_end = end
            yield DayToken(start, end, weekday(name))
        elif found["midnight"]:
            yield TimeToken(start, end, 0, bare=False, halved=True)
        elif found["noon"]:
            yield TimeToken(start, end, HALF_DAY, bare=False, halved=True)
        else:
            token = _time(found, spaced=found["space"] is not None and start - day_end <= 3)
            if token is not None:
                yield token


def _time(found: re.Match[str], *, spaced: bool) -> TimeToken | None:
    """Returns the time of a match; None when there is no such time of day.

    *spaced*: a space may stand between the hour and the minutes, since the number follows a day.
    """
    start, end = found.span()
    if digits := found["compact"]:
        hour, minute = divmod(int(digits), 100)
        if digits.startswith("20") and not found["long_unit"]:  # a year, not eight in the evening
            return None
        padded = digits.startswith("0")
        written = False
    else:
        hour = int(found["hour"])
        padded = len(found["hour"]) == 2 and hour < 10
        groups = _MINUTE_GROUPS if spaced else _MINUTE_GROUPS[:-1]
        minutes = next((found[group] for group in groups if found[group]), None)
        if found["space"] and not spaced:
            end = found.end("hour")
        minute = int(minutes or 0)
        written = minutes is not None or found["unit"] is not None
    half = _half(found)
    if half == "pm" and hour < 12:
        hour += 12
    elif half == "am" and hour == 12:
        hour = 0
    elif half is None and 1 <= hour <= LAST_AFTERNOON_HOUR and not padded:
        hour += 12
    if hour > 23 or minute > 59:
        return None
    if not (written or half or digits) and (found["long_unit"] or "").startswith("hour"):
        return None  # a length of time
    bare = not (written or half is not None or (digits and found["long_unit"]))
    return TimeToken(start, end, hour * 60 + minute, bare, halved=half is not None or padded)


def _half(found: re.Match[str]) -> str | None:
    if found["half"]:
        return "pm" if found["half"] == "p" else "am"
    if found["pm_after"] or found["pm_before"]:
        return "pm"
    return "am" if found["am_after"] or found["am_before"] else None


@cache
def _scanner() -> WordScanner:
    words = clock_words()
    am, pm = any_of(words.parts.am), any_of(words.parts.pm)
    unit, minute_unit = any_of(words.words.hour_units), any_of(words.words.minute_units)
    names, prefixes = weekday_starts()
    parts = (*words.parts.am, *words.parts.pm, *words.parts.midday, *words.parts.noon, *words.parts.midnight, "pm")
    pattern = re.compile(
        rf"{weekday_pattern()}"
        rf"|(?:(?:(?P<am_before>{am})|(?P<pm_before>{pm}|\bpm)|{any_of(words.parts.midday)})[\s,]*"
        rf"(?:(?:{any_of(words.words.at)})\s?)?)?"
        r"(?<![\d$#€£])(?<!\d[.,:/])(?:(?P<hour>\d{1,2})"
        r"(?::(?P<colon>\d{1,2})(?::\d\d(?:\.\d+)?)?|\.(?P<dot>\d\d)|,(?P<comma>00|30|45)(?![\d,])|'(?P<quote>\d\d)|[-;_](?P<dash>30|45)(?![\d:.h-])"
        rf"|\s?{unit}\s?(?P<unit_minutes>\d\d)(?:\s?{minute_unit})?|(?P<unit>\s?{unit})"
        r"|\s(?P<space>00|15|30|45)(?![\d:.h/-]|\s?(?:min|%)))?"
        rf"|(?P<compact>\d{{3,4}}))(?![\d%])(?:\s?(?P<long_unit>{any_of(words.words.long_units)})|\s?{unit})?"
        rf"(?:\s?(?:(?P<half>[ap])\.?\s?m(?![a-z])|(?P<am_after>{am})|(?P<pm_after>{pm})))?"
        rf"|(?P<noon>{any_of(words.parts.noon)})|(?P<midnight>{any_of(words.parts.midnight)})"
    )
    return WordScanner(pattern, names | first_words(parts), prefixes)
