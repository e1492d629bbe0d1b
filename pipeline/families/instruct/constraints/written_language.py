"""Whether a text is written in a language, as a reader who knows the language would say.

The script tells many languages.  For the others the released scorer's detector is asked, and the frequent words of the
languages when it errs, as it does in short texts: it takes ``OK.`` for Slovak and ``yes`` for Turkish.  A text with
no evidence against a language (``OK.``, a Latin name) is accepted.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from muses_eval.pipeline.families.instruct.constraints.common_words import languages_of_words
from muses_eval.pipeline.families.instruct.constraints.languages import likely_languages
from muses_eval.pipeline.families.instruct.constraints.visible_text import visible, without_code
from muses_eval.pipeline.families.instruct.constraints.words import count_words, words

_SCRIPTS: Mapping[str, str] = {
    "ar": "Arabic", "bg": "Cyrillic", "bn": "Bengali", "el": "Greek", "fa": "Arabic", "gu": "Gujarati", "he": "Hebrew",
    "hi": "Devanagari", "ja": "Japanese", "kn": "Kannada", "ko": "Hangul", "mk": "Cyrillic", "ml": "Malayalam",
    "mr": "Devanagari", "ne": "Devanagari", "pa": "Gurmukhi", "ru": "Cyrillic", "ta": "Tamil", "te": "Telugu",
    "th": "Thai", "uk": "Cyrillic", "ur": "Arabic", "zh-cn": "Han", "zh-tw": "Han",
}  # fmt: skip
"""Language -> its script; the script of the others is Latin."""

_SHARED = frozenset(("Latin", "Cyrillic", "Arabic", "Devanagari"))
"""Scripts of several languages."""
_CLASSES: Mapping[str, str] = {
    "Japanese": r"\p{Han}\p{Hiragana}\p{Katakana}",
    "Hangul": r"\p{Hangul}",
}
_OWN_SHARE = 0.6
"""Least share of words in the script of the language: names and terms may be in Latin letters."""
_FOREIGN_SHARE = 0.25
"""Greatest share of letters in sentences of another language."""
_LETTERS_OF_A_SENTENCE = 12
_SHORT = 40
"""Number of letters from which on the detector is believed even if no word is known."""
_MOST_PARTS = 200

_ADDRESS = re.compile(r"https?://\S+|www\.\S+|(?<!\S)[^\s@]++@\S+")
_NOT_ENGLISH = re.compile(r"(?![\u00e9\u00e8\u00ef\u00e2])[^\W\d_a-z]")
"""A lower-case letter that English does not have even in loanwords."""
_PARTS = re.compile(r"\n+|(?<=[.!?\u3002\uff01\uff1f\u0964\u061f\u06d4])\s+")


def is_written_in(text: str, language: str) -> bool:
    """Returns whether *text* is written in *language*, a code of the detector; false for a text without letters."""
    prose = _ADDRESS.sub(" ", visible(without_code(text)))
    letters = _letters(prose)
    script = _SCRIPTS.get(language, "Latin")
    if not letters or not _is_mostly(script, prose):
        return False
    prose = prose.lower() if script == "Latin" and prose.isupper() else prose  # the detector skips words in capitals
    if _foreign(prose, language, script) > _FOREIGN_SHARE * letters:
        return False
    match script:
        case "Japanese":
            return _kana().search(prose) is not None or "ja" in likely_languages(prose)
        case "Han":
            return _is_chinese(prose, letters, traditional=language == "zh-tw")
        case _:
            return script not in _SHARED or _plausible(prose, language, letters)


def _is_mostly(script: str, text: str) -> bool:
    """Returns whether most words with letters are in a script; acronyms of another one (``API``) do not count."""
    own = total = 0
    for word in words(text):
        is_own = _of_script(script).search(word) is not None
        if is_own or (any(map(str.isalpha, word)) and not (word.isascii() and word.isupper())):
            number = count_words(word).fewest
            total += number
            own += number if is_own else 0
    return own > 0 and own >= _OWN_SHARE * total


def _plausible(text: str, language: str, letters: int) -> bool:
    """Returns whether the detector or the known words of the text are for the language, or nothing is against it."""
    if language in likely_languages(text):
        return True
    own, other = _known_words(words(text), language)
    if own or other:
        return own >= other
    return letters < _SHORT and not (language == "en" and _NOT_ENGLISH.search(text.lower()))


def _foreign(text: str, language: str, script: str) -> int:
    """Returns the number of letters in sentences that are clearly in another language."""
    parts = [part for part in _PARTS.split(text)[:_MOST_PARTS] if part]
    if len(parts) == 1:
        return 0
    return sum(_letters(part) for part in parts if _is_foreign(part, language, script))


def _is_foreign(sentence: str, language: str, script: str) -> bool:
    letters = _letters(sentence)
    if letters < _LETTERS_OF_A_SENTENCE:
        return False
    if not _is_mostly(script, sentence):
        return True
    own, other = _known_words(words(sentence), language)
    return script in _SHARED and other >= own + 2 and language not in likely_languages(sentence)


def _known_words(found: Iterable[str], language: str) -> tuple[int, int]:
    """Returns how many words are frequent in the language, and how many at most in one other."""
    hits: Counter[str] = Counter()
    table = languages_of_words()
    for word in found:
        if len(word) > 1 or not word.isascii():  # a letter says little: E. coli
            hits.update(table.get(word.casefold().replace("\u2019", "'"), ()))
    return hits.pop(language, 0), max(hits.values(), default=0)


def _is_chinese(text: str, letters: int, *, traditional: bool) -> bool:
    """Returns whether a text in Chinese characters has no kana and is not in the other form of Chinese."""
    if len(_kana().findall(text)) * 10 > letters:
        return False
    own, other = ("big5", "gb2312") if traditional else ("gb2312", "big5")
    distinct = Counter(
        encoding
        for character in text
        if "\u4e00" <= character <= "\u9fff"
        for encoding, opposite in ((own, other), (other, own))
        if _encodes(encoding, character) and not _encodes(opposite, character)
    )
    return distinct[own] >= distinct[other]


def _encodes(encoding: str, character: str) -> bool:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))


@cache
def _of_script(script: str) -> Any:  # noqa: ANN401 - regex has no types
    import regex

    characters = _CLASSES.get(script, rf"\p{{{script}}}")
    return regex.compile(rf"[[{characters}]&&\p{{L}}]", regex.V1)


@cache
def _kana() -> Any:  # noqa: ANN401 - regex has no types
    import regex

    return regex.compile(r"[\p{Hiragana}\p{Katakana}]")
