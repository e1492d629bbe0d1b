"""Reads the numbers of a text as people write them: digits in any grouping, scales, currencies, percent, and words.

``$80,000,000.00``, ``80.000.000,00 $``, ``80 000 000``, ``80 million``, ``$80M``, ``80 Mio.``, ``eighty million`` and
``0.08bn`` are the same amount.  A number that can be read in two ways, such as ``1.250``, has both values.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Literal

from muses_eval.pipeline.families.access.number_words import numbers, scales, units

Unit = Literal["money", "percent", ""]

_SIGNS = "$€£¥₹₽₩元円"
_MAX_DIGITS = 40
_MAX_AMOUNTS = 5_000
_LARGEST_FIRST = 10_000
"""Largest multiple that another one may follow, as in ``mil millones``."""
_SPACE = " \u00a0\u202f"
_NUMBER = re.compile(
    rf"\d(?:\d{{0,2}}(?:[,.'’{_SPACE}]\d{{2,3}})+(?:[.,]\d{{1,2}})?(?!\d)|\d{{0,39}}(?:[.,]\d{{1,40}})?(?!\d))"
)
_BEFORE = re.compile(rf"(us\$|(?<![^\W\d_])[a-z]{{3}}|[{_SIGNS}])[{_SPACE}]?$")
_AFTER = re.compile(rf"(?P<gap>[.]?[{_SPACE}-]?(?:(?:de|of|in|us)[{_SPACE}])?)(?P<word>[{_SIGNS}%]|us\$|[^\W\d_]+)")
_LONGEST_BEFORE = 5
_UNSPACED = re.compile(r"[\u3040-\u9fff\uac00-\ud7af]")
_WITHIN_WORD = re.compile(r"\.|(?<=\d),|[^\W\u3040-\u9fff\uac00-\ud7af]")
_HAS_WORDS = re.compile(
    r"illi|милли|thousand|hundred|tausend|hundert|\bmil\b|dollar|dólar|euro\b|pound|percent|prozent"
)
_POINT = frozenset({"point", "punkt", "komma", "virgule", "coma", "punto", "virgola", "vírgula"})
_BETWEEN_WORDS = re.compile(rf"[{_SPACE},-]{{1,3}}")
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
        (start, end), digits = found.span(), found.group()
        before = _BEFORE.search(text, max(0, start - _LONGEST_BEFORE), start)
        unit = _unit(before[1]) if before else ""
        if len(digits) > _MAX_DIGITS or (not unit and _WITHIN_WORD.match(text, max(0, start - 1), start)):
            continue
        scale, end, is_word = _scale(text, end)
        if is_word and not unit:
            continue  # a token such as 7f8a
        following = _AFTER.match(text, end)
        after = _unit(following["word"]) if following else ""
        values = _values(digits)
        yield Amount(
            values=tuple(value * scale for value in values),
            unit=unit or after,
            figures=_significant(digits, values[0]),
            step=scale * 10.0 ** -_decimals(digits, values[0]),
            start=before.start() if before and unit else start,
            end=following.end() if following and after else end,
        )


def _scale(text: str, end: int) -> tuple[int, int, bool]:
    """Returns the multiple after a number, the end of its words, and whether letters follow that are no such word."""
    scale = 1
    while (found := _AFTER.match(text, end)) and (word := _scale_word(found["word"])):
        scale *= scales()[word]
        end = found.start("word") + len(word)
        if scale > _LARGEST_FIRST:
            return scale, end, False
    is_word = bool(scale == 1 and found and not found["gap"] and found["word"].isalpha() and not _unit(found["word"]))
    return scale, end, is_word


def _scale_word(word: str) -> str:
    """Returns the word of a multiple with which a run of letters begins; empty when there is none."""
    return _beginning(word, scales())


def _beginning(run: str, table: Mapping[str, object]) -> str:
    """Returns the entry of a table with which a run of letters begins; a whole word in scripts with spaces."""
    if run in table or not _UNSPACED.match(run):
        return run if run in table else ""
    return next((run[:length] for length in (3, 2, 1) if run[:length] in table), "")


def _significant(digits: str, value: float) -> int:
    plain = re.sub(r"\D", "", digits).lstrip("0")
    return max(1, len(plain.rstrip("0") if value == int(value) else plain))


def _unit(word: str) -> Unit:
    if word and word in _SIGNS:
        return "money"
    unit = units().get(_beginning(word, units()))
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
    words = list(_WORD.finditer(text))
    position = 0
    while position < len(words):
        start, position = position, position + 1
        if not _is_number_word(words[start].group()):
            continue
        while position < len(words) and _goes_on(words, position):
            position += 1
        value, scale, step = _value_of_words([word.group() for word in words[start:position]])
        following = [word.group() for word in words[position : position + 2]]
        unit = _unit(following[0]) if following else ""
        if not unit and len(following) > 1 and following[0] in ("us", "de"):
            unit = _unit(following[1])
        if scale >= 1_000 or unit:
            figures = len(f"{value:.0f}".rstrip("0")) or 1
            yield Amount((value,), unit, figures, step, words[start].start(), words[position - 1].end())


def _goes_on(words: Sequence[re.Match[str]], position: int) -> bool:
    """Returns whether a word belongs to the number in front of it."""
    found = words[position]
    if not _BETWEEN_WORDS.fullmatch(found.string, words[position - 1].end(), found.start()):
        return False
    word = found.group()
    if word == "and" or word in _POINT:
        return position + 1 < len(words) and _is_number_word(words[position + 1].group())
    return _is_number_word(word) or word in ("hundred", "hundert") or (word in scales() and len(word) > 2)


def _is_number_word(word: str) -> bool:
    return word in numbers() or all(part in numbers() for part in word.split("-"))


def _value_of_words(words: Sequence[str]) -> tuple[float, float, float]:
    """Returns the value of number words, the largest scale in them, and the value of one unit in the last place."""
    total, current, largest, place = 0.0, 0.0, 1.0, 1.0
    is_fraction = False
    for word in words:
        if word in _POINT:
            is_fraction = True
        elif word in ("hundred", "hundert"):
            current = max(current, 1.0) * 100
        elif _is_number_word(word):
            value = sum(numbers()[part] for part in ([word] if word in numbers() else word.split("-")))
            place = place / 10 if is_fraction else 1.0
            current += value * place
        elif word in scales():
            total += (current or 1.0) * scales()[word]
            current, largest = 0.0, max(largest, float(scales()[word]))
            is_fraction = False
    return total + current, largest, largest * place
