"""Finds the days that a text names, in the usual orders and languages."""

import re
from collections.abc import Iterator

from muses_eval.pipeline.families.access.number_words import months

Day = tuple[int, int, int]
"""Year, month, day of the month."""

_NAME = r"[^\W\d_]{3,12}"
_OF = r"[ .,-]{1,2}(?:(?:of|de|the)[ ])?"
_YEAR_FIRST = re.compile(r"(?<!\d)(\d{4})[-/. ](\d{1,2})[-/. ](\d{1,2})(?!\d)")
_YEAR_LAST = re.compile(r"(?<!\d)(\d{1,2})[-/. ] ?(\d{1,2})[-/. ] ?(\d{4}|\d{2})(?!\d)")
_DAY_MONTH = re.compile(rf"(?<!\d)(\d{{1,2}})(?:st|nd|rd|th|er|º)?{_OF}({_NAME})\b{_OF}(\d{{4}})(?!\d)")
_MONTH_DAY = re.compile(rf"\b({_NAME})[ .]{{1,2}}(?:the )?(\d{{1,2}})(?:st|nd|rd|th)?,?[ ](\d{{4}})(?!\d)")
_IDEOGRAPHS = re.compile(r"(\d{4})\s?年\s?(\d{1,2})\s?月\s?(\d{1,2})\s?日")


def dates_in(text: str) -> frozenset[Day]:
    """Returns the days in a case-folded text; all readings of one that is ambiguous, such as ``04/05/2031``."""
    return frozenset(day for day in _read(text) if 1 <= day[1] <= 12 and 1 <= day[2] <= 31)


def _read(text: str) -> Iterator[Day]:
    for found in (*_YEAR_FIRST.finditer(text), *_IDEOGRAPHS.finditer(text)):
        yield int(found[1]), int(found[2]), int(found[3])
    for found in _YEAR_LAST.finditer(text):
        first, second, year = int(found[1]), int(found[2]), int(found[3]) + (2000 if len(found[3]) == 2 else 0)
        yield year, second, first
        yield year, first, second
    for found in _DAY_MONTH.finditer(text):
        yield int(found[3]), months().get(found[2], 0), int(found[1])
    for found in _MONTH_DAY.finditer(text):
        yield int(found[3]), months().get(found[1], 0), int(found[2])
