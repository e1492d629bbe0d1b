"""Whether a reply quotes an object as a format or a plan, instead of stating it.

"I will output {...} once all agree", "if everybody agrees: {...}", "I must respond in this format: {...}".  The words
are in ``quotation_words.toml``.
"""

import re
from dataclasses import dataclass
from functools import cache

from muses_eval.pipeline.families.meeting.clock_words import any_of
from muses_eval.pipeline.families.meeting.folded_text import folded
from muses_eval.pipeline.text.reply_parsing import Span, plain_key
from muses_eval.pipeline.word_tables import read_word_table

_CONTEXT = 240
"""Number of characters around an object in which the words of its sentence are read."""
_SENTENCE_END = re.compile(r"[.!?。！？]\s|\n\s*\n|[}\]]")
_FENCE = re.compile(r"`+\w*")
_Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QuotationWords:
    """All tables of ``quotation_words.toml``."""

    conditions: _Words
    settled: _Words
    agreed: _Words
    perfect: _Words
    to_come: _Words
    agrees: _Words
    examples: _Words
    instructions: _Words
    formats: _Words
    refusals: _Words
    announcing: _Words
    keys_begin: _Words
    keys_end: _Words


@dataclass(frozen=True, slots=True)
class _Patterns:
    condition: re.Pattern[str]
    settled: re.Pattern[str]
    to_come: re.Pattern[str]
    afterwards: re.Pattern[str]
    quoting: re.Pattern[str]
    keys: tuple[_Words, _Words]


def is_quoted(text: str, span: Span, previous: int) -> bool:
    """Returns whether the sentence around an object quotes it or makes it depend on a condition.

    *previous*: end of the object before it in *text*, or 0.
    """
    patterns = _patterns()
    before = _last_sentence(_FENCE.sub(" ", folded(text[max(previous, span.start - _CONTEXT) : span.start])))
    if patterns.quoting.search(before):
        return True
    if patterns.condition.search(before) or patterns.afterwards.search(before):
        return patterns.settled.search(before) is None or patterns.to_come.search(before) is not None
    after = _continuation(_FENCE.sub(" ", text[span.end : span.end + _CONTEXT]))
    return patterns.condition.match(after) is not None or patterns.afterwards.match(after) is not None


def is_quoting_key(key: str) -> bool:
    """Returns whether the object under a key is an example, a condition or a thought."""
    begin, end = _patterns().keys
    plain = plain_key(key[:_CONTEXT])
    return plain.startswith(begin) or plain.endswith(end)


def _last_sentence(text: str) -> str:
    """Returns the sentence in which a text ends; empty when it ends with a complete one."""
    return _SENTENCE_END.split(f"{text.rstrip()} " if text.rstrip()[-1:] in ".!?。！？" else text.rstrip())[-1]


def _continuation(text: str) -> str:
    """Returns the rest of a sentence that goes on after an object, folded; empty when another one begins."""
    if text.lstrip(" ")[:1] == "\n":
        return ""
    rest = _SENTENCE_END.split(text)[0].partition("\n")[0].lstrip(" ,:;\"'*)–—-")
    return "" if rest[:1].isupper() else folded(rest)


@cache
def _patterns() -> _Patterns:
    words = read_word_table(QuotationWords, __package__, "quotation_words.toml")
    gap = r"[^,:;]{0,60}"
    perfect = "".join(rf"(?<!\b{word} )" for word in words.perfect)
    format_ = any_of(words.formats)
    return _Patterns(
        condition=re.compile(any_of(words.conditions)),
        settled=re.compile(rf"{any_of(words.settled)} {gap}{perfect}{any_of(words.agreed)}"),
        to_come=re.compile(rf"{any_of(words.to_come)}|'ll\b"),
        afterwards=re.compile(rf"\bafter {gap}(?:{any_of(words.agrees)}|\bha(?:s|ve) \w+)"),
        quoting=re.compile(
            rf"{any_of(words.examples)}|{any_of(words.instructions)}[^.:]{{0,60}}{format_}"
            r"|\b(?:the|this|following|required) (?:format|structure|syntax) (?:is|will be|looks|should|must|of|for)\b"
            rf"|{any_of(words.refusals)} {any_of(words.announcing)}"
        ),
        keys=(words.keys_begin, words.keys_end),
    )
