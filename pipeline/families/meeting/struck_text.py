"""Parts of a folded text that are no times although they have numbers in them, or that their writer has struck out.

:func:`without_dates_and_struck_text` writes spaces over them, so offsets do not change.
"""

import re
from functools import cache

from muses_eval.pipeline.families.meeting.clock_words import any_of, clock_words
from muses_eval.pipeline.families.meeting.word_scanner import WordScanner, first_words

_STRUCK = re.compile(r"~~(?=\S)[^~\n]{1,200}~~|<(s|del|strike)>[^<\n]{0,200}</\1>")


def without_dates_and_struck_text(text: str) -> str:
    """Returns a folded text with spaces in place of dates, offsets from UTC, and struck-out text."""
    plain = without_struck_text(text)
    parts, end = [], 0
    for found in _dates().finditer(plain):
        parts += [plain[end : found.start()], _blank(found)]
        end = found.end()
    return "".join((*parts, plain[end:]))


def without_struck_text(text: str) -> str:
    """Returns a text with spaces in place of what is struck out: ``~~Mon 9:00~~``."""
    return _STRUCK.sub(_blank, text) if "~~" in text or "<" in text else text


def _blank(found: re.Match[str]) -> str:
    return " " * len(found.group())


@cache
def _dates() -> WordScanner:
    months = clock_words().words.months
    month = any_of(months)
    year = r"(?:,?\s20\d\d(?!\d))"
    pattern = re.compile(
        r"(?<!\d)20\d\d[-/.]\d{1,2}[-/.]\d{1,2}(?!\d)(?:t(?=\d))?"
        r"|(?:20\d\d\s?[年년]\s?)?\d{1,2}\s?[月월]\s?\d{1,2}\s?[日号號일]"
        r"|(?<![\d:.])\d{1,2}(?P<mark>[./-])\d{1,2}(?P=mark)(?:20)?\d\d(?!\d|:)"
        r"|(?<![\d:.])\d{1,2}\.\d{1,2}\.(?!\d)"
        r"|(?<![\d:])\d{1,2}/\d{1,2}(?![\d:])"
        rf"|(?<![\d:])\d{{1,2}}(?:st|nd|rd|th|er|º|°)?\.?\s?(?:of\s|de\s|di\s)?{month}\.?{year}?"
        rf"|{month}\.?\s(?:the\s)?\d{{1,2}}(?:st|nd|rd|th)?(?![\d:.h']|,\d|\s?[ap]\.?m)(?:{year}|(?=\W|\Z))"
        r"|(?<!\d)\d{1,2}(?:st|nd|rd|th)(?![a-z])"
        r"|(?:utc|gmt)\s?[+-]\s?\d{1,2}(?::?\d\d)?(?!\d)"
        r"|(?<=\d:\d\d\+)\d\d:?\d\d(?!\d)|(?<=:\d\d:\d\d[+-])\d\d:?\d\d(?!\d)"
    )
    return WordScanner(pattern, first_words((*months, "utc", "gmt")))
