"""The names of the weekdays, as a pattern and a look-up.

English names may be abbreviated or misspelt (``Weds``, ``Wedensday``).  The names of other languages are in
``weekday_names.toml``.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from muses_eval.pipeline.families.meeting.folded_text import folded
from muses_eval.pipeline.families.meeting.slot import DAYS
from muses_eval.pipeline.families.meeting.word_scanner import first_words
from muses_eval.pipeline.word_tables import read_word_table

_ENGLISH = rf"(?:{'|'.join(day.casefold() for day in DAYS)})(?:s|rs?|\w{{0,4}}days?)?(?![a-z])"
_CLOCK = r"\d{1,2}(?:[:.,h]\d\d(?!\d)|\s?(?:uhr|uur|h|u|hs|ч|시|時|点|點|बजे)(?![^\W\d_])|\s?[ap]\.?m)"
"""Beginning of a time that cannot be another number."""
_WEEK = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class WeekdayNames:
    """All tables of ``weekday_names.toml``, each with seven lists of names, Monday first."""

    names: _WEEK
    inner: _WEEK
    """Names that are also read inside longer words."""
    short: _WEEK
    """Abbreviations that are read only before a time."""
    alone: _WEEK
    """Abbreviations that are read only in a line of an abbreviation and a time."""

    def days(self) -> Mapping[str, int]:
        """Returns folded name -> weekday, 0 for Monday."""
        tables = (self.names, self.inner, self.short, self.alone)
        return {folded(name): day for table in tables for day, names in enumerate(table) for name in names}


@cache
def weekday_names() -> WeekdayNames:
    """Returns the names, which are read once per process."""
    return read_word_table(WeekdayNames, __package__, "weekday_names.toml")


def weekday_pattern() -> str:
    """Returns a pattern of a weekday in a folded text; the group ``day`` is its name."""
    tables = weekday_names()
    names, inner, short, alone = (_any_of(table) for table in (tables.names, tables.inner, tables.short, tables.alone))
    boundary = r"(?<![^\W\d_])"
    end = r"(?![^\W\d_])"
    return (
        rf"(?P<day>{boundary}(?:(?:{names})s?{end}|{_ENGLISH})|{inner}|\((?:{alone})\)"
        rf"|{boundary}(?:{short}){end}\.?(?=,?\s{{0,2}}(?:(?:a|as|a las|alle|um|om|at|o|в|kl)\.?\s)?{_CLOCK})"
        rf"|(?:(?<=\n)|\A)(?:{alone})\.?(?=,?\s{{0,2}}{_CLOCK}[^\w\n]{{0,3}}(?:uhr|uur)?(?:\n|\Z)))"
    )


def weekday_starts() -> tuple[frozenset[str], frozenset[str]]:
    """Returns the first words of names, and the first three letters of English names."""
    return first_words(_days()), frozenset(day.casefold() for day in DAYS)


@cache
def _days() -> Mapping[str, int]:
    return weekday_names().days()


def weekday(name: str) -> int:
    """Returns the weekday of a match of :func:`weekday_pattern`: 0 for Monday to 6 for Sunday."""
    plain = name.strip("().")
    day = _days().get(plain, _days().get(plain.removesuffix("s")))
    return DAYS.index(plain[:3].title()) if day is None else day


def _any_of(table: Sequence[Iterable[str]]) -> str:
    """Returns a pattern of all names of a table, longer ones first."""
    names = {folded(name) for day in table for name in day}
    return "|".join(re.escape(name) for name in sorted(names, key=lambda name: (-len(name), name)))
