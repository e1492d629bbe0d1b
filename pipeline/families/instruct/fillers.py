"""Plain sentences in many languages, from which answers are built.

They stand in ``fillers.toml``, beside this module.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from muses_eval.pipeline.word_tables import read_words


@dataclass(frozen=True, slots=True)
class Fillers:
    """All tables."""

    capitals: tuple[str, ...]
    """English sentences that the detector takes for English even in capitals, from whichever seed."""
    letter_words: Mapping[str, str]
    """A word rich in each letter."""
    native: Mapping[str, tuple[str, ...]]
    """Sentences by the detector's language codes; the detector tells each apart from its neighbours."""


@cache
def fillers() -> Fillers:
    """The tables, read once a process."""
    return read_words(Fillers, __package__, "fillers.toml")
