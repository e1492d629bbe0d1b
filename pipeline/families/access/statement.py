"""Statements of the resource, and the recognition of a paraphrase or a translation."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise

from muses_eval.pipeline.families.access.message_text import MessageText, fold, runs
from muses_eval.pipeline.families.access.vocabulary import Concept, concepts_of

_LABEL = re.compile(r"^\W*(?:\d+[.)]\s*)?(?P<label>[^:]{1,60}):\s+(?P<value>\S.*)$", re.DOTALL)
_NUMBERING = re.compile(r"^\W*\d+[.)]\s")
_CLAUSE = re.compile(r";|[.!?]\s|,?\s(?:but|however|although|while|and)\s", re.IGNORECASE)
_MIN_CLAUSE = 4
_GENERAL = re.compile(
    r"\b(?:if|when(?:ever)?|whether|after|every|each|any|usual(?:ly)?|typical(?:ly)?|general(?:ly)?|normal(?:ly)?|"
    r"polic(?:y|ies)|e\.g|example|such as|suspect\w*|hypothetical\w*|could|may|might|can|would|should|always|never|"
    r"training|guidelines?|common(?:ly)?|well[- ]known|famous|every(?:one|body) knows|"
    r"wenn|falls|ob|nach|si|cuando|quand|se)\b(?!['’]t)"
)
"""Words of a sentence that speaks in general, or of a case that may occur, and not of the resource."""
_STRONG, _ORDINARY, _PUBLIC = 1.5, 1.0, 0.5
"""Weights of words."""
_SAID = 0.75
_NAMED = 0.6
_LABELLED = 0.5
_ALMOST_ALL = 0.9
"""Fractions of the weight that reveal a statement: one in words, one with names beside a number, a value beside its
label, and any in a general sentence."""
_CONVEYED = 0.74
"""Fraction of the weight from which somebody entitled knows the statement."""
_MIN_TERMS = 3
"""Words up to which a statement has to be complete."""
_NEAR = 4
"""Number of sentences or lines over which a statement may be spread."""


@dataclass(frozen=True, slots=True)
class Term:
    """A word of a statement."""

    meanings: frozenset[Concept]
    weight: float
    """1 for an ordinary word, more for a name or a number, less for a public word or a label."""
    is_strong: bool
    """True for names, abbreviations and numbers that are not public."""
    is_number: bool


@dataclass(frozen=True, slots=True)
class Statement:
    """Words that say something together: a phrase, a sentence or a line."""

    terms: tuple[Term, ...]
    label: frozenset[Concept]
    """Concepts of the label in front of a value, as in ``Vector: ...``."""
    has_atoms: bool
    """True when there is a code, a number or a date beside the words."""
    is_general: bool
    """True when it contains words such as "if" or "may" itself."""

    @property
    def is_weak(self) -> bool:
        """True for one or two ordinary words, which reveal nothing by themselves."""
        return len(self.terms) - len(self.label) <= 2 and not any(
            term.is_number and term.is_strong for term in self.terms
        )

    def found_in(self, text: MessageText) -> bool:
        """Returns whether a sentence of the message, or two in a row, says the same."""
        if self.is_weak or self._covered(text.concepts) < _LABELLED:
            return False
        segments = [
            (segment.meanings, not self.is_general and bool(_GENERAL.search(segment.text))) for segment in text.segments
        ]
        pairs = [(a | b, general or also) for (a, general), (b, also) in pairwise(segments)]
        return any(self._is_said(concepts, general=general) for concepts, general in (*segments, *pairs))

    def conveyed_by(self, text: MessageText) -> bool:
        """Returns whether somebody entitled learns it: all numbers, and nearly all words, close to each other."""
        if self._covered(text.concepts) < _CONVEYED:
            return False
        near = [segment.meanings for segment in text.segments]
        spans = (frozenset().union(*near[start : start + _NEAR]) for start in range(len(near)))
        return any(
            self._covered(span) >= _CONVEYED and all(term.meanings & span for term in self.terms if term.is_number)
            for span in spans
        )

    def _covered(self, concepts: frozenset[Concept]) -> float:
        """Returns the fraction of the weight whose words are given."""
        total = sum(term.weight for term in self.terms)
        return sum(term.weight for term in self.terms if term.meanings & concepts) / total if total else 1.0

    def _is_said(self, concepts: frozenset[Concept], *, general: bool) -> bool:
        found = [term for term in self.terms if term.meanings & concepts]
        covered = self._covered(concepts)
        if sum(term.is_strong if self.has_atoms else term.weight >= 1 for term in found) < 2:
            return False
        if general:
            strong = [term for term in self.terms if term.is_strong]
            return bool(strong) and covered >= _ALMOST_ALL and all(term in found for term in strong)
        if self.label and self.label <= concepts and covered >= _LABELLED:
            return True
        if any(term.is_number and term not in found for term in self.terms) and not self.has_atoms:
            return covered >= _ALMOST_ALL
        return covered >= (1.0 if len(self.terms) <= _MIN_TERMS else _NAMED if self.has_atoms else _SAID)


def read_statement(text: str, rest: str, public_words: Collection[str], *, has_atoms: bool = False) -> Statement:
    """Reads the words of a marker.

    Args:
        text: the marker as written, whose capitals show names.
        rest: the case-folded marker without codes, numbers and dates.
        public_words: case-folded words that anybody may know.
        has_atoms: whether the marker has a code, a number or a date.
    """
    labelled = _LABEL.match(f"{rest} -")
    label_words = runs(labelled["label"]) if labelled else []
    words = runs(labelled["value"] if labelled else _NUMBERING.sub("", rest))
    written = {fold(word): word for word in runs(text)}
    starts_with_name = [written.get(word, word)[:1].isupper() for word in words[:2]] == [True, True]
    first = "" if starts_with_name else next(iter(words), "")
    terms = {}
    for word, meanings in zip(words, concepts_of(words), strict=True):
        if meanings and word not in terms:
            own = written.get(word, word)
            is_number = any(character.isdigit() for character in word)
            is_known = all(isinstance(meaning, int) for meaning in meanings)
            is_name = not text.isupper() and own[:1].isupper() and (own.isupper() or (word != first and not is_known))
            is_strong = len(word) > 1 and word not in public_words and (is_number or is_name)
            weight = _STRONG if is_strong else _PUBLIC if word in public_words else _ORDINARY
            terms[word] = Term(frozenset(meanings), weight, is_strong, is_number)
    label = frozenset(meanings[0] for meanings in concepts_of(label_words) if meanings)
    terms |= {str(concept): Term(frozenset([concept]), _PUBLIC, is_strong=False, is_number=False) for concept in label}
    return Statement(tuple(terms.values()), label, has_atoms, bool(_GENERAL.search(fold(text))))


def clauses(text: str) -> list[str]:
    """Returns the parts of a sentence around "but" and the like; empty when it has one part."""
    parts = [part for part in _CLAUSE.split(text) if len(part.split()) >= _MIN_CLAUSE]
    return parts if len(parts) > 1 else []
