"""Whether a value of ``goal_achieved`` means yes.  The words are in ``goal_value.toml``."""

import re
from dataclasses import dataclass
from functools import cache

from muses_eval.pipeline.families.meeting.clock_words import any_of
from muses_eval.pipeline.families.meeting.folded_text import folded
from muses_eval.pipeline.text.reply_parsing import first_value
from muses_eval.pipeline.word_tables import read_word_table

_VALUE_KEYS = ("value", "achieved", "goal_achieved", "status", "result", "answer", "done", "is_achieved")
_MAX_DEPTH = 3
_CHOICE = re.compile(r"\b(?:true|yes)\b\W{0,5}(?:or|/|\|)\W{0,5}\b(?:false|no)\b")
"""The alternatives of a template."""
_CHECK_MARKS = frozenset("✅✔☑👍")


@dataclass(frozen=True, slots=True)
class GoalWords:
    """All tables of ``goal_value.toml``."""

    yes: tuple[str, ...]
    no: tuple[str, ...]


@cache
def goal_words() -> GoalWords:
    """Returns the words, which are read once per process."""
    return read_word_table(GoalWords, __package__, "goal_value.toml")


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    words = goal_words()
    return re.compile(any_of(words.yes)), re.compile(any_of(words.no))


def is_true(value: object, depth: int = _MAX_DEPTH) -> bool:
    """Returns whether a JSON value means that the goal is achieved.

    Of a string, words of denial or doubt ("not yet", "partially") outweigh words of success; one without either means
    no.  A number means yes from 1 on.  Of an object, the value counts; of a list, its only entry.
    """
    if isinstance(value, str):
        plain = folded(value[:200])
        yes, no = _patterns()
        if no.search(plain) or _CHOICE.search(plain):
            return False
        return yes.search(plain) is not None or not _CHECK_MARKS.isdisjoint(plain)
    if isinstance(value, (bool, int, float)):
        return value >= 1
    if isinstance(value, dict) and depth:
        return is_true(first_value(value, _VALUE_KEYS), depth - 1)
    return isinstance(value, list) and len(value) == 1 and depth > 0 and is_true(value[0], depth - 1)
