"""The words of a text in any script, and the occurrences of a word in it.

A word is what a person counts as one: a contraction (``don't``), a compound with a hyphen, a number (``3.14``), an
abbreviation (``U.S.``), an address.  Dashes, slashes and ellipses separate words.  In scripts without spaces words are
estimated by their average length.  Since many readers count every Chinese character instead, as word processors do, the
number of words in Chinese and Japanese is a range.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from muses_eval.pipeline.families.instruct.constraints.visible_text import folded, visible

_LETTERS_A_WORD = 4
"""Average length of a word in Thai, Lao, Khmer and Burmese, vowel signs included."""
_CHARACTERS_A_WORD = 1.6
"""Average length of a word in Chinese characters and hiragana."""

_UNSPACED = r"\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_CHARACTER = r"\p{Han}\p{Hiragana}"
_NOT_JOINED = rf"{_UNSPACED}{_CHARACTER}\p{{Katakana}}"
"""Characters of scripts in which a word has no visible boundaries."""
_PART = (
    rf"[[\p{{L}}\p{{N}}]--[{_UNSPACED}{_CHARACTER}]][[\p{{L}}\p{{N}}\p{{M}}\u200c\u200d]--[{_UNSPACED}{_CHARACTER}]]*+"
)
_JOINT = (
    r"['\u2019\u02bc\u2010\u2011\u00b7_-]"  # don't, well-known, snake_case
    r"|(?<=\p{N})[.,:/\u066b\u066c](?=\p{N})"  # 3.14, 10:30
    r"|(?<=(?<![\p{L}\p{N}])\p{L})\.(?=\p{L}(?![\p{L}\p{N}]))|(?<=\.\p{L})\.(?=\p{L}(?![\p{L}\p{N}]))"  # U.S., p.m.
    r"|(?<=[\p{Ll}\p{N}])\.(?=\p{Ll})"  # example.com
    r"|(?<=\p{Lu})&(?=\p{Lu})"  # AT&T
)
_TOKEN = (
    r"(?P<address>(?:https?://|www\.)[^\s<>\"]+|(?<![\w.+-])[\w.+-]++@[\w-]++(?:\.[\w-]++)+)"
    rf"|(?P<letters>[{_UNSPACED}]+)"
    rf"|(?P<characters>[{_CHARACTER}]+)"
    rf"|{_PART}(?:(?:{_JOINT}){_PART})*+"
)


def words(text: str) -> Iterator[str]:
    """Yields the words of a text as they are displayed; a run of a script without spaces is yielded as one."""
    return (found.group() for found in _tokens().finditer(visible(text)))


@dataclass(frozen=True, slots=True)
class WordCount:
    """The number of words of a text; the limits differ only if it has Chinese characters or hiragana."""

    fewest: int
    """Words of an average length."""
    most: int
    """Every character is a word."""


def count_words(text: str) -> WordCount:
    """Counts the words of a text."""
    fewest = most = 0
    for found in _tokens().finditer(visible(text)):
        match found.lastgroup:
            case "letters":
                number = -(-len(found.group()) // _LETTERS_A_WORD)
                fewest, most = fewest + number, most + number
            case "characters":
                fewest += max(1, round(len(found.group()) / _CHARACTERS_A_WORD))
                most += len(found.group())
            case _:
                fewest, most = fewest + 1, most + 1
    return WordCount(fewest, most)


def occurrences(word: str, text: str) -> int:
    """Returns how often a word, or several words in succession, occurs as a whole word, ignoring case and emphasis.

    ``it's`` has the word ``it``, but ``can't`` does not have the word ``can``, nor ``cans``.  In scripts without spaces
    a word may be next to any character.
    """
    return sum(1 for _ in whole_word(word).finditer(folded(text)))


@lru_cache(maxsize=4096)
def whole_word(word: str) -> Any:  # noqa: ANN401 - regex has no types
    """Returns a pattern for a whole word in a folded text."""
    import regex

    parts = folded(word).split() or word.split()
    first, last = parts[0][0], parts[-1][-1]
    before = r"(?<![\p{L}\p{N}\p{M}])" if has_boundary(first) else ""
    after = r"(?![\p{L}\p{N}\p{M}]|'t(?![\p{L}\p{N}]))" if has_boundary(last) and not _is_hangul(last) else ""
    return regex.compile(before + r"\s+".join(map(regex.escape, parts)) + after, regex.V1)


def has_boundary(character: str) -> bool:
    """Returns whether a character is one of words that spaces and punctuation separate."""
    return character.isalnum() and _not_joined().match(character) is None


def _is_hangul(character: str) -> bool:
    """Returns whether a character is Korean: particles follow a word without a space."""
    return "\uac00" <= character <= "\ud7a3"


@cache
def _tokens() -> Any:  # noqa: ANN401 - regex has no types
    import regex

    return regex.compile(_TOKEN, regex.V1)


@cache
def _not_joined() -> Any:  # noqa: ANN401 - regex has no types
    import regex

    return regex.compile(f"[{_NOT_JOINED}]")
