r"""Text behind escapes, with the place of each of its characters in the original.

A credential may stand in an answer as JSON (``\n`` or ``\u002d``), in a URL (``%2D``), in HTML (``&#45;``), in one of
these inside another, or with invisible characters between its letters.  :func:`readings` undoes one level at a time.
"""

import html
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote

_MOST_LEVELS = 4
"""Most levels of escapes that are undone, such as a percent-escaped JSON string inside a JSON string."""

_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff"
    "\U000e0000-\U000e0fff"
)
_HIDDEN = re.compile(f"[{_INVISIBLE}]")
_ESCAPE = re.compile(
    # A set comes first, because the engine skips all other characters quickly then.
    rf"""[\\%&{_INVISIBLE}]
    (?: (?<=\\)(?:u[0-9A-Fa-f]{{4}}|x[0-9A-Fa-f]{{2}}|["'\\/bfnrt])
      | (?<=%)[0-9A-Fa-f]{{2}}(?:%[0-9A-Fa-f]{{2}})*+
      | (?<=&)(?:\#[0-9]{{1,7}}|\#[xX][0-9A-Fa-f]{{1,6}}|[A-Za-z]{{2,20}});
      | (?<=[{_INVISIBLE}])[{_INVISIBLE}]*+ )
    """,
    re.VERBOSE,
)
_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}

Span = tuple[int, int]
"""Beginning and end of a part of a text, in characters."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of a text: the text itself, or the text with some levels of escapes undone."""

    text: str
    origin: Callable[[Span], Span]
    """Maps a span of :attr:`text` to the span of the original that contains it."""


def readings(text: str) -> Iterator[Reading]:
    """Yields the text itself, then the text with one level of escapes undone, with two, until none is left."""
    reading: Reading | None = Reading(text, lambda span: span)
    for _ in range(_MOST_LEVELS):
        if reading is None:
            return
        yield reading
        reading = _unescaped(reading)
    if reading is not None:
        yield reading


def _unescaped(reading: Reading) -> Reading | None:
    """Returns the reading with one more level undone; None when it has no escape."""
    if not _may_escape(reading.text):
        return None
    pieces: list[str] = []
    starts, sources = [0], [(0, 0)]
    length = end = 0
    for match in _ESCAPE.finditer(reading.text):
        plain = _plain(match[0])
        if plain == match[0]:
            continue
        literal = reading.text[end : match.start()]
        pieces += (literal, plain)
        # A literal piece has an empty source, from which its characters are counted.
        starts += (length + len(literal), length + len(literal) + len(plain))
        sources += (match.span(), (match.end(), match.end()))
        length, end = length + len(literal) + len(plain), match.end()
    if not pieces:
        return None
    pieces.append(reading.text[end:])

    def place(offset: int) -> Span:
        piece = bisect_right(starts, offset) - 1
        first, last = sources[piece]
        return (first, last) if last > first else (first + offset - starts[piece], first + offset - starts[piece] + 1)

    def origin(span: Span) -> Span:
        return reading.origin((place(span[0])[0], place(span[1] - 1)[1]))

    return Reading("".join(pieces), origin)


def _may_escape(text: str) -> bool:
    return "\\" in text or "%" in text or "&" in text or not (text.isascii() or _HIDDEN.search(text) is None)


def _plain(escape: str) -> str:
    match escape[0]:
        case "\\" if escape[1] in "ux":
            return chr(int(escape[2:], 16))  # noqa: FURB166 - \x and \u are no prefixes of int
        case "\\":
            return _LETTERS.get(escape[1], escape[1])
        case "%":
            return unquote(escape, errors="replace")
        case "&":
            return html.unescape(escape)
        case _:
            return ""
