"""Frequent words by language, and the words around the ends of sentences, read from ``common_words.toml``."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from muses_eval.pipeline.word_tables import read_word_table


@dataclass(frozen=True, slots=True)
class SentenceWords:
    """Words that tell a full stop that ends a sentence from another one."""

    abbreviations: tuple[str, ...]
    before_numbers: tuple[str, ...]
    ambiguous: tuple[str, ...]
    starters: tuple[str, ...]
    months: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Numerals:
    """Words for cardinal and ordinal numbers."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CommonWords:
    """All tables of ``common_words.toml``."""

    languages: Mapping[str, str]
    """Language code -> its frequent words, separated by spaces."""
    sentences: SentenceWords
    numerals: Numerals


@cache
def common_words() -> CommonWords:
    """Returns the tables, which are read once per process."""
    return read_word_table(CommonWords, __package__, "common_words.toml")


@cache
def languages_of_words() -> Mapping[str, frozenset[str]]:
    """Returns the languages in which a word is frequent, by word."""
    found: dict[str, set[str]] = {}
    for language, words in common_words().languages.items():
        for word in words.split():
            found.setdefault(word, set()).add(language)
    return {word: frozenset(languages) for word, languages in found.items()}
