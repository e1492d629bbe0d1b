"""A text as a reader sees it: without marks of Markdown and HTML, and with characters that look alike made equal."""

import html
import re
import unicodedata
from functools import lru_cache

_CACHED = 32
"""Number of texts whose forms are cached, because several constraints check the same answer."""

_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_NO_WIDTH = re.compile("[\u00ad\u200b\u200e\u200f\u2060\ufeff]")
_LINE_BREAK = re.compile("\r\n?|[\u0085\u2028]")
_FENCE = re.compile(r"[^\S\n]{0,3}(`{3,}|~{3,})([^`\n]*)")
_OPENING_FENCE = re.compile(r"(`{3,}|~{3,})(?:[\w+-]*(?=[^\S\n]*[\n\[{]))?")
_LINK = re.compile(r"!?\[([^\[\]\n]{0,400})\]\([^()\s]{0,800}\)")
_TAG = re.compile(
    r"</?(?:a|b|blockquote|br|code|del|div|em|h[1-6]|i|li|mark|ol|p|pre|s|span|strong|sub|sup|u|ul)(?:\s[^<>]{0,200})?/?>",
    re.IGNORECASE,
)
_EMPHASIS = re.compile(r"(?<!\d)\*+|\*+(?!\d)|~~+|`+|(?<!\w)_+|_+(?!\w)")
_LINE_MARK = re.compile(r"^[^\S\n]*(?:>[^\S\n]?|#{1,6}[^\S\n]+)+", re.MULTILINE)
_ALIKE = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201a\u201b\u02bc\uff07", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f\uff02\u00ab\u00bb", '"')
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
    | {"\u2026": "..."}
)


def lines_made_equal(text: str) -> str:
    """Returns a text whose only line break is a line feed; a paragraph separator becomes an empty line."""
    return _LINE_BREAK.sub("\n", text).replace("\u2029", "\n\n")


def unescaped(text: str) -> str:
    """Returns a text with HTML entities and Markdown escapes resolved, and without characters of no width."""
    text = _NO_WIDTH.sub("", text)
    if "&" in text:
        text = _ENTITY.sub(lambda entity: html.unescape(entity.group()), text)
    return _ESCAPE.sub(r"\1", text) if "\\" in text else text


def unfenced(text: str) -> str:
    """Returns the contents of the code fence that encloses the whole text; other texts as they are, stripped."""
    text = lines_made_equal(text).strip("\ufeff \t\n")
    opening = _OPENING_FENCE.match(text)
    if opening is None:
        return text
    marks, inside = opening.group(1), text[opening.end() :]
    lines = inside.removesuffix(marks).rstrip().split("\n")
    closed_before = any(line.strip() == marks for line in lines)
    return text if closed_before else "\n".join(lines).strip()


def without_code(text: str) -> str:
    """Returns a text without its code fences, or the contents of the one that encloses it."""
    text = unfenced(text)
    if "```" not in text and "~~~" not in text:
        return text
    return "\n".join(_split_at_fences(text.split("\n"))[1])


def paragraphs(text: str) -> list[str]:
    """Returns the parts between blank lines that have more than divider marks; a code fence is not split."""
    parts: list[list[str]] = [[]]
    fence = ""
    for line in lines_made_equal(text).split("\n"):
        if not fence and not line.strip():
            parts.append([])
            continue
        parts[-1].append(line)
        fence = _next_fence(fence, line)
    joined = ("\n".join(part) for part in parts)
    return [part for part in joined if part.strip(" \t\n*-_=~")]


@lru_cache(maxsize=_CACHED)
def visible(text: str) -> str:
    """Returns a text without emphasis, link targets, common HTML tags and escapes."""
    text = unescaped(_LINK.sub(r"\1", lines_made_equal(text)) if "](" in text else lines_made_equal(text))
    if "<" in text:
        text = _TAG.sub("", text)
    return unicodedata.normalize("NFC", _EMPHASIS.sub("", text))


@lru_cache(maxsize=_CACHED)
def folded(text: str) -> str:
    """Returns a visible text in which case and the forms of quotation marks, dashes and ellipses are ignored."""
    return visible(text).translate(_ALIKE).casefold()


@lru_cache(maxsize=_CACHED)
def squeezed(text: str) -> str:
    """Returns a folded text on one line with single spaces, without the marks of headings and block quotes."""
    return " ".join(_LINE_MARK.sub("", folded(text)).split())


def _split_at_fences(lines: list[str]) -> tuple[list[str], list[str]]:
    """Returns the lines inside code fences and those outside; the lines of the fences belong to neither."""
    inside: list[str] = []
    outside: list[str] = []
    fence = ""
    for line in lines:
        following = _next_fence(fence, line)
        if following == fence:
            (inside if fence else outside).append(line)
        fence = following
    return inside, outside


def _next_fence(fence: str, line: str) -> str:
    """Returns the fence that is open after a line; empty when there is none.  *fence* is the one before it."""
    found = _FENCE.fullmatch(line)
    if found is None:
        return fence
    if not fence:
        return found.group(1)
    closes = found.group(1).startswith(fence) and not found.group(2).strip()
    return "" if closes else fence
