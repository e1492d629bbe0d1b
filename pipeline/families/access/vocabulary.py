"""Reads words as concepts: inflections, synonyms and translations of one idea are the same concept.

The concepts are those of ``glossary.toml``; any other word is a concept of its own, without its English inflection.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from muses_eval.pipeline.families.access.glossary import glossary
from muses_eval.pipeline.families.access.number_words import numbers

_MIN_PREFIX = 2
_MIN_PART = 4
_MAX_WORD = 60
_ENDINGS = (
    ("sses", "ss"),
    ("ies", "y"),
    ("ings", ""),
    ("ing", ""),
    ("edly", ""),
    ("ed", ""),
    ("ly", ""),
    ("s", ""),
    ("e", ""),
)
_MIN_STEM = 3
_DIGITS = re.compile(r"\d+")
_IDEOGRAPHS = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


@dataclass(frozen=True, slots=True)
class _Tables:
    empty: frozenset[str]
    words: Mapping[str, tuple[int, ...]]
    beginnings: Mapping[str, tuple[int, ...]]
    phrases: Mapping[tuple[str, ...], tuple[int, ...]]
    ideographs: Mapping[str, tuple[int, ...]]
    """Words of scripts without spaces, which are searched for within a run of letters."""


Concept = int | str
"""An entry of the glossary by its number, or a word that is in no entry."""


def plain_word(word: str) -> str:
    """Returns a case-folded word without accents."""
    if word.isascii():
        return word
    return "".join(
        character for character in unicodedata.normalize("NFD", word) if not unicodedata.combining(character)
    )


def concepts_of(words: Sequence[str]) -> list[tuple[Concept, ...]]:
    """Returns for every case-folded word its concepts; empty for a word without a meaning of its own."""
    phrases = _tables().phrases
    found = [concepts_of_word(word) for word in words]
    plain = [plain_word(word) for word in words]
    content = [index for index in range(len(words)) if found[index]]
    for position, index in enumerate(content):
        if plain[index] not in _first_words():
            continue
        following = [(plain[index], *plain[index + 1 : index + 2])]
        following += [tuple(plain[at] for at in content[position : position + length]) for length in (3, 2)]
        phrase = next((phrase for phrase in following if phrase in phrases), ())
        found[index] = (*found[index], *phrases.get(phrase, ()))
    return found


@lru_cache(maxsize=32_768)
def concepts_of_word(word: str) -> tuple[Concept, ...]:
    """Returns the concepts of one case-folded word; empty when it has no meaning of its own."""
    plain, tables = plain_word(word[:_MAX_WORD]), _tables()
    if plain in tables.empty:
        return ()
    known: tuple[Concept, ...] | None = tables.words.get(plain)
    if not known and word in numbers():
        return (str(numbers()[word]),)
    known = known or tables.words.get(_stem(plain)) or _by_beginning(plain) or _compound(plain)
    if not known and _IDEOGRAPHS.search(plain):
        inside = [number for term, numbers in tables.ideographs.items() if term in plain for number in numbers]
        return tuple(dict.fromkeys((*inside, *_DIGITS.findall(plain))))
    return known or (_stem(plain),)


def _compound(word: str) -> tuple[Concept, ...]:
    """Returns the concepts of a compound such as ``Budgetzuteilung``; empty when it is none."""
    words = _tables().words
    for length in range(_MIN_PART, len(word) - _MIN_PART + 1):
        first = words.get(word[:length]) or words.get(word[:length].rstrip("s"))
        if first and (second := words.get(word[length:]) or _by_beginning(word[length:])):
            return tuple(dict.fromkeys((*first, *second)))
    return ()


def _by_beginning(word: str) -> tuple[Concept, ...]:
    beginnings = _tables().beginnings
    for length in range(len(word), _MIN_PREFIX, -1):
        if word[:length] in beginnings:
            return beginnings[word[:length]]
    return ()


def _stem(word: str) -> str:
    if not word.isalpha():
        return word
    for ending, replacement in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _MIN_STEM and not (ending == "s" and word[-2] in "su"):
            word = word[: len(word) - len(ending)] + replacement
    if len(word) > _MIN_STEM and word[-1] == word[-2] and word[-1] not in "lsz":
        word = word[:-1]
    return word


@cache
def _tables() -> _Tables:
    words: dict[str, tuple[int, ...]] = {}
    beginnings: dict[str, tuple[int, ...]] = {}
    phrases: dict[tuple[str, ...], tuple[int, ...]] = {}
    ideographs: dict[str, tuple[int, ...]] = {}
    for number, line in enumerate(glossary().concepts):
        for entry in map(plain_word, line.split()):
            if "_" in entry:
                key = tuple(entry.split("_"))
                phrases[key] = (*phrases.get(key, ()), number)
            elif _IDEOGRAPHS.search(entry):
                ideographs[entry] = (*ideographs.get(entry, ()), number)
            elif entry.endswith("*"):
                beginnings[entry[:-1]] = (*beginnings.get(entry[:-1], ()), number)
            else:
                words[entry] = (*words.get(entry, ()), number)
                words.setdefault(_stem(entry), (number,))
    empty = frozenset(map(plain_word, glossary().empty.split())) - words.keys()
    return _Tables(empty, words, beginnings, phrases, ideographs)


@cache
def _first_words() -> frozenset[str]:
    return frozenset(phrase[0] for phrase in _tables().phrases)
