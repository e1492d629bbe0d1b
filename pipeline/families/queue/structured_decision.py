"""Reads the decision in an object or a list, whatever its keys and its arrangement."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from muses_eval.pipeline.families.queue.decision_words import (
    decision_words,
    has_word,
    side_of_answer,
    side_of_key,
    words_of,
)
from muses_eval.pipeline.families.queue.references import References
from muses_eval.pipeline.text.reply_parsing import json_spans

_MAX_DEPTH = 8


@dataclass(slots=True)
class StructuredDecision:
    """What an object or a list decides.  A side is True for accepted and False for rejected instructions."""

    references: References
    with_asides: bool = False
    """Whether fields such as ``summary`` and ``draft`` are read as well."""
    accepted: set[str] = field(default_factory=set)
    rejected: set[str] = field(default_factory=set)
    listed: set[bool] = field(default_factory=set)
    """Sides that have a list, even an empty one."""
    others: set[bool] = field(default_factory=set)
    """Sides to which all other instructions belong: ``"rejected": "all others"``."""
    is_partial: bool = True
    """Whether everything belongs to single users or instructions."""

    @property
    def is_decision(self) -> bool:
        return True in self.listed or bool(self.accepted or self.rejected)

    def read(self, value: object, side: bool | None = None, depth: int = 0) -> None:
        """Adds what *value* decides; with a *side*, it is part of that list."""
        if depth > _MAX_DEPTH:
            return
        if isinstance(value, dict):
            self._read_object(value, side, depth)
        elif isinstance(value, list) and side is None and (decided := self._pair(value)) is not None:
            self._add(decided, self._known(value[0]))
        elif isinstance(value, list):
            for entry in value:
                self.read(entry, side, depth + 1)
        elif isinstance(value, str):
            self._read_text(value, side, depth)
        elif side is not None:
            self._add(side, self.references.listed(value))

    def _read_text(self, text: str, side: bool | None, depth: int) -> None:
        """Reads a text, which may be JSON again, ``all``, or a list of one instruction a line."""
        if text.lstrip()[:1] in ("{", "[") and (inner := list(json_spans(text))):
            for span in inner:
                self.read(span.value, side, depth + 1)
        elif side is not None:
            if has_word(words_of(text)[:1], decision_words().all):
                self.others.add(side)
            for line in text.splitlines():
                self._add(side, self.references.listed(line))

    def _read_object(self, value: Mapping[str, object], side: bool | None, depth: int) -> None:
        decided = self._answer_in(value)
        decided = side if decided is None else decided
        lists = any(
            isinstance(each, dict | list) and side_of_key(words_of(key)) is not None for key, each in value.items()
        )
        if decided is not None and not lists and (subject := self._subject(value)):
            self._add(decided, subject)
            return
        is_of_one_user = any(
            isinstance(each, str) and each.casefold() in self.references.authors for each in value.values()
        )
        final = [key for key, each in value.items() if isinstance(each, dict) and self._is(key, decision_words().final)]
        for key in final or value:
            self._read_field(key, value[key], side, depth, is_of_one_user)

    def _read_field(self, key: str, value: object, side: bool | None, depth: int, is_of_one_user: bool) -> None:
        words = decision_words()
        if self._is(key, words.counting) or (self._is(key, words.aside) and not self.with_asides):
            return
        own_side = side_of_key(words_of(key))
        if own_side is not None:
            self._read_list(value, own_side, depth, is_of_one_user)
        elif subject := self._known(key):
            decided = self._answer_in(value) if isinstance(value, dict) else self._answer(value, side)
            decided = side if decided is None else decided
            if decided is not None:
                self._add(decided, subject)
        elif isinstance(value, dict | list) or self._is_author(key) or side is None:
            before = self.is_partial
            self.read(value, side, depth + 1)
            self.is_partial = before if self._is_author(key) else self.is_partial

    def _read_list(self, value: object, side: bool, depth: int, is_of_one_user: bool) -> None:
        """Reads the value of a key such as ``accepted``; a number that is no reference is a count."""
        if isinstance(value, bool) or (isinstance(value, int | float) and not self._known(value)):
            return
        before = len(self.accepted) + len(self.rejected) + len(self.others)
        self.read(value, side, depth + 1)
        if value and len(self.accepted) + len(self.rejected) + len(self.others) == before and not _is_none(value):
            return  # placeholders
        self.is_partial &= is_of_one_user
        self.listed.add(side)

    def _answer(self, value: object, side: bool | None) -> bool | None:
        """Returns the decision in the value of an instruction; inside a list, a text is a reason."""
        return None if side is not None and isinstance(value, str) else side_of_answer(value)

    def _answer_in(self, value: Mapping[str, object]) -> bool | None:
        """Returns the decision that an object states about its instruction: ``{"ref": …, "decision": "accept"}``."""
        for key, answer in value.items():
            words = words_of(key)
            if has_word(words, decision_words().verdict) and (found := side_of_answer(answer)) is not None:
                return found
            if isinstance(answer, bool | str) and (side := side_of_key(words)) is not None:
                plain = side_of_answer(answer)
                if plain is not None and not self._known(answer):
                    return side if plain else not side
        return None

    def _subject(self, value: Mapping[str, object]) -> tuple[str, ...]:
        """Returns the instructions that an object is about; a key ``ref_id`` comes before ``conflicts_with_ref``."""
        named: list[tuple[str, ...]] = []
        words = decision_words()
        keys = [key for key in value if self._is(key, words.reference) and not self._is(key, words.aside)]
        for key in sorted(keys, key=lambda key: not all(has_word([word], words.reference) for word in words_of(key))):
            entry = value[key]
            entries = entry if isinstance(entry, list) else [entry]
            named.append(tuple(name for each in entries for name in self.references.listed(each)))
        known = (names for names in named if not set(names).isdisjoint(self.references.truth.ids))
        return next(known, next(filter(None, named), ()))

    def _pair(self, value: list[object]) -> bool | None:
        """Returns the decision in a list of an instruction and an answer: ``["1234", "accepted"]``."""
        if len(value) < 2 or not self._known(value[0]) or self._known(value[1]):
            return None
        return side_of_answer(value[1])

    def _known(self, value: object) -> tuple[str, ...]:
        names = self.references.listed(value)
        return names if not set(names).isdisjoint(self.references.truth.ids) else ()

    def _is_author(self, key: str) -> bool:
        return any(word in self.references.authors for word in (key.casefold(), *words_of(key)))

    @staticmethod
    def _is(key: str, kind: tuple[str, ...]) -> bool:
        return has_word(words_of(key), kind)

    def _add(self, side: bool, names: tuple[str, ...]) -> None:
        (self.accepted if side else self.rejected).update(names)


def _is_none(value: object) -> bool:
    """Returns whether the value of a list says that it has no entries: ``"none"``, ``[null]``, ``{"Ana": []}``."""
    if isinstance(value, dict | list):
        return all(_is_none(each) for each in (value.values() if isinstance(value, dict) else value))
    return value is None or (
        isinstance(value, str) and has_word(words_of(value)[:1] or ("none",), decision_words().none)
    )
