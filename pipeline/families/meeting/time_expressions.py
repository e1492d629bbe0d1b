"""Times of meetings as people and models write them: ``Tuesday at 9:30 AM``, ``Mi 14 Uhr``, ``Mon 1:00-2:00 PM``.

:func:`time_expressions` extracts :class:`TimeExpression` values, left to right, each a weekday with a time or an
interval.  A time belongs to the day next to it, else to the last day named.  Dates, room numbers and head counts are
not times.  Hours from 1 to 6 without am or pm are in the afternoon, because people meet during the day; ``06:00`` is
six in the morning.  No function here raises, and only the first :data:`MAX_TEXT` characters are read, which bounds the
work.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from muses_eval.pipeline.families.meeting import retracted_times
from muses_eval.pipeline.families.meeting.folded_text import MAX_TEXT, folded
from muses_eval.pipeline.families.meeting.slot import Slot
from muses_eval.pipeline.families.meeting.struck_text import without_dates_and_struck_text
from muses_eval.pipeline.families.meeting.time_links import time_links
from muses_eval.pipeline.families.meeting.time_tokens import (
    HALF_DAY,
    LAST_AFTERNOON_HOUR,
    DayToken,
    TimeToken,
    Token,
    time_tokens,
)
from muses_eval.pipeline.families.meeting.worded_times import in_digits

__all__ = ["MAX_TEXT", "TimeExpression", "find_slots", "normalized", "parse_slot", "time_expressions"]

LONGEST_MEETING = 90
"""Minutes.  A longer range is an interval in which somebody is free, not a meeting."""
_DAY_END = 24 * 60 - 1
_MAX_GAP = 40
"""Maximum number of characters between a time and its day."""
_CACHED_TEXTS = 256
"""Number of texts whose times are kept, since every principal of an episode is compared with the same messages."""

_TRAIL = re.compile(r"[ \t*]*\(?(?:this |next |coming )?")
_BETWEEN_AND = re.compile(r"\s*(?:and|und|et|y|e|en|и)\s*")
_HOUR_ARTICLE = re.compile(r"\b(?:a las?|alle|as)\b")
"""In "lunes 5 a las 13:00" the 5 is a date, although the words after it also stand in ranges."""
_LATER = re.compile(r"[\s,]*\(?(?:(?:or|and) (?:any ?time )?(?:later|after)|onwards?|at the earliest)(?![a-z])")
_EARLIER = re.compile(r"[\s,]*\(?(?:(?:or|and) (?:any ?time )?(?:earlier|before)|at the latest)(?![a-z])")
_LOOK_BACK = 24
"""Number of characters before a time in which words such as "between" are looked for."""


@dataclass(frozen=True, slots=True)
class TimeExpression:
    """A time expression in a text: a slot, or an interval of a day."""

    day: int
    first: int
    """Start in minutes since midnight."""
    last: int
    """Equal to ``first`` for a slot; for an interval, the last minute at which a meeting may start."""
    start: int
    """Offset in ``normalized(text)``."""
    negated: bool
    """True when the words around take it back: "not", "instead of", "(cancelled)"."""
    timed: bool
    """False when the text names only a day."""
    limit: bool
    """True when the text names only a limit: "after 14:00", "between 9 and 12"."""
    rank: int
    """:data:`.retracted_times.FINAL`, ``PLAIN`` or ``SPARE``; what a text settles on has the lowest rank."""

    @property
    def slot(self) -> Slot | None:
        return Slot(self.day, self.first) if self.first == self.last else None

    def covers(self, slot: Slot) -> bool:
        return slot.day == self.day and self.first <= slot.minutes <= self.last


def normalized(text: str) -> str:
    """Returns the form of a text in which time expressions are searched for."""
    return _normalized(text[:MAX_TEXT])


@lru_cache(maxsize=_CACHED_TEXTS)
def _normalized(text: str) -> str:
    return in_digits(folded(text))[:MAX_TEXT]


def parse_slot(text: str) -> Slot | None:
    """Returns the time that a text settles on (of a range, its start); None when there is none.

    Times that the text takes back do not count.  What it calls final comes first, alternatives come last, and of equal
    ones the first counts.
    """
    found = [each for each in time_expressions(text) if each.timed and not each.negated and not each.limit]
    best = min(found, key=lambda expression: expression.rank, default=None)
    return None if best is None else Slot(best.day, best.first)


def find_slots(text: str) -> tuple[Slot, ...]:
    """Returns the slots in a text, in order and without duplicates; intervals are left out."""
    return tuple(dict.fromkeys(expression.slot for expression in time_expressions(text) if expression.slot is not None))


def time_expressions(text: str, day: int | None = None) -> tuple[TimeExpression, ...]:
    """Returns all time expressions in a text, in order.

    *day*: weekday of the times for which the text names no day, 0 for Monday; None when these are no expressions.
    """
    return _expressions(text[:MAX_TEXT], day)


@lru_cache(maxsize=_CACHED_TEXTS)
def _expressions(text: str, day: int | None) -> tuple[TimeExpression, ...]:
    plain = without_dates_and_struck_text(_normalized(text))
    tokens = _plausible(plain, tuple(time_tokens(plain)))
    bound = _days_of_times(plain, tokens)
    if day is not None:
        default = (DayToken(0, 0, day),)
        bound = [
            days or (default if isinstance(token, TimeToken) else ()) for token, days in zip(tokens, bound, strict=True)
        ]
    with_time = {
        day
        for token, days in zip(tokens, bound, strict=True)
        for day in days
        if not (token.start > day.end and retracted_times.is_exception(_before(plain, token.start)[-_LOOK_BACK:]))
    }
    found = []
    for index, (token, days) in enumerate(zip(tokens, bound, strict=True)):
        if isinstance(token, TimeToken):
            found += [_timed(plain, tokens, index, each) for each in days]
        elif token not in with_time:
            found.append(_untimed(plain, tokens, index, token))
    return tuple(found)


def _timed(text: str, tokens: Sequence[Token], index: int, day: DayToken) -> TimeExpression:
    time = tokens[index]
    assert isinstance(time, TimeToken)  # noqa: S101
    beside = 0 <= time.start - day.end <= _MAX_GAP
    before_time = _before(text, time.start)
    before_day = _before(text, day.start) if beside else ""
    end = max(time.end, day.end) if abs(day.start - time.end) <= _MAX_GAP else time.end
    first, last, limit = _extent(before_time, text, end, time, before_day)
    negated = _negated(text, tokens, index, end, (before_time, before_day))
    rank = retracted_times.rank(before_day or before_time, text[end : end + _MAX_GAP])
    return TimeExpression(day.day, first, last, time.start, negated, timed=True, limit=limit, rank=rank)


def _untimed(text: str, tokens: Sequence[Token], index: int, day: DayToken) -> TimeExpression:
    first, last = _part_of_day(text, day)
    negated = _negated(text, tokens, index, day.end, (_before(text, day.start), ""))
    return TimeExpression(day.day, first, last, day.start, negated, timed=False, limit=True, rank=retracted_times.PLAIN)


def _negated(text: str, tokens: Sequence[Token], index: int, end: int, before: tuple[str, str]) -> bool:
    """Returns whether the words around a time take it back; *before*: the texts before its time and before its day."""
    if any(part and retracted_times.is_denied_before(part) for part in before):
        return True
    later = tokens[index + 1 :]
    next_day = next((each.start - end for each in later if isinstance(each, DayToken) and each.start >= end), None)
    after = text[end : end + retracted_times.LOOK_AHEAD]
    return retracted_times.is_denied_after(after, next_day, before=before[1] or before[0])


def _plausible(text: str, tokens: Sequence[Token]) -> tuple[Token, ...]:
    """Joins ranges, and drops numbers that cannot be times at their place."""
    kept: list[Token] = []
    skip = False
    for index, token in enumerate(tokens):
        following = tokens[index + 1] if index + 1 < len(tokens) else None
        if skip:
            skip = False
        elif not isinstance(token, TimeToken):
            kept.append(token)
        elif isinstance(following, TimeToken) and _is_range(text, token, following):
            skip = True
            if not (token.bare and following.bare) or _stands_as_time(text, token, kept):
                kept.append(_joined(token, following))
        elif not _is_duration(text, token) and (
            not token.bare or (_stands_as_time(text, token, kept) and not _is_date_number(text, token, following))
        ):
            kept.append(token)
    return tuple(kept)


def _stands_as_time(text: str, token: TimeToken, earlier: Sequence[Token]) -> bool:
    """Returns whether a number without a unit is a time: directly after a day, or after a word like "at"."""
    if time_links().counted.match(text, token.end):
        return False
    if time_links().hour_lead.search(_before(text, token.start)):
        return True
    return bool(earlier) and isinstance(earlier[-1], DayToken) and _gap(text, earlier[-1], token, time_links().lead)


def _is_duration(text: str, token: TimeToken) -> bool:
    """Returns whether an hour with a unit is a length of time, such as the "2 h" of "for 2 h"."""
    return text[token.start : token.end].find(":") < 0 and bool(time_links().lasting.search(_before(text, token.start)))


def _is_date_number(text: str, token: TimeToken, following: Token | None) -> bool:
    """Returns whether a number is the day of the month, such as the 5 of ``Monday 5, 13:00``."""
    return (
        isinstance(following, TimeToken)
        and not following.bare
        and _gap(text, token, following, time_links().date_number)
    )


def _is_range(text: str, token: TimeToken, following: TimeToken) -> bool:
    if _gap(text, token, following, time_links().to):
        bare_date = token.bare and not following.bare and _HOUR_ARTICLE.search(text[token.end : following.start])
        return not (bare_date and not time_links().hour_lead.search(_before(text, token.start)))
    between = time_links().between.search(_before(text, token.start))
    return between is not None and _gap(text, token, following, _BETWEEN_AND)


def _joined(token: TimeToken, following: TimeToken) -> TimeToken:
    """Joins two times to a range; am or pm at the end applies to the start as well if the result is a valid range."""
    first, last = token.minutes, following.minutes
    if following.halved and not token.halved and first <= HALF_DAY + LAST_AFTERNOON_HOUR * 60 + 59:
        same_half = first % HALF_DAY + (HALF_DAY if last >= HALF_DAY else 0)
        first = same_half if same_half <= last else first % HALF_DAY
    return replace(token, end=following.end, minutes=first, bare=False, until=last)


def _days_of_times(text: str, tokens: Sequence[Token]) -> list[tuple[DayToken, ...]]:
    """Returns for every token the days to which it belongs; empty for a day, and for a time without a day."""
    bound: list[tuple[DayToken, ...]] = [()] * len(tokens)
    behind: set[int] = set()
    """Indices of days that follow their times, as in "9:00 on Monday"."""
    current: int | None = None
    for index, token in enumerate(tokens):
        if isinstance(token, DayToken):
            current = index
            continue
        open_day = current is not None and current not in behind
        next_to = open_day and current == index - 1 and _gap(text, tokens[index - 1], token, time_links().lead)
        if _precedes_its_day(text, tokens, index, open_day=open_day, next_to=next_to):
            behind.add(index + 1)
            bound[index] = _days(tokens[index + 1])
        elif open_day and current is not None:
            bound[index] = _group(text, tokens, current)
    _bind_the_rest(text, tokens, bound)
    return bound


def _precedes_its_day(text: str, tokens: Sequence[Token], index: int, *, open_day: bool, next_to: bool) -> bool:
    """Returns whether the time precedes its day: "2pm Tuesday", "9:00 on Monday"."""
    following = tokens[index + 1] if index + 1 < len(tokens) else None
    if next_to or not isinstance(following, DayToken):
        return False
    if _gap(text, tokens[index], following, time_links().on):
        return True
    if not _gap(text, tokens[index], following, _TRAIL):
        return False
    after = tokens[index + 2] if index + 2 < len(tokens) else None
    return not (open_day and isinstance(after, TimeToken) and _gap(text, following, after, time_links().lead))


def _bind_the_rest(text: str, tokens: Sequence[Token], bound: list[tuple[DayToken, ...]]) -> None:
    """Assigns to times without a day the day of the next time in a list, else the nearest day."""
    for index in range(len(tokens) - 2, -1, -1):
        following = tokens[index + 1]
        if isinstance(tokens[index], TimeToken) and not bound[index]:
            if isinstance(following, TimeToken) and _gap(text, tokens[index], following, time_links().conjunction):
                bound[index] = bound[index + 1]
            elif isinstance(following, DayToken) and following.start - tokens[index].end <= _MAX_GAP:
                bound[index] = (following,)
    last: tuple[DayToken, ...] = ()
    for index, token in enumerate(tokens):
        last = _days(token) or last
        if isinstance(token, TimeToken) and not bound[index]:
            bound[index] = last


def _group(text: str, tokens: Sequence[Token], index: int) -> tuple[DayToken, ...]:
    """Returns the day at *index* and the days listed directly before it: "Mon and Tue at 9:00"."""
    days = _days(tokens[index])
    while (
        index
        and isinstance(tokens[index - 1], DayToken)
        and _gap(text, tokens[index - 1], tokens[index], time_links().conjunction)
    ):
        index -= 1
        days = _days(tokens[index]) + days
    return days


def _days(token: Token) -> tuple[DayToken, ...]:
    return (token,) if isinstance(token, DayToken) else ()


def _gap(text: str, left: Token, right: Token, pattern: re.Pattern[str]) -> bool:
    """Returns whether the text between two tokens matches *pattern*."""
    return right.start - left.end <= _MAX_GAP and bool(pattern.fullmatch(text, left.end, right.start))


def _before(text: str, position: int) -> str:
    return text[max(0, position - retracted_times.LOOK_BACK) : position]


def _extent(before: str, text: str, end: int, token: TimeToken, before_day: str) -> tuple[int, int, bool]:
    """Returns the first and the last minute at which a meeting may start, and whether they are only limits."""
    near, near_day = before[-_LOOK_BACK:], before_day[-_LOOK_BACK:]
    links = time_links()
    if links.after.search(near) or links.after.search(near_day) or _LATER.match(text, end):
        return token.minutes, _DAY_END, True
    if links.before.search(near) or links.before.search(near_day) or _EARLIER.match(text, end):
        return 0, max(token.minutes - 1, 1), True
    if token.until is None:
        return token.minutes, token.minutes, False
    between = links.between.search(near) or links.between.search(near_day)
    stretch = token.until - token.minutes > LONGEST_MEETING or between
    return token.minutes, max(token.until, token.minutes) if stretch else token.minutes, bool(between)


def _part_of_day(text: str, token: DayToken) -> tuple[int, int]:
    if time_links().morning.match(text, token.end):
        return 0, HALF_DAY - 1
    return (HALF_DAY, _DAY_END) if time_links().afternoon.match(text, token.end) else (0, _DAY_END)
