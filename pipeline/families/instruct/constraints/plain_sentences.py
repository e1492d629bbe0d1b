"""The sentences of a text in any script, as a person counts them.

A sentence ends with a mark that its script ends sentences with, or at the end of a paragraph, a heading or a list item.
Abbreviations, initials, decimals and dates do not end one, nor does a quotation inside it.  Code is not a sentence.
Unlike :mod:`.sentences`, which the released scorer's results depend on, this is not limited to English newspapers.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from muses_eval.pipeline.families.instruct.constraints.common_words import common_words
from muses_eval.pipeline.families.instruct.constraints.list_items import LIST_MARK, is_rule
from muses_eval.pipeline.families.instruct.constraints.visible_text import lines_made_equal, unescaped, without_code

_HEADING = re.compile(r"\s*(?:#{1,6}\s|<<.*>>\s*$|\*\*[^*.!?]+\*\*:?\s*$)")
_AFTER_MARK = "*_~`> \t\n\"')]}\u00bb\u201d\u2019"
_WORD_BEFORE = re.compile(r"[\w.'\u2019-]*\Z")
_ACRONYM = re.compile(r"(?:[^\W\d_]{1,2}\.)+[^\W\d_]{1,2}")
_LONGEST_WORD = 40
_NEXT = re.compile(r"[^\w\s]*([^\W_]*)")
_END = (
    r"(?:[\p{Sentence_Terminal}\u2026\u203d\uff0e]|(?<=\p{Greek})[;\u037e])"
    r"[\p{Sentence_Terminal}\u2026\u203d\uff0e]*+"
    r"(?P<close>[\"'\p{Pe}\p{Pf}\p{Pi}*_~`]*+)"
)
_SPACED_ENDS = frozenset(".!?\u2026\u203d;\u037e\u061f")


@dataclass(frozen=True, slots=True)
class SentenceCount:
    """The number of sentences of a text."""

    fewest: int
    """Without headings, and list items that no mark ends, which not every reader counts."""
    most: int


def count_sentences(text: str) -> SentenceCount:
    """Counts the sentences of a text."""
    fewest = most = 0
    for block, is_fragment in _blocks(unescaped(without_code(text))):
        found = list(_sentences(block))
        most += len(found)
        unmarked = bool(found) and is_fragment and not _has_mark(found[-1])
        fewest += len(found) - unmarked
    return SentenceCount(fewest, most)


def _has_mark(sentence: str) -> bool:
    """Returns whether a mark that may end a sentence, in any script, is at the end."""
    last = sentence.rstrip(_AFTER_MARK)[-1:]
    return last not in {"", ":", ",", ";", "-"} and unicodedata.category(last).startswith("P")


def _blocks(text: str) -> Iterator[tuple[str, bool]]:
    """Yields the paragraphs, list items, table rows and headings, and whether each may be no sentence."""
    current: list[str] = []
    in_list = False
    for line in [*lines_made_equal(text).split("\n"), ""]:
        mark, heading = LIST_MARK.match(line), _HEADING.match(line)
        if mark or heading or not line.strip() or is_rule(line) or line.lstrip().startswith(("|", ">")):
            if current:
                yield "\n".join(current), in_list
            current, in_list = [], mark is not None
        if heading:
            yield line, True
        elif not is_rule(line) and line.strip():
            current.append(line[mark.end() :] if mark else line)


def _sentences(block: str) -> Iterator[str]:
    """Yields the sentences of a block that have a letter or a digit."""
    start = 0
    for end in _ends().finditer(block):
        if _ends_sentence(block, start, end):
            yield from _with_words(block[start : end.end()])
            start = end.end()
    yield from _with_words(block[start:])


def _with_words(sentence: str) -> Iterator[str]:
    if any(map(str.isalnum, sentence)):
        yield sentence


def _ends_sentence(block: str, start: int, end: Any) -> bool:  # noqa: ANN401 - regex has no types
    """Returns whether the marks at *end* end the sentence that begins at *start*."""
    closes = bool(end["close"])
    following = block[end.end() : end.end() + _LONGEST_WORD]
    if not following.strip():
        return True
    marks = end.group()[: len(end.group()) - len(end["close"])]
    spaced = following[0].isspace()
    if marks[0] not in _SPACED_ENDS:
        return spaced or not closes or not following[0].isalnum()
    if not spaced:
        return False
    found = _NEXT.match(following.lstrip())
    after = found.group(1) if found else ""
    if after[:1].islower() and (closes or marks[0] == "\u2026" or marks.startswith("..")):
        return False
    return marks != "." or closes or _full_stop(block[max(start, end.start() - _LONGEST_WORD) : end.start()], after)


def _full_stop(before: str, after: str) -> bool:
    """Returns whether a full stop between these texts ends a sentence.  *before* begins with the sentence."""
    table = _table()
    found = _WORD_BEFORE.search(before)
    word = (found.group() if found else "").lower()
    following = after.lower()
    if word.isdecimal():
        listed = before.strip() == word
        return not (listed or following in table.months)
    if word in table.abbreviations:
        return False
    if word in table.before_numbers and following[:1].isdecimal():
        return False
    if _ACRONYM.fullmatch(word) or (len(word) == 1 and word.isalpha() and word.isascii()) or word in table.ambiguous:
        return not after[:1].islower() and following in table.starters
    return True


@dataclass(frozen=True, slots=True)
class _Table:
    abbreviations: frozenset[str]
    before_numbers: frozenset[str]
    ambiguous: frozenset[str]
    starters: frozenset[str]
    months: frozenset[str]


@cache
def _table() -> _Table:
    words = common_words().sentences
    return _Table(
        frozenset(words.abbreviations),
        frozenset(words.before_numbers),
        frozenset(words.ambiguous),
        frozenset(words.starters),
        frozenset(words.months),
    )


@cache
def _ends() -> Any:  # noqa: ANN401 - regex has no types
    import regex

    return regex.compile(_END, regex.V1)
