"""Whether the words around a time take it back, put another time in its place, or settle on it.

"not Mon 9:00 but Tue 10:00", "moved from Mon 9:00 to Tue 10:00", "Mon 9:00 (cancelled), Tue 10:00", "Mon 9:00 -> Tue
10:00", "final: Tue 10:00".  The words are in ``retracted_times.toml``.
"""

import re
from dataclasses import dataclass
from functools import cache

from muses_eval.pipeline.families.meeting.clock_words import any_of
from muses_eval.pipeline.families.meeting.folded_text import folded
from muses_eval.pipeline.families.meeting.word_scanner import UNSPACED, words_in
from muses_eval.pipeline.word_tables import read_word_table

LOOK_BACK, LOOK_AHEAD = 60, 60
"""Number of characters before and after a time that are read."""
FINAL, PLAIN, SPARE = range(3)
"""Ranks of times: what a text settles on, other times, alternatives."""
_ARROW = re.compile(r"[\s*_~)\]]*(?:-+>|=+>|→|➔|➜|⟶|⇒|~>)\s*")
_STEM = 3
"""Number of letters by which most texts are seen to hold no denial."""
_Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RetractionWords:
    """All tables of ``retracted_times.toml``."""

    denials: _Words
    exceptions: _Words
    helpers: _Words
    moved: _Words
    from_: _Words
    to: _Words
    previous: _Words
    denied: _Words
    auxiliaries: _Words
    fits: _Words
    unavailable: _Words
    final: _Words
    spare: _Words


@cache
def retraction_words() -> RetractionWords:
    """Returns the words, which are read once per process."""
    return read_word_table(RetractionWords, __package__, "retracted_times.toml")


@dataclass(frozen=True, slots=True)
class _Patterns:
    denied_before: re.Pattern[str]
    exception_before: re.Pattern[str]
    replaced_before: re.Pattern[str]
    denied_after: re.Pattern[str]
    replaced_after: re.Pattern[str]
    unavailable_after: re.Pattern[str]
    moving_before: re.Pattern[str]
    to_after: re.Pattern[str]
    final_before: re.Pattern[str]
    final_after: re.Pattern[str]
    spare_before: re.Pattern[str]
    spare_after: re.Pattern[str]
    helpers: frozenset[str]
    denials: frozenset[str]
    """The first letters of the last words of all denials."""


def is_denied_before(text: str) -> bool:
    """Returns whether a text that ends directly before a time takes the time back."""
    patterns = _patterns()
    last = _last_word(text, patterns.helpers)
    may_deny = last[:_STEM] in patterns.denials or UNSPACED.match(last) is not None
    return bool((may_deny and patterns.denied_before.search(text)) or patterns.replaced_before.search(text))


def is_exception(text: str) -> bool:
    """Returns whether a text that ends directly before a time excepts it from a day: "Monday except at 9:00"."""
    return _patterns().exception_before.search(text) is not None


def is_denied_after(text: str, next_day: int | None, *, before: str) -> bool:
    """Returns whether a text that begins directly after a time takes the time back.

    *next_day*: offset in *text* of the next weekday; None when there is none.  *before*: the text before the time.
    """
    patterns = _patterns()
    if patterns.denied_after.match(text) or patterns.replaced_after.match(text):
        return True
    if next_day is None:
        return False
    if (arrow := _ARROW.match(text)) is not None:
        return arrow.end() >= next_day
    moved = patterns.to_after.match(text)
    return moved is not None and moved.end() >= next_day and bool(patterns.moving_before.search(before))


def rank(before: str, after: str) -> int:
    """Returns whether the texts around a time settle on it, or name it as an alternative."""
    patterns = _patterns()
    if patterns.final_before.search(before) or patterns.final_after.match(after):
        return FINAL
    spare = patterns.spare_before.search(before) or patterns.spare_after.match(after)
    return SPARE if spare or patterns.unavailable_after.match(after) else PLAIN


def _last_word(text: str, helpers: frozenset[str]) -> str:
    """Returns the last word that is no helper; empty when there is none."""
    return next((word for word in reversed(words_in(text)) if word not in helpers), "")


@cache
def _patterns() -> _Patterns:
    words = retraction_words()
    moved, previous, final, spare = (any_of(each) for each in (words.moved, words.previous, words.final, words.spare))
    helper = any_of(words.helpers)
    denial = any_of(word for word in words.denials if word != "n't")
    link = r"(?: (?:on|at|for|to|was|is|set|planned|proposed|suggested|agreed|the|time|slot|option|date|meeting)){0,4}"
    be = r"(?:which )?(?:(?:is|was|were|are|has been|had been|got|being)\s+)?(?:now )?"
    opening, mark = r"[\s*_~)\],:;=–—-]*[(\[]?\s*", r"[\s:*_(=–—-]{1,4}"
    auxiliary = rf"{any_of(words.auxiliaries)}(?:n't| not)|(?<![a-z])(?:{'|'.join(words.auxiliaries)})n't"
    helpers = frozenset(words.helpers)
    last_words = (_last_word(folded(word), helpers) for word in words.denials)
    return _Patterns(
        denied_before=re.compile(
            rf"(?:(?<!why ){denial}|n't)[\s:*_\"'(\[]{{0,3}}(?:{helper}\s+){{0,4}}[\"'*_(\[]{{0,3}}\s*$"
        ),
        exception_before=re.compile(rf"{any_of(words.exceptions)}\s*(?:{helper}\s+){{0,2}}$"),
        replaced_before=re.compile(
            rf"(?:{moved}[^.;\n]{{0,30}}{any_of(words.from_)}|[(,;]\s*(?:it )?was|{previous}{link})"
            r"\W{0,3}(?:(?:on|at|for|the)\s+){0,2}$"
        ),
        denied_after=re.compile(
            rf"{opening}(?:{be}{any_of(words.denied)}|(?:{auxiliary}) {any_of(words.fits)}|out[)\]]|[❌✗✘👎])"
        ),
        replaced_after=re.compile(rf"[\s*_,)]*{be}(?:been )?{moved}(?: back| forward| up)? {any_of(words.to)}"),
        unavailable_after=re.compile(rf"[\s,:(–—-]{{1,4}}(?:\w+ ){{0,2}}\w*\s?{any_of(words.unavailable)}"),
        moving_before=re.compile(rf"{moved}[^.;\n]{{0,40}}$"),
        to_after=re.compile(r"\W{0,3}(?:to|until|into)\s"),
        final_before=re.compile(rf"{final}{link}{mark}$"),
        final_after=re.compile(rf"[\s*_]*[(\[,:=–—-]{{0,2}}\s*(?:is |was )?(?:the )?{final}"),
        spare_before=re.compile(rf"{spare}{link}{mark}$"),
        spare_after=re.compile(rf"[\s*_]*[(\[,:=–—-]{{0,2}}\s*(?:is |was |as )?(?:the |a |an )?{spare}"),
        helpers=helpers,
        denials=frozenset(word[:_STEM] for word in last_words) | frozenset("t"),
    )
