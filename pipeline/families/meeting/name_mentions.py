"""Where a text names principals."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from muses_eval.pipeline.families.meeting.folded_text import folded
from muses_eval.pipeline.families.meeting.word_scanner import UNSPACED


class Mention(NamedTuple):
    """A principal's name in a folded text."""

    name: str
    start: int
    end: int


def mentions(text: str, names: Sequence[str]) -> Iterator[Mention]:
    """Yields the names that a folded text contains as whole words, left to right; the longest one at a place."""
    by_form = {folded(name): name for name in reversed(names) if name.strip()}
    for found in _pattern(tuple(by_form)).finditer(text) if by_form else ():
        yield Mention(by_form[found.group()], *found.span())


def names_in(text: str, names: Sequence[str]) -> tuple[str, ...]:
    """Returns the names that a folded text contains, in the order of *names*."""
    found = {mention.name for mention in mentions(text, names)}
    return tuple(name for name in names if name in found)


@lru_cache(maxsize=64)
def _pattern(forms: tuple[str, ...]) -> re.Pattern[str]:
    longest_first = sorted(forms, key=len, reverse=True)
    unspaced = UNSPACED.pattern
    any_name = "|".join(map(re.escape, longest_first))
    return re.compile(rf"(?:(?<!\w)|(?<={unspaced}))(?:{any_name})(?:(?!\w)|(?={unspaced}))")
