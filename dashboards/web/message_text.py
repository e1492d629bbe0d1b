"""Texts of an episode as HTML: escaped, with marked words, and folded when they are long.

A browser needs seconds to lay out one unbroken text of 100,000 characters.  So the rest of a long text is in a closed
``details`` element, in parts of which the browser lays out only those in view (``content-visibility``).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from markupsafe import Markup, escape
from muses_eval.dashboards.tables.text_table import printable

Span = tuple[int, int]
"""Positions of the first character of a passage and of the one after it."""
FOLD_ABOVE = 4_000
"""Maximum length of a text that is shown whole, in characters."""
_PART = 2_000
"""Maximum length of each part of a longer text, in characters; a marked passage may exceed it."""


def shown_text(text: str, passages: Iterable[str] = (), tag: Literal["p", "pre"] = "p") -> Markup:
    """Returns *text* in one element, or, when it is long, its beginning and a ``details`` element with the rest.

    Args:
        text: untrusted text.
        passages: words to mark (:func:`marked`); the rest of a long text is open when it has some.
        tag: the element around the text.
    """
    text = printable(text)
    spans = _merged(_spans(text, passages))
    if len(text) <= FOLD_ABOVE:
        return _element(tag, _marked(text, spans))
    head, *rest = _parts(text, spans)
    is_open = any(stop > len(head[0]) for _, stop in spans)
    return Markup('{}<details class="rest"{}><summary>{:,} more characters</summary>{}</details>').format(
        _element(tag, _marked(*head)),
        Markup(" open") if is_open else "",
        len(text) - len(head[0]),
        Markup().join(_element(tag, _marked(*part)) for part in rest),
    )


def marked(text: str, passages: Iterable[str]) -> Markup:
    """Returns *text* with the *passages* in ``mark`` elements; case, emphasis and spacing may differ."""
    text = printable(text)
    return _marked(text, _merged(_spans(text, passages)))


def _parts(text: str, spans: Sequence[Span]) -> Iterator[tuple[str, list[Span]]]:
    """Yields the parts of a long text with their spans; a part ends after a blank, if it has some, and after a span."""
    start = 0
    while start < len(text):
        blank = max(text.rfind(blank, start + _PART // 2, start + _PART) for blank in " \n")
        end = min(len(text), start + _PART) if blank < 0 else blank + 1
        end = next((stop for first, stop in spans if first < end < stop), end)
        yield text[start:end], [(a - start, b - start) for a, b in spans if start <= a < end]
        start = end


def _element(tag: Literal["p", "pre"], content: Markup) -> Markup:
    return Markup(f"<{tag}>{{}}</{tag}>").format(content)  # noqa: S704 - one of two tags of ours


def _marked(text: str, spans: Iterable[Span]) -> Markup:
    parts, end = [], 0
    for start, stop in spans:
        parts += [escape(text[end:start]), Markup("<mark>{}</mark>").format(text[start:stop])]
        end = stop
    return Markup().join([*parts, escape(text[end:])])


def _spans(text: str, passages: Iterable[str]) -> Iterable[Span]:
    for passage in passages:
        words = map(re.escape, printable(passage).split())
        yield from (match.span() for match in re.finditer(r"[\s*`]+".join(words), text, re.IGNORECASE) if match[0])


def _merged(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, stop in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(stop, merged[-1][1])
        else:
            merged.append((start, stop))
    return merged
