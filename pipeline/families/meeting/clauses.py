"""Splits an answer into clauses, and tells what each says."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import groupby

from muses_eval.pipeline.families.meeting.clock_words import any_of
from muses_eval.pipeline.families.meeting.stance import Stance, is_proposal, stance_of, stance_tables, stance_words

_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|\n+|(?<=[。])|(?<=[!?;])(?=[^\x00-\x7f])|\s[–—]\s")
_BULLET = re.compile(r"\s*(?:[-*•]|\d+[.)])\s")
_CACHED_TEXTS = 256


@dataclass(frozen=True, slots=True)
class Clause:
    """A part of a text."""

    start: int
    end: int
    text: str
    stance: Stance | None
    """What the clause says itself."""
    inherited: Stance | None
    """What the clauses around it say, for one that says nothing itself; of a list, what introduces it."""
    contrast: bool
    """True after a word such as "but"."""


@lru_cache(maxsize=_CACHED_TEXTS)
def clauses(text: str) -> tuple[Clause, ...]:
    """Splits a normalized text into clauses, also at commas and conjunctions."""
    found: list[Clause] = []
    header: Stance | None = None
    for sentence, parts in groupby(_parts(text), key=lambda part: part[0]):
        spans = [(start, end) for _, start, end in parts]
        whole = text[slice(*sentence)]
        stances = [stance_of(text[start:end]) for start, end in spans]
        if is_proposal(whole):
            stances = [Stance.PROPOSAL if stance is Stance.OPEN else stance for stance in stances]
        stances = _after_conditions(stances, [text[start:end] for start, end in spans])
        is_bullet = bool(_BULLET.match(whole))
        first = next((stance for stance in stances if stance is not None), None)
        current = first if first is not None else header if is_bullet else None
        for (start, end), own in zip(spans, stances, strict=True):
            current = current if own is None else own
            part = text[start:end]
            contrast = stance_tables().contrast.match(part.lstrip(" ,.-–—"))
            found.append(Clause(start, end, part, own, current, contrast))
        if not is_bullet:
            header = current if whole.rstrip(" *").endswith(":") else None
    return tuple(found)


def _after_conditions(stances: list[Stance | None], parts: list[str]) -> list[Stance | None]:
    """Returns the stances of a sentence with a yes left open after a condition that is: "if my boss agrees, yes"."""
    result: list[Stance | None] = []
    is_open = False
    for stance, part in zip(stances, parts, strict=True):
        if stance is Stance.OPEN and stance_tables().condition.match(part.lstrip()):
            is_open = True
        elif stance_tables().contrast.match(part.lstrip()):
            is_open = False
        result.append(Stance.OPEN if is_open and stance is Stance.YES else stance)
    return result


def _parts(text: str) -> Iterator[tuple[tuple[int, int], int, int]]:
    """Yields (span of the sentence, start, end) of every part."""
    for sentence in _pieces(text, _SENTENCE_END, 0, len(text)):
        for start, end in _pieces(text, _splitting(), *sentence):
            yield sentence, start, end


@cache
def _splitting() -> re.Pattern[str]:
    return re.compile(
        rf",|(?<=[a-z])\s-\s(?=[a-z])|(?<!\bnot)\s+(?=(?:{any_of((*stance_words().splitting, 'yet'))})\s)"
    )


def _pieces(text: str, cut: re.Pattern[str], start: int, end: int) -> Iterator[tuple[int, int]]:
    for found in cut.finditer(text, start, end):
        if found.start() > start:
            yield start, found.start()
        start = max(start, found.end())
    yield start, end
