"""Remarks beside an answer, which say neither yes nor no to a time.

A greeting ("good morning"), a request ("could you send the slides?"), a doubt or a denial about something else ("I
don't know the agenda", "I can't present").  The words are in ``side_remarks.toml``.
"""

import re
from dataclasses import dataclass
from functools import cache

from muses_eval.pipeline.families.meeting.clock_words import any_of
from muses_eval.pipeline.families.meeting.folded_text import folded
from muses_eval.pipeline.families.meeting.stance import (
    PhraseTable,
    denies,
    expanded,
    is_question,
    phrase_table,
    stance_tables,
)
from muses_eval.pipeline.word_tables import read_word_table

_CLOSING = re.compile(r"([.!?\n]\s*)(?:best|cheers)\b[\s,]*\w*\W*\Z")
_AUXILIARY = r"\b(?:can|could|will|would|should|do|does|did|have|has)"
_EDGES = " ,.!-–—"
_Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SideRemarkWords:
    """All tables of ``side_remarks.toml``."""

    neutral: _Words
    acknowledging: _Words
    other_doubts: _Words
    requests: _Words
    moving: _Words
    conclusion: _Words
    attending: _Words
    refused_orders: _Words
    others: _Words


@dataclass(frozen=True, slots=True)
class _Tables:
    """The tables of :class:`SideRemarkWords`, as patterns."""

    neutral: PhraseTable
    acknowledging: frozenset[str]
    other_doubts: PhraseTable
    requests: PhraseTable
    moving: PhraseTable
    conclusion: PhraseTable
    other_denial: re.Pattern[str]
    """A denial of something else than coming."""


@cache
def side_remark_words() -> SideRemarkWords:
    """Returns the words, which are read once per process."""
    return read_word_table(SideRemarkWords, __package__, "side_remarks.toml")


@cache
def _tables() -> _Tables:
    words = side_remark_words()
    return _Tables(
        neutral=phrase_table(words.neutral),
        acknowledging=frozenset(map(folded, words.acknowledging)),
        other_doubts=phrase_table(words.other_doubts),
        requests=phrase_table(words.requests),
        moving=phrase_table(words.moving),
        conclusion=phrase_table(words.conclusion),
        other_denial=re.compile(
            rf"{any_of(words.others)}\s(?:{_AUXILIARY}|is|are|was|were)\snot\b"
            rf"|{_AUXILIARY}\snot(?:\sbe\sable\sto)?\s(?!\W*{any_of(words.attending)})(?=[a-z])"
            rf"|\A\W*(?:(?:but|just|please)\s)*do\snot\s(?!{any_of(words.refused_orders)})(?=[a-z])"
        ),
    )


def without_neutral_phrases(text: str) -> str:
    """Returns a folded text with spaces for greetings and closings, such as "good morning" and "best regards"."""
    text = _tables().neutral.pattern.sub(lambda found: " " * len(found[0]), text)
    return _CLOSING.sub(lambda found: found[1] + " " * (len(found[0]) - len(found[1])), text)


def concludes(text: str) -> bool:
    """Returns whether a folded clause draws a conclusion: "so that is fine"."""
    return _tables().conclusion.match(text.lstrip(_EDGES))


def acknowledges(text: str) -> bool:
    """Returns whether a folded clause is a word such as "OK", which may be no more than a sign of having read."""
    return text.strip(_EDGES) in _tables().acknowledging


def defers(text: str) -> bool:
    """Returns whether a folded clause that is open puts the answer off, other than by a question."""
    return not is_question(text) and not _tables().other_doubts.search(expanded(text))


def is_open_otherwise(text: str) -> bool:
    """Returns whether an open clause is not about the time: "could you send the slides?", "I don't know the agenda"."""
    tables = _tables()
    if tables.other_doubts.search(expanded(text)):
        return True
    start = stance_tables().contrast.pattern.sub("", text.lstrip(_EDGES), count=1).lstrip(" ,")
    return is_question(text) and tables.requests.match(start) and not tables.moving.search(text)


def denies_something_else(text: str) -> bool:
    """Returns whether a clause denies something else than that the speaker comes: "I can't present"."""
    plain = stance_tables().double_negatives.without(expanded(text), None)
    rest = _tables().other_denial.sub(" ", plain)
    return rest != plain and not denies(rest)
