"""JSON as the released code reads it: Python's decoder, with its limits, at every position of a text.

The released code fails on an integer of more than 4,300 digits and on nesting of about a thousand levels, since Python
does.  Here both limits are fixed, so that a result does not depend on the interpreter or on the depth of its stack, and
every text costs time linear in its length: the released scanner needs minutes for some texts of 200 kB.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

MAX_DEPTH = 980
"""Levels of nesting that can be read.  In the released code the number depends on its stack, up to 1,000."""

_FENCE = "```"
_STRICT = json.JSONDecoder()
_OPENERS = re.compile(r'["{\[]')
_OPENERS_AND_NUMBERS = re.compile(r'["{\[]|(?P<number>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)')
_SPACE = re.compile(r"[ \t\n\r]*")
_MAX_DIGITS = 4_300
_CHEAP_LENGTH = 4_096
_CHEAP_CONTAINERS = 400


class NotJsonError(Exception):
    """The text is not JSON."""


class FailedRowError(Exception):
    """The released code fails on this text, so that its row has an error."""


def read_document(text: str) -> object:
    """Returns the value of a text that is JSON as a whole.

    Raises:
        NotJsonError: it is not JSON.
        FailedRowError: an integer is too long, or the nesting too deep.
    """
    value_at = _value_reader(text, whole=True)
    start = _after_space(text, 0)
    found = value_at(start)
    if found is None or _after_space(text, found.end) != len(text):
        raise NotJsonError
    return found.value


def values_in_reply(reply: str, *, skip_failures: bool) -> Iterator[object]:
    """Yields the objects, arrays and strings in a reply, left to right, without the fence around the whole reply.

    *skip_failures*: continue one character further where the released decoder fails for any reason.

    Raises:
        FailedRowError: not *skip_failures*, and an integer is too long or the nesting too deep.
    """
    text = reply.strip().removeprefix(f"{_FENCE}json").removesuffix(_FENCE).strip()
    value_at = _value_reader(text, whole=False, skip_failures=skip_failures)
    openers = _OPENERS if skip_failures else _OPENERS_AND_NUMBERS
    position = 0
    while opener := openers.search(text, position):
        if opener.lastgroup == "number":
            if opener.end() - opener.start() > _MAX_DIGITS:  # read for its failure only
                _decode(text, opener.start(), skip_failures=False)
            position = opener.end()
            continue
        found = value_at(opener.start())
        position = opener.start() + 1 if found is None else found.end
        if found is not None:
            yield found.value


@dataclass(frozen=True, slots=True)
class _Found:
    """A value and the position after it."""

    value: object
    end: int
    height: int = 0
    """Levels of nesting in the value."""


def _value_reader(text: str, *, whole: bool, skip_failures: bool = False) -> Callable[[int], _Found | None]:
    """Returns the function that reads the value at a position; None where there is none.

    Python's decoder is the fastest, unless it can fail many times on the same long text or reach its own limits.
    """
    cheap = whole or len(text) <= _CHEAP_LENGTH
    if cheap and text.count("{") + text.count("[") <= _CHEAP_CONTAINERS:
        return lambda start: _decode(text, start, skip_failures=skip_failures)
    return _Containers(text, skip_failures=skip_failures).value_at


def _decode(text: str, start: int, *, skip_failures: bool) -> _Found | None:
    try:
        return _Found(*_STRICT.raw_decode(text, start))
    except json.JSONDecodeError:
        return None
    except ValueError as error:
        if skip_failures:
            return None
        raise FailedRowError(str(error)) from None


def _after_space(text: str, position: int) -> int:
    space = _SPACE.match(text, position)
    return position if space is None else space.end()


@dataclass(slots=True)
class _Open:
    """A container that is being read."""

    start: int
    value: dict[str, object] | list[object]
    key: str = ""
    height: int = 1

    def add(self, found: _Found) -> None:
        if isinstance(self.value, dict):
            self.value[self.key] = found.value
        else:
            self.value.append(found.value)
        self.height = max(self.height, found.height + 1)

    @property
    def closer(self) -> str:
        return "}" if isinstance(self.value, dict) else "]"


class _Containers:
    """Reads values of one text from left to right, each part of it once.

    A container inside one that could not be read is known: it was closed before the failure, or it fails there, too.
    """

    def __init__(self, text: str, *, skip_failures: bool) -> None:
        self._text, self._skip_failures = text, skip_failures
        self._closed: dict[int, _Found] = {}
        self._failed: set[int] = set()
        self._no_strings = range(0)
        """Quotation marks in this part of the text begin no string: they are escaped ones in a string that failed."""

    def value_at(self, start: int) -> _Found | None:
        if self._text[start : start + 1] not in {"{", "["}:
            return self._scalar_at(start)
        if start not in self._closed and start not in self._failed:
            self._read(start)
        found = self._closed.get(start)
        return None if found is None or found.height > MAX_DEPTH else found

    def _read(self, start: int) -> None:
        """Reads a container and those in it, and records for each whether and where it ends."""
        stack: list[_Open] = []
        position: int | None = start
        while position is not None:
            position = self._read_value(position, stack)
            if not stack:
                return
        self._failed.update(container.start for container in stack)

    def _read_value(self, position: int, stack: list[_Open]) -> int | None:
        """Reads a scalar, or the beginning of a container; returns the position of the next value, None on failure."""
        opener = self._text[position : position + 1]
        if opener not in {"{", "["}:
            found = self._scalar_at(position)
            return None if found is None else self._continue(found, stack)
        stack.append(_Open(position, {} if opener == "{" else []))
        if len(stack) > MAX_DEPTH and not self._skip_failures:
            raise FailedRowError(f"the nesting is deeper than {MAX_DEPTH} levels")
        position = _after_space(self._text, position + 1)
        if self._text.startswith(stack[-1].closer, position):
            return self._continue(self._close(stack, position), stack)
        return self._next_entry(stack[-1], position)

    def _continue(self, found: _Found, stack: list[_Open]) -> int | None:
        """Adds a value to the container around it, which may be complete then; returns the position of the next."""
        while stack:
            container = stack[-1]
            container.add(found)
            position = _after_space(self._text, found.end)
            if self._text.startswith(",", position):
                return self._next_entry(container, _after_space(self._text, position + 1))
            if not self._text.startswith(container.closer, position):
                return None
            found = self._close(stack, position)
        return found.end

    def _close(self, stack: list[_Open], position: int) -> _Found:
        container = stack.pop()
        found = self._closed[container.start] = _Found(container.value, position + 1, container.height)
        return found

    def _next_entry(self, container: _Open, position: int) -> int | None:
        """Reads the key of an entry of an object; returns the position of its value, None on failure."""
        if isinstance(container.value, list):
            return position
        key = self._scalar_at(position) if self._text.startswith('"', position) else None
        if key is None:
            return None
        position = _after_space(self._text, key.end)
        if not self._text.startswith(":", position):
            return None
        container.key = str(key.value)
        return _after_space(self._text, position + 1)

    def _scalar_at(self, start: int) -> _Found | None:
        if not self._text.startswith('"', start):
            return _decode(self._text, start, skip_failures=self._skip_failures)
        if start in self._no_strings:
            return None
        try:
            return _Found(*_STRICT.raw_decode(self._text, start))
        except json.JSONDecodeError as error:  # an unclosed string has no position of its end
            self._no_strings = range(start, len(self._text) if error.pos == start else error.pos)
            return None
