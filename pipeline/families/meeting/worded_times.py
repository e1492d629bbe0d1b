"""Times of day in words: "half past nine", "halb zehn", "las nueve y media", "thirteen hundred", "三点半"."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from muses_eval.pipeline.families.meeting.clock_words import any_of, clock_words
from muses_eval.pipeline.families.meeting.folded_text import folded
from muses_eval.pipeline.families.meeting.weekday_names import weekday_pattern
from muses_eval.pipeline.families.meeting.word_scanner import UNSPACED, first_words, words_in

_HALF, _QUARTER, _THREE_QUARTERS = 30, 15, 45
_LOOK_BACK = 40
"""Number of characters before an hour in which its day is looked for."""


@dataclass(frozen=True, slots=True)
class _Rewriting:
    """A pattern of worded times, and how they are written in digits."""

    words: frozenset[str]
    """Words of which the pattern needs one."""
    pattern: re.Pattern[str]
    rewritten: Callable[[re.Match[str]], str]


def in_digits(text: str) -> str:
    """Returns a folded text with its times of day in digits; "half past nine" becomes "9:30"."""
    words = frozenset(words_in(text))
    unspaced = not text.isascii() and UNSPACED.search(text) is not None
    if not unspaced and words.isdisjoint(_starts()):
        return text
    for each in _rewritings():
        if unspaced or not words.isdisjoint(each.words):
            text = each.pattern.sub(each.rewritten, text)
    return text


@cache
def _hours() -> Mapping[str, int]:
    return {folded(word): hour for hour, each in enumerate(clock_words().hours, 1) for word in each}


@cache
def _english_hours() -> frozenset[str]:
    return frozenset(each[0] for each in clock_words().hours)


@cache
def _starts() -> frozenset[str]:
    return frozenset(word for each in _rewritings() for word in each.words)


@cache
def _day_before() -> re.Pattern[str]:
    day = weekday_pattern().replace("(?P<day>", "(?:", 1)
    return re.compile(rf"{day}[\s,]+(?:{any_of(clock_words().words.at)}\s)?$")


@cache
def _rewritings() -> tuple[_Rewriting, ...]:
    words = clock_words()
    fractions, minutes = words.fractions, words.minutes
    hours = tuple(word for each in words.hours for word in each)
    hour, unit = any_of(hours), any_of(words.words.hour_units)
    parts = (*words.parts.am, *words.parts.pm)
    either = rf"(?P<hour>\d{{1,2}}(?!\d)|{hour})"
    part = rf"(?:\s?[ap]\.?\s?m\b|\s(?:{any_of(parts)}))"
    before = {name: getattr(fractions, name) for name in ("half_past", "quarter_past", "quarter_to", "half_to")}
    after = {name: getattr(fractions, name) for name in ("and_half", "and_quarter", "less_quarter")}
    minute = {name: getattr(minutes, name) for name in ("thirty", "fifteen", "forty_five")}

    def rewriting(needed: Iterable[str], pattern: str, rewritten: Callable[[re.Match[str]], str]) -> _Rewriting:
        return _Rewriting(first_words(needed), re.compile(pattern), rewritten)

    return (
        rewriting(["past"], rf"(?P<five>five|ten|twenty(?:[ -]five)?|\d{{1,2}})(?: minutes)? past {either}", _past),
        rewriting(_all(before), rf"(?:{_named(before)})\s?{either}", _before_hour),
        rewriting(_all(after), rf"{either}(?:\s?{unit})?\s(?:{_named(after)})", _after_hour),
        rewriting(
            _all(minute),
            rf"{either}(?:\s?{unit}\s?|[\s-])(?:{_named(minute)})(?![- ]?min)(?:\s?분|分)?",
            _with_minutes,
        ),
        rewriting(["hundred"], rf"(?P<hour>{hour})\s(?P<hundred>hundred)(?:\shours)?", _hundred),
        rewriting(
            (*parts, *words.words.hour_units, "p", "a", "pm", "am"),
            rf"(?P<hour>{hour})(?=\s?(?:{unit})|{part})",
            _plain_hour,
        ),
        rewriting(hours, rf"(?P<hour>{hour})(?=\s*(?:[.,;!?)\]\n]|\Z|works?\b|or\b|is\b))", _after_day),
    )


def _all(tables: Mapping[str, Iterable[str]]) -> Iterable[str]:
    return (word for words in tables.values() for word in words)


def _named(tables: Mapping[str, Iterable[str]]) -> str:
    return "|".join(f"(?P<{name}>{any_of(words)})" for name, words in tables.items())


def _hour(found: re.Match[str]) -> int:
    text = found["hour"]
    return int(text) if text.isdecimal() else _hours()[text]


def _clock(hour: int, minute: int = 0) -> str:
    return f"{hour}:{minute:02d}"


def _earlier(hour: int) -> int:
    """Returns the hour before; twelve before one."""
    return hour - 1 if hour > 1 else 12


def _past(found: re.Match[str]) -> str:
    five = found["five"]
    minutes = int(five) if five.isdecimal() else {"five": 5, "ten": 10, "twenty": 20}.get(five, 25)
    return _clock(_hour(found), minutes) if minutes < 60 else found.group()


def _before_hour(found: re.Match[str]) -> str:
    hour = _hour(found)
    if found["half_past"]:
        return _clock(hour, _HALF)
    if found["quarter_past"]:
        return _clock(hour, _QUARTER)
    if found["quarter_to"]:
        return _clock(_earlier(hour), _THREE_QUARTERS)
    half_past = found["half_to"] == "half" and found["hour"] in _english_hours()  # British English
    return _clock(hour if half_past else _earlier(hour), _HALF)


def _after_hour(found: re.Match[str]) -> str:
    hour = _hour(found)
    if found["less_quarter"]:
        return _clock(_earlier(hour), _THREE_QUARTERS)
    return _clock(hour, _HALF if found["and_half"] else _QUARTER)


def _with_minutes(found: re.Match[str]) -> str:
    minutes = _HALF if found["thirty"] else _QUARTER if found["fifteen"] else _THREE_QUARTERS
    return _clock(_hour(found), minutes)


def _hundred(found: re.Match[str]) -> str:
    hour = _hour(found)
    military = hour >= 10 or found.group().endswith("hours")
    return _clock(hour) if military else found.group()


def _plain_hour(found: re.Match[str]) -> str:
    return str(_hour(found))


def _after_day(found: re.Match[str]) -> str:
    start = found.start()
    day = _day_before().search(found.string[max(0, start - _LOOK_BACK) : start])
    return found.group() if day is None else _clock(_hour(found))
