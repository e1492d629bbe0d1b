"""Names of people, companies and projects."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from muses_eval.pipeline.families.access.message_text import MessageText, fold, runs
from muses_eval.pipeline.families.access.secret_code import disguises, divided
from muses_eval.pipeline.families.access.vocabulary import concepts_of_word

_WORD = re.compile(r"(?:[A-Z]\.|[A-Z][\w'’]+(?:-[A-Z][\w'’]+)*)$")
_MAX_WORDS = 3
_MIN_WORD = 5
"""Letters of a word that stands for the whole name."""
_MIN_DISGUISED = 7
_DIGITS_FOR_LETTERS = str.maketrans("013457l", "oieasti")
"""Letters that digits stand for, as in ``v3lm0ra``; ``1`` is an i or an l."""
_COMPANY_WORDS = frozenset(
    {"systems", "marine", "optics", "foods", "robotics", "textiles", "energy", "freight", "analytics", "ceramics"}
    | {"pharma", "glassworks", "rail", "polymers", "seeds", "press", "telecom", "timber", "aviation", "foundry", "bank"}
    | {"inc", "corp", "ltd", "gmbh", "group", "labs", "technologies", "solutions", "holdings", "industries", "partners"}
)
"""Words that many names share."""
_PROJECT_WORDS = ("Operation", "Project")


@dataclass(frozen=True, slots=True)
class ProperName:
    """The name of a person, a company or a project."""

    squeezed: str
    distinctive: str
    """A word of the name that is enough by itself; may be empty."""

    def written_in(self, text: MessageText) -> bool:
        """Returns whether the name occurs, or the word that stands for it."""
        if self.distinctive and self.distinctive in text.tokens:
            return True
        return self.squeezed in text.squeezed and bool(divided(self.squeezed).search(text.latin))

    def found_in(self, text: MessageText) -> bool:
        """Returns whether the name occurs, also with digits for letters, from right to left or with rotated letters."""
        if self.written_in(text) or any(map(self._is_written_with_digits, text.tokens if text.has_numbers else ())):
            return True
        return len(self.squeezed) >= _MIN_DISGUISED and any(form in text.squeezed for form in disguises(self.squeezed))

    def _is_written_with_digits(self, token: str) -> bool:
        if token.isalpha() or token.isdigit():
            return False
        plain = token.translate(_DIGITS_FOR_LETTERS)
        return plain in {form.translate(_DIGITS_FOR_LETTERS) for form in (self.distinctive, self.squeezed) if form}


def read_name(text: str, public_words: Collection[str]) -> ProperName | None:
    """Returns the name that a text is; None when it is none, or a public one."""
    words = text.split()
    if not 1 <= len(words) <= _MAX_WORDS or not all(map(_WORD.match, words)):
        return None
    folded = [fold(word).strip(".") for word in words]
    unknown = [word for word in folded if all(isinstance(c, str) for c in concepts_of_word(word))]
    if not set(unknown) - set(public_words) - _COMPANY_WORDS:
        return None
    squeezed = "".join(run for word in folded for run in runs(word))
    own = [
        word
        for word in folded
        if len(word) > _MIN_WORD - 1 and word in unknown and word not in _COMPANY_WORDS and word not in public_words
    ]
    single = own[-1] if own and (len(own) == 1 or not words[0].startswith(_PROJECT_WORDS)) else ""
    return ProperName(squeezed, single if single.isalpha() else "")
