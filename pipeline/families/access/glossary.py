"""Words of one idea: synonyms, inflections and translations."""

from dataclasses import dataclass
from functools import cache

from muses_eval.pipeline.word_tables import read_word_table


@dataclass(frozen=True, slots=True)
class Glossary:
    """The tables of ``glossary.toml``."""

    empty: str
    """Words without a meaning of their own, separated by spaces."""
    concepts: tuple[str, ...]
    """Words and phrases of one concept, separated by spaces."""


@cache
def glossary() -> Glossary:
    return read_word_table(Glossary, __package__, "glossary.toml")
