"""The words around times of day, read from ``clock_words.toml``, and patterns of them for folded texts."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from muses_eval.pipeline.families.meeting.folded_text import folded
from muses_eval.pipeline.families.meeting.word_scanner import UNSPACED
from muses_eval.pipeline.word_tables import read_word_table

_Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MinuteWords:
    thirty: _Words
    fifteen: _Words
    forty_five: _Words


@dataclass(frozen=True, slots=True)
class FractionWords:
    half_past: _Words
    half_to: _Words
    quarter_past: _Words
    quarter_to: _Words
    and_half: _Words
    and_quarter: _Words
    less_quarter: _Words


@dataclass(frozen=True, slots=True)
class PartsOfDay:
    am: _Words
    pm: _Words
    midday: _Words
    noon: _Words
    midnight: _Words


@dataclass(frozen=True, slots=True)
class LinkWords:
    hour_units: _Words
    long_units: _Words
    minute_units: _Words
    at: _Words
    on: _Words
    lasting: _Words
    after: _Words
    before: _Words
    between: _Words
    to: _Words
    conjunctions: _Words
    months: _Words
    counted: _Words


@dataclass(frozen=True, slots=True)
class ClockWords:
    """All tables of ``clock_words.toml``."""

    hours: tuple[_Words, ...]
    """Words for the hours 1 to 24."""
    minutes: MinuteWords
    fractions: FractionWords
    parts: PartsOfDay
    words: LinkWords


@cache
def clock_words() -> ClockWords:
    """Returns the words, which are read once per process."""
    return read_word_table(ClockWords, __package__, "clock_words.toml")


def any_of(words: Iterable[str]) -> str:
    """Returns a pattern of these words in a folded text, longer ones first, without capturing groups.

    Words of scripts with spaces are not matched inside longer words; those that end in ``*`` are beginnings of words.
    """
    plain = sorted({folded(word) for word in words}, key=lambda word: (-len(word), word))
    spaced = "|".join(re.escape(word).replace(r"\*", r"\w*") for word in plain if not UNSPACED.match(word))
    unspaced = "|".join(re.escape(word) for word in plain if UNSPACED.match(word))
    bounded = rf"(?<![^\W\d_])(?:{spaced})(?![^\W\d_])" if spaced else ""
    return f"(?:{'|'.join(part for part in (unspaced, bounded) if part)})"
