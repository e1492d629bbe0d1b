"""What an answer, or a part of one, says of a proposed time: yes, no, or nothing yet.

The words are in ``stance.toml``.  A phrase such as "no problem" or "I don't see why not" is a yes, although it holds a
word of denial; "not ideal" and "if need be" are a reluctant yes; "I'd rather not" is a no; "let me check" is neither.
"""

import re
from dataclasses import dataclass
from enum import Enum
from functools import cache

from muses_eval.pipeline.families.meeting.clock_words import any_of
from muses_eval.pipeline.families.meeting.folded_text import folded
from muses_eval.pipeline.families.meeting.word_scanner import UNSPACED, first_words, words_in
from muses_eval.pipeline.word_tables import read_word_table

_YES_SIGNS = re.compile("[👍✅👌🙌✔☑🆗💯🤝]|(?<![^\\W_])\\+1(?!\\d)")
_NO_SIGNS = re.compile("[❌✗✘👎🚫🙅⛔]|(?<![^\\W_])-1(?!\\d)")
_QUESTION = re.compile(
    r"[^?]*\?\W*|\W*(?:could|can|would|does|do|did|is|are|shall|should|may|will|how|what|when|which|why|whose|who|where)\b.*",
    re.DOTALL,
)
_ASKING = re.compile(r"\?\W*\Z")
_CONTRACTION = re.compile(r"\b(?P<will>won't)|\b(?P<can>can't|cannot)|n't\b")
_IF_NOT = re.compile(r"\b(?:if|in case)\b(?=[^,.;?]*\b(?:not|no|none|neither)\b).*", re.DOTALL)
"""A condition such as "if those do not fit", which denies nothing."""
_Words = tuple[str, ...]


_Vocabulary = frozenset[str] | None


class Stance(Enum):
    """A statement about a time; the value is (consent, weight), of which the higher weight prevails."""

    YES = (True, 3)
    NO = (False, 3)
    OPEN = (None, 2)
    """Not decided yet, or a question."""
    OCCUPIED = (False, 2)
    """A reason against the time: "I have a call then"."""
    WISH = (True, 1)
    """"I would love to"."""
    PROPOSAL = (True, 0)
    """The speaker's own proposal: "could we do Monday?"."""
    RELUCTANT = (True, 0.5)
    """"Not ideal"; also the mere name of a time."""

    @property
    def consents(self) -> bool | None:
        consents: bool | None = self.value[0]
        return consents

    def prevails_over(self, other: "Stance | None", *, contrast: bool) -> bool:
        """Returns whether a later statement outweighs an earlier one; *contrast*: after a word such as "but"."""
        if other is None or self.value[1] >= other.value[1]:
            return True
        return contrast and self is not Stance.OCCUPIED


@dataclass(frozen=True, slots=True)
class StanceWords:
    """All tables of ``stance.toml``."""

    double_negatives: _Words
    reluctant: _Words
    yes: _Words
    yes_alone: _Words
    wish: _Words
    open: _Words
    no: _Words
    occupied: _Words
    proposing: _Words
    instead: _Words
    contrast: _Words
    elsewhere: _Words
    splitting: _Words
    condition: _Words
    absence: _Words
    fillers: _Words
    obstacles: _Words


@dataclass(frozen=True, slots=True)
class PhraseTable:
    """Phrases of one kind, as a pattern for folded texts with contractions written out."""

    pattern: re.Pattern[str]
    starts: frozenset[str]
    """First words of all phrases, by which most texts are seen to hold none."""
    stems: tuple[str, ...]
    """Beginnings of first words."""

    def search(self, text: str, words: _Vocabulary = None) -> bool:
        """Returns whether a text has one of the phrases; *words*: see :func:`_vocabulary`."""
        return self._may_match(words) and self.pattern.search(text) is not None

    def match(self, text: str) -> bool:
        return self.pattern.match(text) is not None

    def without(self, text: str, words: _Vocabulary) -> str:
        return self.pattern.sub(" ", text) if self._may_match(words) else text

    def _may_match(self, words: _Vocabulary) -> bool:
        if words is None or not self.starts.isdisjoint(words):
            return True
        return bool(self.stems) and any(word.startswith(self.stems) for word in words)


@dataclass(frozen=True, slots=True)
class StanceTables:
    """The tables of :class:`StanceWords`, as patterns."""

    double_negatives: PhraseTable
    reluctant: PhraseTable
    yes: PhraseTable
    yes_alone: frozenset[str]
    wish: PhraseTable
    open: PhraseTable
    no: PhraseTable
    occupied: PhraseTable
    proposing: PhraseTable
    instead: PhraseTable
    contrast: PhraseTable
    elsewhere: PhraseTable
    splitting: PhraseTable
    condition: PhraseTable


