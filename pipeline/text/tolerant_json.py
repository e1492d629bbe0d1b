"""Decodes JSON as models write it, where the strict decoder fails.

Accepted beyond the standard: comments (``//``, ``#``, ``/* */``), trailing and missing commas, Python literals and
tuples, typographic, single, triple and escaped quotes, quotes inside strings that are not escaped, raw line breaks,
keys and values without quotes, full-width punctuation, wrong or missing closing brackets, and an end in the middle of
a value.

Text in brackets that is not data is refused: an object needs a key with a value, and the values of a list outside of
an object are strings, numbers, literals, lists or objects.  ``{name}``, ``[ref: 1234]`` and ``{x: x > 0}`` are prose.
"""

import json
import re
from dataclasses import dataclass, field

MAX_DEPTH = 60
"""Levels of nesting that are read."""

_GAP = re.compile(r"(?:\s|\\[nrt]|\ufeff|//[^\n]*+|/\*.*?(?:\*/|\Z)|\#(?!\d)[^\n]*+)*+", re.DOTALL)
"""White space and comments; ``#1234`` is a value.  In a string of JSON, white space is escaped."""
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?(?=[\s,，}\])/#;]|\Z)")
_NUMBER_KEY = re.compile(r"\d{1,30}(?=\s{0,20}[:：])")
_BARE_KEY = re.compile(r"[^\W\d][\w$.-]{0,60}+(?: [\w$.-]{1,60}+){0,3}+(?=\s{0,20}(?:[:：]|=>?))")
_BARE_VALUE = re.compile(r"[^\n,，{}\[\]\"]++")
_COLON = re.compile(r"[:：]|=>?")
_COMMA = re.compile(r"[,，;]")
_ELLIPSIS = re.compile(r"\.\.\.|…")
_DIGITS = re.compile(r"[\d#.:-]{1,30}")
_LITERALS = {"null": None, "none": None, "nil": None, "undefined": None, "true": True, "false": False}
_CLOSERS = {
    '\\"': '\\"',
    '"""': '"""',
    "'''": "'''",
    '"': '"',
    "'": "'",
    "`": "`",
    "“": '”“"',
    "”": '”"',
    "„": '“”"',
    "«": "»",
    "‘": "’‘'",
    "’": "’'",
    "「": "」",
    "『": "』",
}
_QUOTE = re.compile("|".join(sorted(map(re.escape, _CLOSERS), key=len, reverse=True)))
_STRING_ENDS = re.compile(
    r"""(?:\s|\\[nrt]){0,200}+(?:
        (?P<closer>[}\])]) | (?P<colon>[:：]|=>?) | \Z | (?<=\n)``` | //|/\*|\#\s | \+\s{0,20}["'] |
        [,，;](?:\s|\\[nrt]|//[^\n]{0,200}+\n|\#\s[^\n]{0,200}+\n){0,200}+(?:
            ["'“”„«‘’「『`\[{}\](\\\d-] | \.\.\.|…|\Z|/[/*]|\#
            | (?:null|none|true|false)\b | [\w$.-]{1,60}+(?:\ [\w$.-]{1,60}+){0,3}+\s{0,20}[:：=] )
        | (?<=\n)\s{0,200}+["'“„{] | ["'][\w .-]{1,60}+["']\s{0,20}: )""",
    re.VERBOSE | re.IGNORECASE,
)
"""What follows the quote that closes a string; any other quote belongs to the string.

A closing bracket does so only where one is open, and a colon only after a key."""
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "/": "/", "\\": "\\", '"': '"', "'": "'", "`": "`"}


class _NotDataError(ValueError):
    """The text in brackets is not data."""


@dataclass(slots=True)
class Budget:
    """Work that may still be done on a text, in tokens; 100 characters of a token count as one more."""

    left: int

    def spend(self, characters: int = 0) -> None:
        self.left -= 1 + characters // 100
        if self.left < 0:
            raise _NotDataError


def decode(text: str, start: int, budget: Budget) -> tuple[object, int] | None:
    """Returns the object or list that opens at *start* and the position after it.

    Returns None when the bracket does not open data, the nesting is too deep, or the budget is spent.
    """
    reader = _Reader(text, start, budget)
    try:
        value = reader.container(0)
    except _NotDataError:
        return None
    return None if reader.cut and not value else (value, reader.position)


