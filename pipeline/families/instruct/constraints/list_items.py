"""Bullet points and other list items, and the lines that look like them but are not."""

import re

from muses_eval.pipeline.families.instruct.constraints.visible_text import lines_made_equal, unescaped, without_code

_GLYPHS = (
    "\u2022\u2023\u2043\u2219\u25aa\u25ab\u25a0\u25a1\u25b6\u25b8\u25b9\u25ba\u25cb\u25cf\u25e6\u25c6\u25c7\u25fe\u25fd"
    "\u00b7\u30fb\u2726\u2727\u2756\u2714\u2713\u27a2\u27a4\u2794\u2192\u2b25\u29bf\u25fc\u25fb\u2605\u2606\u204c\u204d"
)
"""Characters that are used only as bullets at the beginning of a line."""

_RULE = re.compile(r"\s*(?:(?:\*\s*){3,}|(?:-\s*){3,}|(?:_\s*){3,}|={3,}\s*|~{3,}\s*|[\u2014\u2015\u2500]{3,}\s*)")
_QUOTED = r"[^\S\n]*(?:>[^\S\n]*)*"
_BULLET = re.compile(
    rf"{_QUOTED}(?:[-*+\u2013\u2014][^\S\n]+(?=[^\s*+=_-]|[*_=]+[^\s*_=]|-[^\s-])"
    rf"|[{_GLYPHS}]\ufe0f?[^\S\n]*(?=[^\s])|-(?=[^\W\d_])|\*(?=[^\W\d_][^*\n]*$))"
)
LIST_MARK = re.compile(rf"{_BULLET.pattern}|{_QUOTED}(?:\d{{1,3}}[.)]|\(?[A-Za-z]\))[^\S\n]+(?=\S)")
"""The mark of a list item at the beginning of a line: a bullet, a number or a letter."""


def is_rule(line: str) -> bool:
    """Returns whether a line is a horizontal rule: three or more equal marks, perhaps with spaces."""
    return _RULE.fullmatch(line) is not None


def bullets(text: str) -> int:
    """Returns the number of bullet points, nested ones and tasks included.

    Numbered items, horizontal rules, negative numbers, emphasis at the beginning of a line, and lines of code are not
    bullet points, nor is a single line after an em dash, which names an author or begins a speech.
    """
    lines = [
        line
        for line in lines_made_equal(unescaped(without_code(text))).split("\n")
        if _BULLET.match(line) and not is_rule(line)
    ]
    dashed = sum(line.lstrip(" \t>").startswith("\u2014") for line in lines)
    return len(lines) - (dashed if dashed == 1 else 0)
