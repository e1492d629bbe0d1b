"""Double quotation marks of any language around a whole text."""

import re

from muses_eval.pipeline.families.instruct.constraints.visible_text import unescaped, unfenced

_PAIRS: tuple[tuple[str, str], ...] = (
    ('"\u201c\u201d\u201e\u201f\uff02\u301d\u05f4\u275d', '"\u201c\u201d\u201f\uff02\u301e\u301f\u05f4\u275e'),
    ("\u00ab\u00bb", "\u00ab\u00bb"),
    ("\u300c\u300e\ufe41\ufe43\uff62", "\u300d\u300f\ufe42\ufe44\uff63"),
)
"""Opening and closing marks that go together: English, German, French, Swedish, Japanese and so on."""
_STRAIGHT = '"\uff02\u05f4\u201f'
_AROUND = " \t\r\n\u3000*_`~"
_LINE_MARK = re.compile(r"\A(?:\s*(?:>|#{1,6})[^\S\n]+)+")
_LEFT = "([{\u2014\u2013-:,"


def is_quoted(text: str) -> bool:
    """Returns whether double quotation marks enclose a text that is not empty.

    Emphasis, a code fence and escapes around the marks are not part of the text.  ``"A," she said. "B."`` begins and
    ends with marks, but they do not enclose it.
    """
    text = _LINE_MARK.sub("", unescaped(unfenced(text))).strip(_AROUND)
    for opening, closing in _PAIRS:
        if len(text) > 2 and text[0] in opening and text[-1] in closing:
            inside = text[1:-1]
            has_content = any(not character.isspace() and character not in opening + closing for character in inside)
            return has_content and not _ends_early(text[0], inside, opening, closing)
    return False


def _ends_early(first: str, inside: str, opening: str, closing: str) -> bool:
    """Returns whether the quotation that begins before *inside* ends within it."""
    depth = 1
    for index, character in enumerate(inside):
        if character not in opening and character not in closing:
            continue
        before, after = inside[index - 1] if index else " ", inside[index + 1 : index + 2]
        if character in opening and character in closing:
            if character in _STRAIGHT and _is_part_of_a_word(before, after):
                continue
            if character == first or character in _STRAIGHT:
                opens = (before.isspace() or before in _LEFT + opening) and not after.isspace()
            else:
                opens = character == "\u201c" and first != "\u201e"
        else:
            opens = character in opening
        depth += 1 if opens else -1
        if depth == 0:
            return True
    return False


def _is_part_of_a_word(before: str, after: str) -> bool:
    """Returns whether a straight mark between these characters means inches, or is in a Hebrew abbreviation."""
    return bool(after) and (before.isdigit() or (before.isalpha() and after.isalpha()))
