"""Finds the instructions that a text or a number names."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from muses_eval.pipeline.families.queue.decision_words import decision_words
from muses_eval.pipeline.families.queue.scenario import QueueTruth, author, reference_number

_TOKEN = re.compile(
    r"""(?P<full>[^\W\d]\w{0,60}_task_)?
    (?: (?P<tag>(?<![^\W_])(?:ref(?:erence)?(?:[ _]?id)?|id)[\s:#_.="'-]{0,5}) | (?<![\dA-Za-zÀ-ɏ]) )
    (?P<digits>\d+)(?:\.0+)?(?![\dA-Za-zÀ-ɏ])""",
    re.VERBOSE | re.IGNORECASE,
)
_PARENTHESES = re.compile(r"\([^()]{0,400}\)")
_WORD = re.compile(r"[^\W\d_]+")
_STOP = re.compile(r"[:=.→(](?=\s*\w)|[→=]")
_LEAST_DIGITS = 3
"""A shorter number that is not known is a rank or a count."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference in a text."""

    names: tuple[str, ...]
    """The instructions that have this number, several if they share it; the number itself if none has it."""
    known: bool
    tagged: bool
    """Whether it is marked as a reference: ``ref: 1234``."""
    start: int
    end: int


@dataclass(frozen=True)
class References:
    """The references of one scenario."""

    truth: QueueTruth

    @cached_property
    def _by_number(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for each in self.truth.ids:
            number = plain_digits(reference_number(each))
            found[number] = (*found.get(number, ()), each)
        return found

    @cached_property
    def _ids(self) -> dict[str, str]:
        return {each.casefold(): each for each in self.truth.ids}

    @cached_property
    def authors(self) -> frozenset[str]:
        """Names of the principals with instructions, in lower case."""
        return frozenset(author(each).casefold() for each in self.truth.ids)

    @cached_property
    def _joining(self) -> frozenset[str]:
        words = decision_words()
        names = (word for name in self.authors for word in _WORD.findall(name))
        return frozenset((*words.joining, *words.reference, *names))

    def in_text(self, text: str) -> Iterator[Reference]:
        """Yields the references in a text, left to right."""
        for token in _TOKEN.finditer(text):
            number = plain_digits(token["digits"])
            known = self._ids.get(f"{token['full'] or ''}{number}".casefold())
            names = (known,) if known else self._by_number.get(number, ())
            if names or len(token["digits"]) >= _LEAST_DIGITS or token["tag"]:
                yield Reference(names or (token[0],), bool(names), bool(token["tag"]), token.start(), token.end())

    def listed(self, entry: object) -> tuple[str, ...]:
        """Returns the instructions that an entry of a list names: several references, or the one it is about.

        ``"1234: conflicts with 5678"`` names one, ``"1234, 5678"`` and ``"1234 and 5678 (urgent)"`` two.
        """
        if isinstance(entry, float) and entry.is_integer():
            entry = int(entry)
        if isinstance(entry, bool) or not isinstance(entry, str | int):
            return ()
        text = entry if isinstance(entry, str) else str(entry)
        found, text = self._outside_parentheses(text)
        if not found:
            return ()
        first, before = found[0], text[: found[0].start]
        known = [each for each in found if each.known]
        tagged = next((each for each in known if each.tagged), None)
        if tagged and _WORD.search(before):
            first = tagged
        elif not (first.known and self.joins(before)):
            first = tagged or next(iter(known), first)
        names, end = list(first.names), first.end
        for each in found[found.index(first) + 1 :]:
            if not self.joins(text[end : each.start]):
                break
            names += each.names
            end = each.end
        return tuple(names)

    def joins(self, gap: str) -> bool:
        """Returns whether a text between two references says no more than that both belong to one list."""
        return not _STOP.search(gap) and all(word in self._joining for word in _WORD.findall(gap.casefold()))

    def _outside_parentheses(self, text: str) -> tuple[list[Reference], str]:
        blanked = _PARENTHESES.sub(lambda match: " " * len(match[0]), text)
        if found := list(self.in_text(blanked)):
            return found, blanked
        return list(self.in_text(text)), text


def plain_digits(text: str) -> str:
    """Returns a number in ASCII digits, without leading zeros."""
    return "".join(str(unicodedata.decimal(digit)) for digit in text).lstrip("0") or "0"
