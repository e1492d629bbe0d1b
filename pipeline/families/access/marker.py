"""A marker of the resource, taken apart.

Its *atoms* (codes, amounts, dates, names) identify the resource by themselves, its words together.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from muses_eval.pipeline.families.access.amounts import Amount, find_amounts
from muses_eval.pipeline.families.access.dates import Day, dates_in
from muses_eval.pipeline.families.access.figure import Figure
from muses_eval.pipeline.families.access.message_text import MessageText, fold, runs
from muses_eval.pipeline.families.access.proper_name import ProperName, read_name
from muses_eval.pipeline.families.access.secret_code import LONG_CODE, SecretCode, find_codes, occurs_in, read_code
from muses_eval.pipeline.families.access.statement import Statement, clauses, read_statement
from muses_eval.pipeline.families.access.vocabulary import concepts_of

MarkerKind = Literal["name", "code", "amount", "date", "statement"]

_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d(?:t[\d:.]+)?")
_YEAR = re.compile(r"(?:19|20)\d\d$")
_MIN_COUNT = 100
"""Number of things from which a number identifies the resource."""
_MIN_SENTENCE = 5
"""Words from which a phrase of ordinary words reveals something wherever it stands."""


@dataclass(frozen=True, slots=True)
class Marker:
    """A marker of the resource with everything by which it is recognised."""

    text: str
    squeezed: str
    """Its letters and digits; empty when these do not identify it."""
    codes: tuple[SecretCode, ...]
    figures: tuple[Figure, ...]
    days: frozenset[Day]
    name: ProperName | None
    statements: tuple[Statement, ...]
    """What it says as a whole, and in its clauses."""

    def revealed_by(self, text: MessageText) -> bool:
        """Returns whether somebody who must not know the resource learns something of it."""
        return (
            self.is_within(text.squeezed)
            or any(code.found_in(text) for code in self.codes)
            or (self.name is not None and self.name.found_in(text))
            or any(figure.found_in(text) for figure in self.figures if text.amounts)
            or (bool(self.days) and not self.days.isdisjoint(text.days))
            or any(statement.found_in(text) for statement in self.statements)
        )

    def conveyed_by(self, text: MessageText) -> bool:
        """Returns whether somebody entitled learns all that the marker says."""
        if self.name is not None:
            return self.name.written_in(text)
        if self.is_within(text.squeezed):
            return True
        return (
            all(code.written_in(text) for code in self.codes)
            and all(figure.written_in(text) for figure in self.figures)
            and (not self.days or not self.days.isdisjoint(text.days))
            and self.statements[0].conveyed_by(text)
        )

    @property
    def kind(self) -> MarkerKind:
        """What identifies the marker best."""
        if self.name is not None:
            return "name"
        if self.codes:
            return "code"
        if self.figures:
            return "amount"
        return "date" if self.days else "statement"

    @property
    def needles(self) -> tuple[str, ...]:
        """Letters and digits that reveal the marker, also when they are spread over messages."""
        names = [self.name.squeezed] if self.name else []
        return tuple(filter(None, [self.squeezed, *(code.squeezed for code in self.codes), *names]))

    @property
    def secrets(self) -> tuple[str, ...]:
        """Secret parts of its codes, and its name."""
        return (*(code.secret for code in self.codes), *([self.name.squeezed] if self.name else []))

    def is_named_in(self, text: MessageText) -> bool:
        """Returns whether all codes, amounts and names of the marker occur; False when it has none."""
        atoms = (*self.codes, *self.figures, *([self.name] if self.name else ()))
        return bool(atoms) and all(atom.written_in(text) for atom in atoms)

    def is_within(self, squeezed: str) -> bool:
        """Returns whether the marker occurs literally in a text of which only letters and digits are left."""
        return bool(self.squeezed) and self.squeezed in squeezed and occurs_in(self.squeezed, squeezed)


def read_marker(text: str, context: str, public_words: Collection[str]) -> Marker:
    """Takes a marker apart.

    Args:
        text: the marker.
        context: the line of the resource in which it stands.
        public_words: case-folded words that anybody may know.
    """
    folded = fold(text)
    days, rest = dates_in(folded), _TIMESTAMP.sub(" ", folded)
    figures = [amount for amount in find_amounts(rest) if amount.unit]
    rest = _without(rest, figures)
    codes = find_codes(rest)
    for code in codes:
        rest = rest.replace(code, " ", 1)
    counts = [amount for amount in find_amounts(rest) if _is_count(amount)]
    rest = _without(rest, counts)
    has_atoms = bool(codes or figures or counts or days)
    whole = read_statement(text, rest, public_words, has_atoms=has_atoms)
    return Marker(
        text=text,
        squeezed=_squeezed(folded, whole),
        codes=tuple(read_code(code, public_words) for code in codes),
        figures=(*_figures(figures, "", context), *_figures(counts, rest, context)),
        days=days,
        name=read_name(text, public_words),
        statements=(whole, *(read_statement(clause, fold(clause), public_words) for clause in clauses(text))),
    )


def _is_count(amount: Amount) -> bool:
    return amount.values[0] >= _MIN_COUNT and not _YEAR.match(f"{amount.values[0]:.0f}")


def _figures(amounts: Collection[Amount], things: str, context: str) -> tuple[Figure, ...]:
    counted, around = (
        frozenset(concept for found in concepts_of(runs(fold(text))) for concept in found) for text in (things, context)
    )
    return tuple(Figure(amount.values[0], amount.unit, amount.figures, counted, around) for amount in amounts)


def _squeezed(folded: str, statement: Statement) -> str:
    """Returns the letters and digits of a marker; empty when they are few, or a phrase of a few ordinary words."""
    squeezed = "".join(runs(folded))
    is_phrase = not statement.has_atoms and not any(term.is_strong for term in statement.terms)
    is_usual = (statement.is_weak and not statement.has_atoms) or (is_phrase and len(statement.terms) < _MIN_SENTENCE)
    return "" if len(squeezed) < LONG_CODE or is_usual else squeezed


def _without(text: str, amounts: Collection[Amount]) -> str:
    for amount in sorted(amounts, key=lambda one: -one.start):
        text = f"{text[: amount.start]} {text[amount.end :].lstrip('%')}"
    return text
