"""Plain sentences in many languages, read from ``fillers.toml``, from which the solver builds answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from muses_eval.pipeline.word_tables import read_word_table


@dataclass(frozen=True, slots=True)
class Fillers:
    """All tables of ``fillers.toml``."""

    capitals: tuple[str, ...]
    """English sentences that the language detector classifies as English even in capitals, with every seed."""
    letter_words: Mapping[str, str]
    """Letter -> a word that contains it often."""
    native: Mapping[str, tuple[str, ...]]
    """Language code of the detector -> sentences, which it does not confuse with related languages."""


@cache
def fillers() -> Fillers:
    """Returns the tables, which are read once per process."""
    return read_word_table(Fillers, __package__, "fillers.toml")