def phrase_table(phrases: _Words) -> PhraseTable:
    """Returns the pattern of phrases, in which contractions such as "can't" are written out."""
    plain = [expanded(folded(phrase)) for phrase in phrases]
    stems = tuple(phrase.removesuffix("*") for phrase in plain if phrase.endswith("*"))
    return PhraseTable(re.compile(any_of(plain)), first_words(plain), stems)


@cache
def stance_words() -> StanceWords:
    """Returns the words, which are read once per process."""
    return read_word_table(StanceWords, __package__, "stance.toml")


@cache
def stance_tables() -> StanceTables:
    words = stance_words()

    no_obstacle = rf"{any_of(words.absence)}(?:\s{any_of(words.fillers)}){{0,4}}\s{any_of(words.obstacles)}"
    return StanceTables(
        double_negatives=PhraseTable(
            re.compile(f"{phrase_table(words.double_negatives).pattern.pattern}|{no_obstacle}"),
            first_words([*map(expanded, map(folded, words.double_negatives)), *words.absence]),
            (),
        ),
        reluctant=phrase_table(words.reluctant),
        yes=phrase_table(words.yes),
        yes_alone=frozenset(map(folded, words.yes_alone)),
        wish=phrase_table(words.wish),
        open=phrase_table(words.open),
        no=phrase_table(words.no),
        occupied=phrase_table(words.occupied),
        proposing=phrase_table(words.proposing),
        instead=phrase_table(words.instead),
        contrast=phrase_table(words.contrast),
        elsewhere=phrase_table(words.elsewhere),
        splitting=phrase_table(words.splitting),
        condition=phrase_table(words.condition),
    )


def is_double_negative(text: str) -> bool:
    """Returns whether a folded text has a phrase such as "no problem" or "I can't say no"."""
    return stance_tables().double_negatives.search(expanded(text))


def denies(text: str) -> bool:
    """Returns whether an expanded text without idioms holds a word or a sign of refusal."""
    return stance_tables().no.search(text) or _NO_SIGNS.search(text) is not None


def is_question(text: str) -> bool:
    """Returns whether a folded text ends with a question mark."""
    return _ASKING.search(text) is not None


def is_proposal(text: str) -> bool:
    """Returns whether a folded sentence proposes something in the form of a question: "could we look at Monday?"."""
    return _ASKING.search(text) is not None and stance_tables().proposing.search(text)


def stance_of(text: str) -> Stance | None:
    """Returns what a folded text, such as a clause, says; None when it says neither yes nor no."""
    tables, plain = stance_tables(), expanded(text)
    words = _vocabulary(plain)
    rest = tables.double_negatives.without(plain, words)
    affirmed = rest != plain
    plain, rest = rest, tables.reluctant.without(rest, words)
    reluctant = rest != plain
    plain, rest = rest, tables.open.without(rest, words)
    undecided = rest != plain
    rest = _IF_NOT.sub(" ", rest)
    if tables.no.search(rest, words) or _NO_SIGNS.search(rest):
        return Stance.NO
    if undecided:
        return Stance.OPEN
    if affirmed:
        return Stance.YES
    if _QUESTION.fullmatch(rest) and (_ASKING.search(rest) or tables.proposing.search(rest, words)):
        return Stance.PROPOSAL if tables.proposing.search(rest, words) else Stance.OPEN
    return _plain_stance(rest, words) or (Stance.RELUCTANT if reluctant else None)


def _plain_stance(rest: str, words: _Vocabulary) -> Stance | None:
    """Returns what a text without idioms and denials says."""
    tables = stance_tables()
    if tables.yes.search(rest, words) or _YES_SIGNS.search(rest) or _is_yes_alone(rest):
        return Stance.WISH if tables.wish.search(rest, words) else Stance.YES
    if tables.occupied.search(rest, words):
        return Stance.OCCUPIED
    return Stance.WISH if tables.wish.search(rest, words) else None


def _is_yes_alone(text: str) -> bool:
    plain = text.strip(" .!,*_~()")
    tables = stance_tables()
    return plain in tables.yes_alone or tables.contrast.pattern.sub("", plain, count=1).lstrip() in tables.yes_alone


def _vocabulary(text: str) -> _Vocabulary:
    """Returns the words of a text; None when some are in a script without spaces, so that any phrase may occur."""
    return None if not text.isascii() and UNSPACED.search(text) else frozenset(words_in(text))


def expanded(text: str) -> str:
    """Returns a folded text with "not" for its contractions, so that "can't" and "can not" are one."""
    if "n't" not in text and "cannot" not in text:
        return text
    return _CONTRACTION.sub(lambda found: "will not" if found["will"] else "can not" if found["can"] else " not", text)
