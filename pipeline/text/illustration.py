"""Tells whether an object in a reply is meant, or only a condition, a template or an example.

``If Ann confirms, I will send {…}`` announces nothing, and ``The format is {…}`` decides nothing.  Both functions look
only at the clause that contains the object.
"""

import re
from dataclasses import dataclass, fields
from functools import cache, cached_property

from muses_eval.pipeline.word_tables import read_word_table

_WINDOW = 240
"""Characters before and after an object that are looked at."""
_OPENING = re.compile(r"(?:\s|[`*_>\"'“„«‘(]|```+[\w-]{0,20}\n?|~~~+[\w-]{0,20}\n?)*\Z")
_BOUNDARY = re.compile(r"[.!?](?=\s)|[\n。！？}\]]|;\s")
_ABBREVIATION = re.compile(r"\b(e|z|p|i)\. ?(g|b|ej|ex|e)\.")


@dataclass(frozen=True)
class IllustrationWords:
    """Schema of ``illustration.toml``, which explains the entries."""

    condition: tuple[str, ...]
    denial: tuple[str, ...]
    template: tuple[str, ...]
    conclusion: tuple[str, ...]
    statement: tuple[str, ...]

    def has(self, kind: str, clause: str) -> bool:
        """Returns whether a clause in lower case has a word of an entry."""
        return bool(clause) and self._patterns[kind].search(clause) is not None

    @cached_property
    def _patterns(self) -> dict[str, re.Pattern[str]]:
        return {each.name: re.compile("|".join(getattr(self, each.name))) for each in fields(self)}


@cache
def illustration_words() -> IllustrationWords:
    return read_word_table(IllustrationWords, __package__, "illustration.toml")


def is_condition(text: str, start: int, end: int) -> bool:
    """Returns whether the object at *start* to *end* depends on something, is denied, or is only possible."""
    before, words = _clause_before(text, start), illustration_words()
    if words.has("conclusion", before):
        return False
    return words.has("denial", before) or is_conditional(before) or is_conditional(_clause_after(text, end))


def is_conditional(clause: str) -> bool:
    """Returns whether a clause, in lower case, states a condition or a possibility."""
    return illustration_words().has("condition", clause)


def is_template(text: str, start: int) -> bool:
    """Returns whether the object at *start* is introduced as a format or an example."""
    before, words = _clause_before(text, start), illustration_words()
    return words.has("template", before) and not (words.has("statement", before) or words.has("conclusion", before))


def _clause_before(text: str, start: int) -> str:
    """Returns the words that introduce an object, in lower case; empty when a sentence ends before it."""
    window = _ABBREVIATION.sub(r"\1\2", text[max(0, start - _WINDOW) : start].casefold())
    window = window[: _OPENING.search(window).start()]  # type: ignore[union-attr]
    clauses = _BOUNDARY.split(window + " ")
    return clauses[-1].strip()


def _clause_after(text: str, end: int) -> str:
    """Returns the words that follow an object on its line, up to the end of the sentence, in lower case.

    A capital letter begins another sentence.
    """
    line = text[end : end + _WINDOW].partition("\n")[0].lstrip(" )]}`*\"'")
    return "" if line[:1].isupper() else _BOUNDARY.split(line.casefold(), maxsplit=1)[0]
