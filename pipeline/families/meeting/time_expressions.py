"""Times of meetings as people and models write them: ``Tuesday at 9:30 AM``, ``Wed 14:00``, ``Mon 1:00-2:00 PM``.

:func:`time_expressions` extracts :class:`TimeExpression` values, left to right, each a weekday with a time or an
interval.  A time belongs to the day next to it, else to the last day named.  Dates, room numbers and head counts are
not times.  Hours from 1 to 6 without am or pm are in the afternoon, because people meet during the day.  No function
here raises, and only the first :data:`MAX_TEXT` characters are read, which bounds the work.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from muses_eval.pipeline.families.meeting.slot import DAYS, Slot

MAX_TEXT = 20_000
LONGEST_MEETING = 90
"""Minutes.  A longer range is an interval in which somebody is free, not a meeting."""
_HALF_DAY = 12 * 60
_DAY_END = 24 * 60 - 1
_LAST_AFTERNOON_HOUR = 6
_MAX_GAP = 40
"""Maximum number of characters between a time and its day."""

_MONTH = (
    r"(?<![a-z])(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)(?![a-z])\.?"
)
_DATES = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:t(?=\d))?"
    r"|(?<![\d:])\d{1,2}[./]\d{1,2}[./](?:20)?\d{2}(?!\d)"
    r"|(?<![\d:])\d{1,2}/\d{1,2}(?![\d:])"
    rf"|(?<![\d:])\d{{1,2}}(?:st|nd|rd|th)?\.?\s(?:of\s)?{_MONTH}(?:,?\s20\d\d)?"
    rf"|{_MONTH}\s\d{{1,2}}(?:st|nd|rd|th)?(?![\d:.h])(?:,?\s20\d\d)?"
    r"|(?<!\d)\d{1,2}(?:st|nd|rd|th)(?![a-z])"
)
_TOKEN = re.compile(
    r"(?<![a-z])(?P<day>mon|tue|wed|thu|fri|sat|sun)(?:s|rs?|\w{0,4}days?)?(?![a-z])"
    r"|(?<![a-z])(?P<word>noon|midday|midnight)(?![a-z])"
    r"|(?<![\d$#])(?<!\d[.,:/])(?:(?P<hour>\d{1,2})"
    r"(?::(?P<colon>\d{1,2})(?::\d\d)?|\.(?P<dot>\d\d)|\s?h\s?(?P<h>\d\d)|(?P<clock>\s?o'?clock)|\s?h(?:rs)?(?![a-z]))?"
    r"|(?P<compact>\d{3,4}))(?![\d%])(?:\s?(?P<half>[ap])\.?\s?m(?![a-z]))?"
)
_LEAD = re.compile(
    r"[\s.,:;()@*_'\"`\[\]–—-]*"
    r"(?:(?:of this week|this week|in the|the|at|from|around|about|by|between|after|before|any ?time|morning|afternoon)"
    r"[\s,:*]*){0,3}"
)
_HOUR_LEAD = re.compile(r"(?:\bat|@|\baround|\bfrom|\bbetween|\bafter|\bbefore)\s*$")
_ON = re.compile(r"[\s,]*\b(?:on|of)\b\s*(?:the |this |next |coming )?")
_TRAIL = re.compile(r"[ \t*]*\(?(?:this |next |coming )?")
_AND = re.compile(r"[\s.]*(?:,|/|&|and|or|,\s*and|,\s*or)\s*")
_TO = re.compile(r"[ \t]*(?:-|–|—|to|until|till|through)[ \t]*")
_BETWEEN_AND = re.compile(r"\s*and\s*")
_DATE_NUMBER = re.compile(r"[\s,]*(?:at\s*)?")
_BETWEEN = re.compile(r"\bbetween\s*$")
_AFTER = re.compile(r"\bafter\s*$")
_BEFORE = re.compile(r"\b(?:before|until)\s*$")
_PART_OF_DAY = re.compile(r"[\s,]*(?:in the )?(?P<part>morning|afternoon)")
_NEGATED = re.compile(r"(?:\bnot|n't|\binstead of|\brather than|\bexcept|\bno longer)\s*(?:on |at |for |the )*$")
_LOOK_BACK = 24
"""Number of characters before a time expression that are searched for words such as "not at" or "between"."""


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
    """True directly after a word like "not" or "instead of"."""
    timed: bool
    """False when the text names only a day."""

    @property
    def slot(self) -> Slot | None:
        return Slot(self.day, self.first) if self.first == self.last else None

    def covers(self, slot: Slot) -> bool:
        return slot.day == self.day and self.first <= slot.minutes <= self.last


@dataclass(frozen=True, slots=True)
class _Time:
    start: int
    end: int
    minutes: int
    bare: bool
    """True for a number without a unit, which is a time only in certain places."""
    halved: bool
    """True when am, pm or noon determines the half of the day."""
    until: int | None = None
    """End of a range; None for a single time."""


@dataclass(frozen=True, slots=True)
class _Day:
    start: int
    end: int
    day: int


_Token = _Day | _Time


def normalized(text: str) -> str:
    """Returns the form of a text in which time expressions are searched for."""
    head = text[:MAX_TEXT]
    if not head.isascii():
        head = unicodedata.normalize("NFKC", head)[:MAX_TEXT].replace("’", "'")
    return head.casefold()


def parse_slot(text: str) -> Slot | None:
    """Returns the first time in a text (of a range, its start); None when there is none."""
    timed = (expression for expression in time_expressions(text) if expression.timed and not expression.negated)
    return next((Slot(expression.day, expression.first) for expression in timed), None)


def find_slots(text: str) -> tuple[Slot, ...]:
    """Returns the slots in a text, in order and without duplicates; intervals are left out."""
    return tuple(dict.fromkeys(expression.slot for expression in time_expressions(text) if expression.slot is not None))


def time_expressions(text: str) -> tuple[TimeExpression, ...]:
    """Returns all time expressions in a text, in order."""
    plain = _DATES.sub(lambda found: " " * len(found.group()), normalized(text))
    tokens = _plausible(plain, tuple(_tokens(plain)))
    bound = _days_of_times(plain, tokens)
    with_time = {day for days in bound for day in days}
    found = []
    for token, days in zip(tokens, bound, strict=True):
        if isinstance(token, _Time):
            first, last = _extent(_before(plain, token.start), token)
            found += [_expression(plain, day, first, last, token) for day in days]
        elif token not in with_time:
            found.append(_expression(plain, token, *_part_of_day(plain, token)))
    return tuple(found)


def _expression(text: str, day: _Day, first: int, last: int, time: _Time | None = None) -> TimeExpression:
    negated = bool(_NEGATED.search(_before(text, day.start)))
    if time is None:
        return TimeExpression(day.day, first, last, day.start, negated, timed=False)
    beside = 0 <= time.start - day.end <= _MAX_GAP
    negated = (negated and beside) or bool(_NEGATED.search(_before(text, time.start)))
    return TimeExpression(day.day, first, last, time.start, negated, timed=True)


def _tokens(text: str) -> Iterator[_Token]:
    """Yields days and everything that could be a time of day."""
    for found in _TOKEN.finditer(text):
        start, end = found.span()
        if day := found["day"]:
            yield _Day(start, end, DAYS.index(day.title()))
        elif word := found["word"]:
            yield _Time(start, end, 0 if word == "midnight" else _HALF_DAY, bare=False, halved=True)
        elif (minutes := _minutes(found)) is not None:
            bare = not (found["colon"] or found["dot"] or found["h"] or found["clock"] or found["half"])
            yield _Time(start, end, minutes, bare, halved=found["half"] is not None)


def _minutes(found: re.Match[str]) -> int | None:
    """Returns the minutes since midnight; None when there is no such time of day."""
    if compact := found["compact"]:
        hour, minute = divmod(int(compact), 100)
        if compact.startswith("20"):  # a year, not eight in the evening
            return None
    else:
        hour, minute = int(found["hour"]), int(found["colon"] or found["dot"] or found["h"] or 0)
    match found["half"]:
        case "p" if hour < 12:
            hour += 12
        case "a" if hour == 12:
            hour = 0
        case None if 1 <= hour <= _LAST_AFTERNOON_HOUR:
            hour += 12
    return hour * 60 + minute if hour < 24 and minute < 60 else None


def _plausible(text: str, tokens: Sequence[_Token]) -> tuple[_Token, ...]:
    """Joins ranges, and drops numbers that cannot be times at their place."""
    kept: list[_Token] = []
    skip = False
    for index, token in enumerate(tokens):
        following = tokens[index + 1] if index + 1 < len(tokens) else None
        if skip:
            skip = False
        elif not isinstance(token, _Time):
            kept.append(token)
        elif isinstance(following, _Time) and _is_range(text, token, following):
            skip = True
            if not (token.bare and following.bare) or _stands_as_time(text, token, kept):
                kept.append(_joined(token, following))
        elif not token.bare or (_stands_as_time(text, token, kept) and not _is_date_number(text, token, following)):
            kept.append(token)
    return tuple(kept)


def _stands_as_time(text: str, token: _Time, earlier: Sequence[_Token]) -> bool:
    """Returns whether a number without a unit is a time: directly after a day, or after a word like "at"."""
    if _HOUR_LEAD.search(_before(text, token.start)):
        return True
    return bool(earlier) and isinstance(earlier[-1], _Day) and _gap(text, earlier[-1], token, _LEAD)


def _is_date_number(text: str, token: _Time, following: _Token | None) -> bool:
    """Returns whether a number is the day of the month, such as the 5 of ``Monday 5, 13:00``."""
    return isinstance(following, _Time) and not following.bare and _gap(text, token, following, _DATE_NUMBER)


def _is_range(text: str, token: _Time, following: _Time) -> bool:
    if _gap(text, token, following, _TO):
        return True
    return _gap(text, token, following, _BETWEEN_AND) and bool(_BETWEEN.search(_before(text, token.start)))


def _joined(token: _Time, following: _Time) -> _Time:
    """Joins two times to a range; am or pm at the end applies to the start as well if the result is a valid range."""
    first, last = token.minutes, following.minutes
    if following.halved and not token.halved and first <= _HALF_DAY + _LAST_AFTERNOON_HOUR * 60 + 59:
        same_half = first % _HALF_DAY + (_HALF_DAY if last >= _HALF_DAY else 0)
        first = same_half if same_half <= last else first % _HALF_DAY
    return replace(token, end=following.end, minutes=first, bare=False, until=last)


def _days_of_times(text: str, tokens: Sequence[_Token]) -> list[tuple[_Day, ...]]:
    """Returns for every token the days to which it belongs; empty for a day, and for a time without a day."""
    bound: list[tuple[_Day, ...]] = [()] * len(tokens)
    behind: set[int] = set()
    """Indices of days that follow their times, as in "9:00 on Monday"."""
    current: int | None = None
    for index, token in enumerate(tokens):
        if isinstance(token, _Day):
            current = index
            continue
        open_day = current is not None and current not in behind
        next_to = open_day and current == index - 1 and _gap(text, tokens[index - 1], token, _LEAD)
        if _precedes_its_day(text, tokens, index, open_day=open_day, next_to=next_to):
            behind.add(index + 1)
            bound[index] = _days(tokens[index + 1])
        elif open_day and current is not None:
            bound[index] = _group(text, tokens, current)
    _bind_the_rest(text, tokens, bound)
    return bound


def _precedes_its_day(text: str, tokens: Sequence[_Token], index: int, *, open_day: bool, next_to: bool) -> bool:
    """Returns whether the time precedes its day: "2pm Tuesday", "9:00 on Monday"."""
    following = tokens[index + 1] if index + 1 < len(tokens) else None
    if next_to or not isinstance(following, _Day):
        return False
    if _gap(text, tokens[index], following, _ON):
        return True
    if not _gap(text, tokens[index], following, _TRAIL):
        return False
    after = tokens[index + 2] if index + 2 < len(tokens) else None
    return not (open_day and isinstance(after, _Time) and _gap(text, following, after, _LEAD))


def _bind_the_rest(text: str, tokens: Sequence[_Token], bound: list[tuple[_Day, ...]]) -> None:
    """Assigns to times without a day the day of the next time in a list, else the nearest day."""
    for index in range(len(tokens) - 2, -1, -1):
        following = tokens[index + 1]
        if isinstance(tokens[index], _Time) and not bound[index]:
            if isinstance(following, _Time) and _gap(text, tokens[index], following, _AND):
                bound[index] = bound[index + 1]
            elif isinstance(following, _Day) and following.start - tokens[index].end <= _MAX_GAP:
                bound[index] = (following,)
    last: tuple[_Day, ...] = ()
    for index, token in enumerate(tokens):
        last = _days(token) or last
        if isinstance(token, _Time) and not bound[index]:
            bound[index] = last


def _group(text: str, tokens: Sequence[_Token], index: int) -> tuple[_Day, ...]:
    """Returns the day at *index* and the days listed directly before it: "Mon and Tue at 9:00"."""
    days = _days(tokens[index])
    while index and isinstance(tokens[index - 1], _Day) and _gap(text, tokens[index - 1], tokens[index], _AND):
        index -= 1
        days = _days(tokens[index]) + days
    return days


def _days(token: _Token) -> tuple[_Day, ...]:
    return (token,) if isinstance(token, _Day) else ()


def _gap(text: str, left: _Token, right: _Token, pattern: re.Pattern[str]) -> bool:
    """Returns whether the text between two tokens matches *pattern*."""
    return right.start - left.end <= _MAX_GAP and bool(pattern.fullmatch(text, left.end, right.start))


def _before(text: str, position: int) -> str:
    return text[max(0, position - _LOOK_BACK) : position]


def _extent(before: str, token: _Time) -> tuple[int, int]:
    """Returns the first and the last minute at which a meeting may start; equal for a slot."""
    if _AFTER.search(before):
        return token.minutes, _DAY_END
    if _BEFORE.search(before):
        return 0, max(token.minutes - 1, 1)
    if token.until is None:
        return token.minutes, token.minutes
    stretch = token.until - token.minutes > LONGEST_MEETING or _BETWEEN.search(before)
    return token.minutes, max(token.until, token.minutes) if stretch else token.minutes


def _part_of_day(text: str, token: _Day) -> tuple[int, int]:
    found = _PART_OF_DAY.match(text, token.end)
    if found is None:
        return 0, _DAY_END
    return (0, _HALF_DAY - 1) if found["part"] == "morning" else (_HALF_DAY, _DAY_END)
