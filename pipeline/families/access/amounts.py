"""Reads the numbers of a text as people write them: digits in any grouping, scales, currencies, percent, and words.

``$80,000,000.00``, ``80.000.000,00 $``, ``80 000 000``, ``80 million``, ``$80M``, ``80 Mio.``, ``eighty million`` and
``0.08bn`` are the same amount.  A number that can be read in two ways, such as ``1.250``, has both values.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Literal

from muses_eval.pipeline.families.access.number_words import numbers, scales, units

Unit = Literal["money", "percent", ""]

_SIGNS = "$€£¥₹₽₩元円"
_MAX_DIGITS = 40
_MAX_AMOUNTS = 5_000
_NUMBER = re.compile(
    r"(?<![.,])(?<![^\W\u3040-\u9fff])(?:(?P<before>us\$|[a-z]{3}(?=[ \u00a0$€£\d])|[" + _SIGNS + r"])[ \u00a0]?)?"
    r"(?P<digits>\d{1,3}(?:[,.'’ \u00a0\u202f]\d{2,3})+(?:[.,]\d{1,2})?(?!\d)|\d{1,40}(?:[.,]\d{1,40})?(?!\d))"
    r"(?P<rest>[ \u00a0\u202f-]?(?P<after>[" + _SIGNS + r"%]|us\$|[^\W\d_]+)?)"
)
_HAS_WORDS = re.compile(r"illi|thousand|hundred|tausend|hundert|\bmil\b|dollar|dólar|euro\b|pound|percent|prozent")
_WORD = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)?|[" + _SIGNS + "%]")


@dataclass(frozen=True, slots=True)
class Amount:
    """A number in a text."""

    values: tuple[float, ...]
    """The values that the digits can have; two for a number such as ``1.250``."""
    unit: Unit
    figures: int
    """Number of significant figures as written; ``80 million`` has one."""
    step: float
    """Value of one unit in the last written place."""
    start: int
    end: int

    def equals(self, value: float) -> bool:
        return any(abs(own - value) <= 1e-9 * max(1.0, abs(value)) for own in self.values)

    def rounds(self, value: float) -> bool:
        """Returns whether this number is *value*, rounded to the places that are written."""
        return any(abs(own - value) <= self.step / 2 * (1 + 1e-9) for own in self.values)


def find_amounts(text: str) -> tuple[Amount, ...]:
    """Returns the numbers in a case-folded text, left to right."""
    in_digits = islice(_in_digits(text), _MAX_AMOUNTS)
    in_words = _in_words(text) if _HAS_WORDS.search(text) else ()
    return tuple(sorted((*in_digits, *in_words), key=lambda amount: amount.start))


def _in_digits(text: str) -> Iterator[Amount]:
    for found in _NUMBER.finditer(text):
        digits = found["digits"]
        if len(digits) > _MAX_DIGITS:
            continue
        values = _values(digits)
        before, after = found["before"] or "", found["after"] or ""
        if after and after not in scales() and not _unit(after):
            after = next(
                (after[:length] for length in (2, 1) if after[:length] in scales() and not after.isascii()), after
            )
        scale, unit, end = scales().get(after, 1), _unit(before) or _unit(after), found.end("digits")
        if (
            scale == 1
            and after
            and after[:1].isalpha()
            and not unit
            and not found["rest"].startswith(tuple(" \u00a0\u202f-"))
        ):
            continue  # a token such as 7f8a
        if scale > 1 or _unit(after):
            end = found.start("after") + len(after)
        if scale > 1 and (second := scales().get(_next_word(text, end))) and second > 1:  # mil millones
            scale *= second
            end = text.index(_next_word(text, end), end) + len(_next_word(text, end))
        unit = unit or _unit(_next_word(text, end))
        plain = re.sub(r"\D", "", digits).lstrip("0")
        figures = len(plain.rstrip("0")) if values[0] == int(values[0]) else len(plain)
        step = scale * 10.0 ** -_decimals(digits, values[0])
        yield Amount(tuple(value * scale for value in values), unit, max(1, figures), step, found.start(), end)


def _next_word(text: str, position: int) -> str:
    found = re.compile(r"[.]?[ \u00a0\u202f-]?(?:(?:de|of|in|us)[ \u00a0])?([" + _SIGNS + r"%]|us\$|[^\W\d_]+)").match(
        text, position
    )
    return found[1] if found else ""


def _unit(word: str) -> Unit:
    if word and word in _SIGNS:
        return "money"
    unit = units().get(word)
    return "money" if unit == "money" else "percent" if unit == "percent" else ""


def _decimals(digits: str, value: float) -> int:
    tail = re.search(r"[.,](\d+)$", digits)
    return len(tail[1]) if tail and not (value == int(value) and len(tail[1]) == 3) else 0


@lru_cache(maxsize=4096)
def _values(digits: str) -> tuple[float, ...]:
    """Returns the values of a number with separators; an ambiguous one is grouped first."""
    plain = re.sub(r"[ '’\u00a0\u202f]", "", digits)
    if plain != digits and not re.fullmatch(r"\d{1,3}(?:[ '’\u00a0\u202f]\d{3})+(?:[.,]\d+)?", digits):
        plain = digits = re.split(r"[ '’\u00a0\u202f]", digits)[0]
    separators = [character for character in plain if character in ".,"]
    if not separators:
        return (float(plain),)
    last = separators[-1]
    if len(set(separators)) == 2:  # the last kind is the decimal sign
        return (
            (float(plain.replace("." if last == "," else ",", "").replace(last, ".", 1)),)
            if separators.count(last) == 1
            else (float(re.sub("[.,]", "", plain)),)
        )
    if len(separators) > 1:
        if re.search(r"[.,]\d{3}$", plain):
            return (float(re.sub("[.,]", "", plain)),)
        head, _, tail = plain.rpartition(last)
        return (float(re.sub("[.,]", "", head) + "." + tail),)
    decimal = float(plain.replace(last, "."))
    if re.fullmatch(r"\d{1,3}[.,]\d{3}", plain) and plain == digits:
        return (float(re.sub("[.,]", "", plain)), decimal)
    return (decimal,)


def _in_words(text: str) -> Iterator[Amount]:
    """Reads numbers in words: ``eighty million``, ``three hundred and six thousand``, ``drei Milliarden``."""
    words = [(found.group(), found.start(), found.end()) for found in _WORD.finditer(text)]
    position = 0
    while position < len(words):
        if not _is_number_word(words[position][0]):
            position += 1
            continue
        start = position
        while position < len(words) and (
            _is_number_word(words[position][0])
            or words[position][0] in ("hundred", "hundert")
            or (position > start and words[position][0] in scales() and len(words[position][0]) > 2)
            or (words[position][0] == "and" and position + 1 < len(words) and _is_number_word(words[position + 1][0]))
        ):
            position += 1
        value, scale = _value_of_words([word for word, _, _ in words[start:position]])
        following = words[position][0] if position < len(words) else ""
        unit = _unit(following) or (
            _unit(words[position + 1][0]) if position + 1 < len(words) and following in ("us", "de") else ""
        )
        if scale >= 1_000 or unit:
            figures = len(f"{value:.0f}".rstrip("0")) or 1
            yield Amount((value,), unit, figures, scale, words[start][1], words[position - 1][2])


def _is_number_word(word: str) -> bool:
    return word in numbers() or all(part in numbers() for part in word.split("-"))


def _value_of_words(words: Sequence[str]) -> tuple[float, float]:
    """Returns the value of number words and the largest scale in them."""
    total, current, largest = 0.0, 0.0, 1.0
    for word in words:
        if word in ("hundred", "hundert"):
            current = max(current, 1.0) * 100
        elif _is_number_word(word):
            current += sum(numbers()[part] for part in ([word] if word in numbers() else word.split("-")))
        elif word in scales():
            total += max(current, 1.0) * scales()[word]
            current, largest = 0.0, max(largest, float(scales()[word]))
    return total + current, largest
