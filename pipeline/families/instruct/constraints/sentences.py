"""Splits English text into sentences and word tokens, like the released scorer.

Sentences are split by Punkt (Kiss and Strunk 2006) with NLTK's parameters for English newspapers, words by NLTK's Penn
Treebank tokenizer.  The parameters come from an installed package, so nothing is downloaded.  Both are loaded on first
use.
"""

import re
from functools import cache, lru_cache
from typing import Any

_LONG_GAP = re.compile(r"(\s)\s+(\s)")
_CACHED = 32
"""Number of texts whose sentences are cached, because both scorings count the same replies in succession."""


class _Counts(dict[str, int]):
    """Counts that are 0 for missing keys; unlike with ``defaultdict``, a lookup does not add an entry."""

    def __missing__(self, key: str) -> int:
        return 0


@lru_cache(maxsize=_CACHED)
def sentences(text: str) -> tuple[str, ...]:
    """Returns the sentences of a text, without the white space between them.  A line break does not end a sentence."""
    return tuple(_splitter().tokenize(text))


def tokens(text: str) -> list[str]:
    """Returns the word tokens of a text; punctuation and the halves of a contraction are tokens too."""
    found = []
    for sentence in sentences(text):
        # The middle of a long gap does not change the tokens, but costs the tokenizer quadratic time.
        found += _tokenizer().tokenize(_LONG_GAP.sub(r"\1\2", sentence))
    return found


@cache
def _splitter() -> Any:  # noqa: ANN401 - NLTK has no types
    import punkt
    from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

    trained = punkt.load_model("english")
    parameters = PunktParameters()
    parameters.abbrev_types = set(trained.abbrev_types)
    parameters.collocations = set(trained.collocations)
    parameters.sent_starters = set(trained.sent_starters)
    parameters.ortho_context = _Counts(trained.ortho_context)
    return PunktSentenceTokenizer(parameters)


@cache
def _tokenizer() -> Any:  # noqa: ANN401 - NLTK has no types
    from nltk.tokenize.destructive import NLTKWordTokenizer

    return NLTKWordTokenizer()
