"""Sentences and word tokens of English text.

Sentences are those of Punkt (Kiss and Strunk 2006) with the parameters trained on English newspapers that come with
NLTK, word tokens those of NLTK's tokenizer in the tradition of the Penn Treebank.  Both are what the released scorer
counts with; nothing is downloaded, for the parameters come as an installed package.  Loaded on first use.
"""

import re
from functools import cache, lru_cache
from typing import Any

_LONG_GAP = re.compile(r"(\s)\s+(\s)")
_REMEMBERED = 32
"""Texts whose sentences are kept, since both scorings count the same replies one after the other."""


class _Counts(dict[str, int]):
    """Counts that are 0 where nothing was seen; looking does not add an entry, unlike a ``defaultdict``."""

    def __missing__(self, key: str) -> int:
        return 0


@lru_cache(maxsize=_REMEMBERED)
def sentences(text: str) -> tuple[str, ...]:
    """The sentences of a text without the white space between them.  A line break alone ends no sentence."""
    return tuple(_splitter().tokenize(text))


def tokens(text: str) -> list[str]:
    """The word tokens of a text; punctuation and the halves of a contraction are tokens too."""
    found = []
    for sentence in sentences(text):
        # The middle of a long gap tells the tokenizer nothing, but costs it quadratic time.
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
