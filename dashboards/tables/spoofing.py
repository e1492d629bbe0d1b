"""Finds the characters that hide, reorder or imitate text, and leaves those that a script or an emoji needs.

A zero-width joiner or non-joiner shapes the letters of Arabic, Indic and other scripts, and joins emoji into one.  In a
Latin word it is invisible.  The same holds for variation selectors and tags.  The rules for joiners follow RFC 5892,
appendix A, but also accept a joiner between a letter of such a script and another visible character, as in the Persian
plural of a Latin word.
"""

import re
import unicodedata
from functools import lru_cache

_JOINERS = "\u200c\u200d"
_JOINING_SCRIPT = re.compile(
    r"(?:EXTENDED )?(?:ADLAM|ARABIC|BALINESE|BENGALI|BRAHMI|CHAKMA|DEVANAGARI|GRANTHA|GUJARATI|GURMUKHI|JAVANESE|KAITHI"
    r"|KANNADA|KHMER|MALAYALAM|MANDAIC|MANICHAEAN|MODI|MONGOLIAN|MYANMAR|NKO|ORIYA|PHAGS|SHARADA|SINHALA|SUNDANESE"
    r"|SYRIAC|TAMIL|TELUGU|TIBETAN|TIRHUTA)\b"
)
"""Beginning of the names of the characters that take other shapes beside a joiner."""
_VIRAMA = 9
"""Canonical combining class of the signs after which a joiner chooses the shape of an Indic letter."""
_VISIBLE_FORMATS = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
"""Signs of category Cf that are drawn around the digits or letters after them."""
_BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
"""Letters and marks that are not drawn."""
_EMOJI = "[\u2190-\u21ff\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]"
_EMOJI_ELEMENT = f"{_EMOJI}(?:\ufe0f|[\U0001f3fb-\U0001f3ff])?"
_EMOJI_SEQUENCES = re.compile(
    f"{_EMOJI_ELEMENT}(?:\u200d{_EMOJI_ELEMENT})+"  # 👩‍👩‍👧
    "|\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f"  # the flag of a region, such as Scotland
)


def spoofing_positions(text: str) -> frozenset[int]:
    """Returns the positions of control and invisible characters with no place in *text*; line breaks and tabs have one.

    Never returned: joiners within a word of a script that joins its letters, emoji sequences, and a variation selector
    after a visible character.
    """
    characters = {character for character in set(text) if _is_suspect(character)}
    if not characters:
        return frozenset()
    suspects = (position for position, character in enumerate(text) if character in characters)
    emoji = {position for match in _EMOJI_SEQUENCES.finditer(text) for position in range(*match.span())}
    return frozenset(position for position in suspects if position not in emoji and not _belongs(text, position))


def _is_suspect(character: str) -> bool:
    if character in "\n\t" or character in _VISIBLE_FORMATS:
        return False
    return (
        unicodedata.category(character) in ("Cc", "Cf", "Cs") or character in _BLANKS or _selects_variation(character)
    )


def _belongs(text: str, position: int) -> bool:
    before = text[position - 1] if position else " "
    after = text[position + 1] if position + 1 < len(text) else " "
    character = text[position]
    if character in _JOINERS:
        joins = _joins_letters(before) or _joins_letters(after)
        return unicodedata.combining(before) == _VIRAMA or (joins and _is_visible(before) and _is_visible(after))
    if character > "\U000e00ff":  # the supplement has variants of ideographs only
        return _selects_variation(character) and unicodedata.name(before, "").startswith("CJK")
    return _selects_variation(character) and _is_visible(before)


@lru_cache(4096)
def _joins_letters(character: str) -> bool:
    return _JOINING_SCRIPT.match(unicodedata.name(character, "")) is not None


def _is_visible(character: str) -> bool:
    return not character.isspace() and not _is_suspect(character)


def _selects_variation(character: str) -> bool:
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
