"""Words of numbers, units and months, read from ``number_words.toml``; the keys of the tables are case-folded words."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from muses_eval.pipeline.word_tables import read_word_table


@dataclass(frozen=True, slots=True)
class NumberWords:
    """The tables of ``number_words.toml``: a value, and its words separated by spaces."""

    scales: Mapping[str, str]
    numbers: Mapping[str, str]
    months: Mapping[str, str]
    letters: Mapping[str, str]
    signs: Mapping[str, str]
    units: Mapping[str, str]


def scales() -> Mapping[str, int]:
    """Returns word -> the multiple that it names, such as 1,000,000 for ``mio``."""
    return _values("scales")


def numbers() -> Mapping[str, int]:
    """Returns word -> a number below 100."""
    return _values("numbers")


def months() -> Mapping[str, int]:
    """Returns word -> the number of the month."""
    return _values("months")


@cache
def units() -> Mapping[str, str]:
    """Returns word -> ``money`` or ``percent``."""
    return {word: unit for unit, words in number_word_tables().units.items() for word in words.split()}


@cache
def spoken() -> Mapping[str, str]:
    """Returns word -> the digit, letter or sign that it stands for."""
    digits = {word: str(value) for word, value in numbers().items() if value < 10}
    letters = {word: word[0] for words in number_word_tables().letters.values() for word in words.split()}
    return {
        **digits,
        **letters,
        **{word: sign for sign, words in number_word_tables().signs.items() for word in words.split()},
    }


@cache
def number_words() -> frozenset[str]:
    """Returns the words for numbers above one and for single characters."""
    return frozenset(word for word, value in numbers().items() if value != 1) | spoken().keys() - _ones()


def _ones() -> frozenset[str]:
    return frozenset(word for word, value in numbers().items() if value == 1)


@cache
def _values(name: str) -> Mapping[str, int]:
    table: Mapping[str, str] = getattr(number_word_tables(), name)
    return {word: int(value) for value, words in table.items() for word in words.split()}


@cache
def number_word_tables() -> NumberWords:
    return read_word_table(NumberWords, __package__, "number_words.toml")
