"""The form of a text in which the readers of the meeting family look for names, times and answers.

Case, accents of Latin, Greek and Cyrillic letters, full-width forms and typographic quotes make no difference to a
reader.  Marks of other scripts are kept, since they are vowels there.
"""

import re
import unicodedata

MAX_TEXT = 20_000
"""Number of characters that are read, which bounds the work."""
_ACCENTS = re.compile("[\u0300-\u036f]")
_QUOTES = str.maketrans({"’": "'", "‘": "'", "´": "'", "′": "'", "ʼ": "'", "ı": "i", "“": '"', "”": '"', "„": '"'})


def folded(text: str) -> str:
    """Returns the beginning of a text without differences in case, accents, width and quotes."""
    head = text[:MAX_TEXT]
    if head.isascii():
        return head.casefold()
    plain = unicodedata.normalize("NFKD", head.translate(_QUOTES).casefold())[: 2 * MAX_TEXT]
    return unicodedata.normalize("NFC", _ACCENTS.sub("", plain))[:MAX_TEXT].casefold()
