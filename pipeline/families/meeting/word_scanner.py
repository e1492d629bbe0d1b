"""Searches for patterns that begin with a known word or a number.

A pattern of hundreds of words is tried only where a text has one of their beginnings, which is many times faster than a
search at every character.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from muses_eval.pipeline.families.meeting.folded_text import folded

_WORD = re.compile(r"[^\W\d_]+")
_PIECE = re.compile(r"[^\W\d_]+|\d+|\((?=[^\W\d_]\))")
UNSPACED = re.compile("[\u0e00-\u0e7f\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]")
"""Characters of scripts in which a word may follow another one without a space."""
_PREFIX = 3
"""Number of letters by which a word with spelling mistakes is recognized."""


def words_in(text: str) -> list[str]:
    """Returns the words of a folded text, split at apostrophes and hyphens."""
    return _WORD.findall(text)


def first_words(phrases: Iterable[str]) -> frozenset[str]:
    """Returns the first word of each phrase, folded."""
    return frozenset(words[0] for phrase in phrases if (words := words_in(folded(phrase))))


@dataclass(frozen=True, slots=True)
class WordScanner:
    """A pattern, and what its matches begin with."""

    pattern: re.Pattern[str]
    words: frozenset[str]
    """First words of matches; words of unspaced scripts and numbers are always tried."""
    prefixes: frozenset[str] = frozenset()
    """First three letters of words that may be misspelt."""

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """Yields the matches in a folded text, left to right, without overlaps."""
        end = 0
        for piece in _PIECE.finditer(text):
            for position in self._starts(piece):
                if position >= end and (found := self.pattern.match(text, position)) is not None:
                    end = max(found.end(), position + 1)
                    yield found

    def _starts(self, piece: re.Match[str]) -> Iterable[int]:
        word = piece.group()
        if word in self.words or word[0] == "(" or word[0].isdecimal() or word[:_PREFIX] in self.prefixes:
            return (piece.start(),)
        return range(*piece.span()) if not word.isascii() and UNSPACED.search(word) else ()


def ends_with_any(text: str, last_words: frozenset[str]) -> bool:
    """Returns whether the last word of a folded text is one of these, or its script has no spaces."""
    words = words_in(text)
    return bool(words) and (words[-1] in last_words or UNSPACED.search(words[-1]) is not None)
