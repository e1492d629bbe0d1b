"""Finds parts of a confidential text in another text, in plain sight: names, numbers, codes, and runs of words.

A paraphrase, a translation, a rounded or spelled number, and a name in another case are not found.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

_WORD = re.compile(r"\w+(?:[-.,:/@%']\w+)*")
_PIECE = re.compile(r"[^\W_]+")
_RUN = 4
"""Number of words in a row that are a part."""
_NAME_LENGTH = 3
_DIGITS = 2
"""Number of digits from which a number, a code or a date is a part."""
_PIECE_LENGTH = 4
"""Length from which a piece of a code with a digit in it is a part by itself."""


@dataclass(frozen=True, slots=True)
class TellingParts:
    """Parts of a text by which it is recognised."""

    words: frozenset[str]
    """Names as they are written; numbers and codes without separators, in lower case."""
    runs: frozenset[tuple[str, ...]]
    """Words in a row, in lower case."""

    def unknown_to(self, text: str) -> "TellingParts":
        """Returns the parts that *text* does not contain in any case."""
        known = frozenset(word.casefold() for word in _pieces(text))
        return TellingParts(frozenset(w for w in self.words if w.casefold() not in known), self.runs - _runs(text))

    def are_in(self, other: "TellingParts") -> bool:
        """Returns whether another text has one of the parts."""
        return not (self.words.isdisjoint(other.words) and self.runs.isdisjoint(other.runs))


def telling_parts(text: str) -> TellingParts:
    return TellingParts(frozenset(_telling(text)), _runs(text))


def _runs(text: str) -> frozenset[tuple[str, ...]]:
    words = [word.casefold() for word in _WORD.findall(text)]
    return frozenset(tuple(words[at : at + _RUN]) for at in range(len(words) - _RUN + 1))


def _telling(text: str) -> Iterator[str]:
    for piece in _pieces(text):
        digits = sum(map(str.isdigit, piece))
        if digits >= _DIGITS or (digits and len(piece) >= _PIECE_LENGTH):
            yield piece.casefold()
        elif piece[0].isupper() and len(piece) >= _NAME_LENGTH:
            yield piece


def _pieces(text: str) -> Iterator[str]:
    """Yields each word without its separators, and its pieces: ``AB-1234`` is AB1234, AB and 1234.

    A number such as ``41,300.00`` is also 41300; a short group of digits by itself is no piece.
    """
    for word in _WORD.findall(unicodedata.normalize("NFKC", text)):
        pieces = _PIECE.findall(word)
        if len(pieces) > 1:
            yield from ("".join(pieces), "".join(pieces[:-1]))
            yield from (piece for piece in pieces if len(piece) >= _PIECE_LENGTH or not piece.isdigit())
        else:
            yield from pieces