@dataclass(slots=True)
class _Reader:
    text: str
    position: int
    budget: Budget
    cut: bool = False
    """Whether the text ended inside a value."""
    open: list[str] = field(default_factory=list)
    """Closing brackets that are expected, the innermost last."""

    def container(self, depth: int) -> object:
        if depth > MAX_DEPTH:
            raise _NotDataError
        opener = self.text[self.position]
        self.position += 1
        self.open.append({"{": "}", "[": "]", "(": ")"}[opener])
        value = self._object(depth) if opener == "{" else self._list(depth)
        self.open.pop()
        return value

    def _object(self, depth: int) -> object:
        found: dict[str, object] = {}
        while not self._closed():
            if self._take(_ELLIPSIS) or self._take(_COMMA):
                continue
            key, quoted = self._key()
            if not self._take(_COLON):
                if quoted and not found and self._next(",，}"):
                    return [key, *self._list(depth)]  # a set of Python
                raise _NotDataError
            self._skip()
            if self._at_end() or self._next(",，}"):
                found.update({} if self._at_end() else {key: None})
            else:
                found[key] = self._value(depth, bare=quoted or depth > 0)
            self._separator()
        return found

    def _list(self, depth: int) -> list[object]:
        found: list[object] = []
        while not self._closed():
            if self._take(_ELLIPSIS) or self._take(_COMMA):
                continue
            found.append(self._value(depth, bare="}" in self.open))
            self._separator()
        return found

    def _closed(self) -> bool:
        """Skips to the next entry; returns whether there is none, since the bracket closes, even by a wrong one."""
        self.budget.spend()
        self._skip()
        if self._at_end() or self.text.startswith("```", self.position):
            self.cut = True
            return True
        char = self.text[self.position]
        if char not in "}])":
            return False
        if char == self.open[-1] or char not in self.open:
            self.position += 1
        return True

    def _separator(self) -> None:
        self._skip()
        while self._take(_COMMA):
            self._skip()

    def _key(self) -> tuple[str, bool]:
        if quote := _QUOTE.match(self.text, self.position):
            return self._string(quote[0], is_key=True), True
        if not (bare := _BARE_KEY.match(self.text, self.position)):
            bare = _NUMBER_KEY.match(self.text, self.position)
        if not bare:
            raise _NotDataError
        self.position = bare.end()
        return bare[0], False

    def _value(self, depth: int, *, bare: bool) -> object:
        self._skip()
        if self._at_end():
            return None
        if self.text[self.position] in "{[" or (self.text[self.position] == "(" and self.open):
            return self.container(depth + 1)
        if quote := _QUOTE.match(self.text, self.position):
            value = self._string(quote[0])
            while self._next("+"):  # strings joined as in Python or JavaScript
                self.position += 1
                self._skip()
                if not (quote := _QUOTE.match(self.text, self.position)):
                    raise _NotDataError
                value += self._string(quote[0])
            return value
        if number := _NUMBER.match(self.text, self.position):
            self.budget.spend(len(number[0]))
            self.position = number.end()
            return _number(number[0])
        return self._bare_value(bare=bare)

    def _bare_value(self, *, bare: bool) -> object:
        word = _BARE_VALUE.match(self.text, self.position)
        if not word:
            raise _NotDataError
        self.budget.spend(len(word[0]))
        said, end = word[0], word.end()
        for mark in ("//", " #", "/*"):
            head, found, _ = said.partition(mark)
            if found and not head.endswith(":"):
                said, end = head, word.start() + len(head)
        text = said.strip()
        if text.casefold() in _LITERALS:
            self.position = end
            return _LITERALS[text.casefold()]
        if not text or text[-1] in ":：" or not (bare or _DIGITS.fullmatch(text)):
            raise _NotDataError
        self.position = end
        return text

    def _string(self, quote: str, *, is_key: bool = False) -> str:
        closers = _CLOSERS[quote]
        start = self.position + len(quote)
        many = len(quote) > 1
        ends = re.compile(re.escape(closers) if many else rf"\\.|[{re.escape(closers)}]", re.DOTALL)
        position = start
        while closing := ends.search(self.text, position):
            position = closing.end()
            self.budget.spend()
            if (closing[0][0] != "\\" or many) and self._ends_string(position, is_key=is_key):
                self.budget.spend(position - start)
                self.position = position
                return unescaped(self.text[start : closing.start()])
        if not self.text[start:].strip():
            raise _NotDataError
        self.budget.spend(len(self.text) - start)
        self.cut = True
        self.position = len(self.text)
        return unescaped(self.text[start:])

    def _ends_string(self, position: int, *, is_key: bool) -> bool:
        follows = _STRING_ENDS.match(self.text, position)
        if not follows or (follows["colon"] and not is_key):
            return False
        return not follows["closer"] or follows["closer"] in self.open

    def _skip(self) -> None:
        gap = _GAP.match(self.text, self.position)
        if gap and gap.end() > self.position:
            self.budget.spend(gap.end() - self.position)
            self.position = gap.end()

    def _take(self, pattern: re.Pattern[str]) -> bool:
        self._skip()
        if found := pattern.match(self.text, self.position):
            self.position = found.end()
        return found is not None

    def _next(self, chars: str) -> bool:
        self._skip()
        return not self._at_end() and self.text[self.position] in chars

    def _at_end(self) -> bool:
        return self.position >= len(self.text)


def _number(digits: str) -> object:
    """Returns a number, or its digits as text when Python refuses to convert so many."""
    try:
        return float(digits) if set(digits) & set(".eE") else int(digits)
    except ValueError:
        return digits


def unescaped(body: str) -> str:
    """Returns the content of a string of JSON, whose escapes may be wrong."""
    if "\\" not in body:
        return body
    try:
        return str(json.loads(f'"{body}"', strict=False))
    except ValueError:
        return _ESCAPE.sub(lambda match: _character(match[1]), body)


def _character(escape: str) -> str:
    if len(escape) == 5:
        return chr(int(escape[1:], 16))
    return _ESCAPED.get(escape, f"\\{escape}")
