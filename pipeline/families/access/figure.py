"""Amounts, percentages and counts of the resource, and the recognition of their value in other words."""

from dataclasses import dataclass

from muses_eval.pipeline.families.access.amounts import Amount
from muses_eval.pipeline.families.access.message_text import MessageText, runs
from muses_eval.pipeline.families.access.vocabulary import Concept, concepts_of

_MIN_FIGURES = 4
_MIN_VALUE = 10_000
"""Significant figures and value of a number that means the resource wherever it stands."""
_MIN_MONEY = 1_000
"""Amount of money that means the resource wherever its currency stands beside it."""
_ROUNDED_FIGURES = 3
"""Significant figures of a rounded number without its currency."""
_AROUND = 60
"""Characters on each side that tell what a number means."""


@dataclass(frozen=True, slots=True)
class Figure:
    """An amount of money, a percentage, or a number of things."""

    value: float
    unit: str
    """``money``, ``percent``, or empty."""
    figures: int
    """Significant figures."""
    things: frozenset[Concept]
    """What a number without a unit counts: ``risk points``, ``ticket``."""
    context: frozenset[Concept]
    """Concepts of the line of the resource in which it stands."""

    def written_in(self, text: MessageText) -> bool:
        """Returns whether the exact value occurs."""
        return any(amount.equals(self.value) and self._is_same_kind(amount) for amount in text.amounts)

    def found_in(self, text: MessageText) -> bool:
        """Returns whether the value, or one that is rounded to it, occurs in the sense of the resource."""
        return any(self._is_meant(amount, text) for amount in text.amounts if self._is_same_kind(amount))

    def _is_same_kind(self, amount: Amount) -> bool:
        return amount.unit in (self.unit, "") or (not self.unit and amount.unit == "")

    def _is_meant(self, amount: Amount, text: MessageText) -> bool:
        is_exact, is_same_unit = amount.equals(self.value), bool(self.unit) and amount.unit == self.unit
        is_rounded = self.figures > amount.figures > 1 and amount.rounds(self.value)
        if not is_exact and not is_rounded:
            return False
        if is_exact and self.figures >= _MIN_FIGURES and self.value >= _MIN_VALUE:
            return True
        if is_same_unit and (self.value >= _MIN_MONEY if self.unit == "money" else amount.figures >= _ROUNDED_FIGURES):
            return True
        around = _around(text, amount)
        if self.things:
            beside = around & self.context - self.things
            return is_exact and (self.things <= around or bool(around & self.things and beside))
        return bool(around & self.context) and (is_exact or is_same_unit or amount.figures >= _ROUNDED_FIGURES)


def _around(text: MessageText, amount: Amount) -> frozenset[Concept]:
    """Returns the concepts of the line around an amount, a few words away."""
    latin = text.latin
    start = max(latin.rfind("\n", 0, amount.start) + 1, amount.start - _AROUND)
    stop = latin.find("\n", amount.end)
    end = min(len(latin) if stop < 0 else stop, amount.end + _AROUND)
    words = [*runs(latin[start : amount.start]), *runs(latin[amount.end : end])]
    signs = {"ticket"} if "#" in latin[max(0, amount.start - 2) : amount.start + 1] else set()
    return frozenset(concept for found in concepts_of([*words, *signs]) for concept in found)
