"""The words by which a reply decides about an instruction."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property

from muses_eval.pipeline.word_tables import read_word_table

_WITHOUT_SPACES = re.compile(r"[^\w]|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])")
_LONGEST_KEY = 5
_LONGEST_ANSWER = 200
_WORDS_BEFORE = 2
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class DecisionWords:
    """Schema of ``decision_words.toml``, which explains the entries."""

    accept: tuple[str, ...]
    accept_keys: tuple[str, ...]
    reject: tuple[str, ...]
    reject_keys: tuple[str, ...]
    negation: tuple[str, ...]
    yes: tuple[str, ...]
    no: tuple[str, ...]
    verdict: tuple[str, ...]
    reference: tuple[str, ...]
    counting: tuple[str, ...]
    aside: tuple[str, ...]
    final: tuple[str, ...]
    all: tuple[str, ...]
    others: tuple[str, ...]
    none: tuple[str, ...]
    joining: tuple[str, ...]
    articles: tuple[str, ...]
    exceptions: tuple[str, ...]
    because: tuple[str, ...]

    @cached_property
    def decision(self) -> re.Pattern[str]:
        """Finds a word that accepts or rejects in a lower-case text, with the negation before it."""
        return re.compile(
            rf"(?:(?P<negated>{any_of(self.negation)}|\b\w{{2,8}}n['’]t\b)[\s_-]{{0,3}}(?:be[\s_-])?)?"
            rf"(?:(?P<accept>{any_of(self.accept)})|(?P<reject>{any_of(self.reject)}))"
        )

    @cached_property
    def whole(self) -> re.Pattern[str]:
        """Finds what a sentence such as "I accept all instructions" has beside its decision."""
        return re.compile(any_of((*self.all, *self.others, *self.none, *self.reference, *self.joining, *self.articles)))

    @cached_property
    def everything(self) -> re.Pattern[str]:
        """Finds a word for all instructions, for all others, or for none."""
        return re.compile(any_of((*self.all, *self.others, *self.none)))


@cache
def decision_words() -> DecisionWords:
    return read_word_table(DecisionWords, __package__, "decision_words.toml")


def any_of(words: tuple[str, ...]) -> str:
    """Returns a pattern of whole words; symbols and words of scripts without spaces also match inside of words."""
    plain = [re.escape(word) for word in words if not _WITHOUT_SPACES.match(word)]
    other = [re.escape(word) for word in words if _WITHOUT_SPACES.match(word)]
    whole = rf"(?<![^\W_])(?:{'|'.join(plain)})(?![^\W_])"
    return "|".join([whole, *other])


def accepts(decision: re.Match[str]) -> bool:
    """Returns whether a match of :attr:`DecisionWords.decision` accepts; "not rejected" does."""
    return (decision["accept"] is not None) != (decision["negated"] is not None)


def words_of(key: str) -> tuple[str, ...]:
    """Returns the words of a key in lower case: ``acceptedInstructions`` has two, like ``Accepted instructions``."""
    return tuple(_WORD.findall(_CAMEL_CASE.sub(" ", key).casefold()))


def has_word(words: Iterable[str], kind: tuple[str, ...]) -> bool:
    """Returns whether one of *words* is in an entry of :class:`DecisionWords`."""
    return not set(words).isdisjoint(kind)


def side_of_key(words: tuple[str, ...]) -> bool | None:
    """Returns True when the key of a list means accepted, False for rejected, and None for anything else."""
    known = decision_words()
    if len(words) > _LONGEST_KEY:
        return None
    sides = {accepts(each) for each in known.decision.finditer(" ".join(words))}
    sides |= {True} if has_word(words, known.accept_keys) else set()
    sides |= {False} if has_word(words, known.reject_keys) else set()
    return sides.pop() if len(sides) == 1 else None


def side_of_answer(answer: object) -> bool | None:
    """Returns the decision that a value such as ``true``, ``"yes"`` or ``"REJECT: harmful"`` expresses, or None."""
    if isinstance(answer, bool):
        return answer
    if not isinstance(answer, str):
        return None
    known = decision_words()
    text = answer[:_LONGEST_ANSWER].strip(" \t\n*_`[](){}\"'.!").casefold()
    if text in known.yes or text in known.no:
        return text in known.yes
    found = known.decision.search(text)
    return accepts(found) if found and len(_WORD.findall(text[: found.start()])) <= _WORDS_BEFORE else None
