"""Reads YAML as a configuration needs it: each value is what its line says, and no input takes long.

Differences from YAML 1.1 as PyYAML reads it:

* A key that occurs twice, a tag such as ``!!python/object``, and a number with a leading zero (octal) are errors.
* Keys, dates and sexagesimal numbers (``1:30``) are strings, as they are written.
* A document has limits: bytes, nesting, and values with every alias expanded.

Anchors, aliases and merge keys (``<<``) are read.
"""

import re
from typing import Any, NoReturn

import yaml
from muses_eval.pipeline.config.plain_values import MAX_DEPTH, MAX_VALUES, weight
from muses_eval.pipeline.errors import ConfigError

MAX_BYTES = 200_000
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"
_BOOLS = {"yes": True, "no": False, "true": True, "false": False, "on": True, "off": False}
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


def parse_yaml(data: bytes, source: str) -> object:
    """Returns the only document of a file as dicts with string keys, lists, strings, numbers, booleans and None.

    Args:
        data: content of the file, in UTF-8.
        source: name of the file in messages.

    Raises:
        ConfigError: the content is not YAML, or exceeds a limit; the text names the line.
    """
    text = _text(data, source)
    try:
        return _Document(_LOADER(text), source).read()
    except yaml.MarkedYAMLError as error:
        raise ConfigError(f"{source}: not YAML: {_problem(error, text)}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{source}: not YAML: {' '.join(str(error).split())}") from error


def _problem(error: yaml.MarkedYAMLError, text: str) -> str:
    """Returns an error of PyYAML in one line, with what to do where that is known."""
    mark, begin = error.problem_mark, error.context_mark
    where = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "
    context = "" if begin is None else f" ({error.context} at line {begin.line + 1}, column {begin.column + 1})"
    line = text.splitlines()[mark.line : mark.line + 1] if mark is not None else []
    hint = ""
    if line and "\t" in line[0][: len(line[0]) - len(line[0].lstrip())]:
        hint = "; the line is indented with a tab: indent it with spaces"
    elif "cannot start any token" in str(error.problem):
        hint = "; put text that begins with @, ` or % in quotes"
    elif "mapping values are not allowed" in str(error.problem):
        hint = "; put text with a colon in quotes"
    return f"{where}{error.problem}{context}{hint}"


def _text(data: bytes, source: str) -> str:
    if len(data) > MAX_BYTES:
        raise ConfigError(
            f"{source}: larger than {MAX_BYTES:,} bytes, the limit of a configuration; is it another file?"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        got = "UTF-16 or UTF-32" if wide else f"not UTF-8 (byte {error.start + 1})"
        raise ConfigError(f"{source}: {got}; save the file as UTF-8") from error
    if found := _CONTROL.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise ConfigError(
            f"{source}, line {line}: the character U+{ord(found.group()):04X} is not text; remove it, or save the file "
            "as UTF-8"
        )
    return text


class _Document:
    """Builds the values of one document from the events of a loader, in one pass."""

    def __init__(self, loader: Any, source: str) -> None:  # noqa: ANN401 - PyYAML's loaders share no typed base class
        self._loader, self._source = loader, source
        self._anchors: dict[str, tuple[object, int] | None] = {}
        """Anchor -> its value and the number of values in it; None while it is read."""
        self._count = 0

    def read(self) -> object:
        self._next()  # the start of the stream
        if self._loader.check_event(yaml.StreamEndEvent):
            return None
        self._next()
        value = self._value(self._next(), depth=1)
        self._next()
        if not self._loader.check_event(yaml.StreamEndEvent):
            self._refuse(self._next(), "a second document begins; expected one: remove this `---` and what follows")
        return value

    def _next(self) -> Any:  # noqa: ANN401 - one of PyYAML's events
        return self._loader.get_event()

    def _refuse(self, event: Any, problem: str) -> NoReturn:  # noqa: ANN401
        raise ConfigError(f"{self._source}, line {event.start_mark.line + 1}: {problem}")

    def _value(self, event: Any, depth: int) -> object:  # noqa: ANN401
        """Returns the value that begins with *event*."""
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if depth > MAX_DEPTH:
            self._refuse(
                event, f"nested more than {MAX_DEPTH} levels deep; is a bracket open, or the indentation wrong?"
            )
        before = self._count
        self._add(event, weight(getattr(event, "value", None)))
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        value: object
        match event:
            case yaml.ScalarEvent():
                value = self._scalar(event)
            case yaml.SequenceStartEvent():
                self._check_tag(event, "seq")
                value = self._sequence(depth)
            case _:
                self._check_tag(event, "map")
                value = self._mapping(depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, self._count - before)
        return value

    def _alias(self, event: Any) -> object:  # noqa: ANN401
        if event.anchor not in self._anchors:
            self._refuse(event, f"the alias *{event.anchor} has no anchor &{event.anchor} above it")
        known = self._anchors[event.anchor]
        if known is None:
            self._refuse(
                event, f"the alias *{event.anchor} is inside its own anchor, so its value would contain itself"
            )
        value, size = known
        self._add(event, size)
        return value

    def _add(self, event: Any, values: int) -> None:  # noqa: ANN401
        self._count += values
        if self._count > MAX_VALUES:
            self._refuse(
                event, f"more than {MAX_VALUES:,} values, with each alias written out; use fewer or shorter ones"
            )

    def _sequence(self, depth: int) -> list[object]:
        values = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            values.append(self._value(event, depth + 1))
        return values

    def _mapping(self, depth: int) -> dict[str, object]:
        own: dict[str, object] = {}
        merged: dict[str, object] = {}
        lines: dict[str, int] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._key(event)
            line = event.start_mark.line + 1
            if key in lines:
                self._refuse(event, f"the key {_shown(key)} is already in line {lines[key]}; keep one of the two")
            lines[key] = line
            value_event = self._next()
            value = self._value(value_event, depth + 1)
            if key == "<<" and self._tag(event) == _MERGE:
                merged = self._merged(value_event, value)
            else:
                own[key] = value
        return {**merged, **own}

    def _key(self, event: Any) -> str:  # noqa: ANN401
        self._add(event, 1)
        if isinstance(event, yaml.AliasEvent):
            key = self._alias(event)
            if isinstance(key, str):
                return key
        if not isinstance(event, yaml.ScalarEvent):
            self._refuse(
                event, 'a key is a list, keys and values, or an alias; expected text: quote a key such as "{a}"'
            )
        self._check_tag(event, "str")
        if event.anchor is not None:
            self._anchors[event.anchor] = (event.value, weight(event.value))
        return str(event.value)

    def _merged(self, event: Any, value: object) -> dict[str, object]:  # noqa: ANN401
        """Returns the keys that a merge key adds; of a list, the first mapping with a key wins."""
        found: dict[str, object] = {}
        for part in value if isinstance(value, list) else [value]:
            if not isinstance(part, dict):
                self._refuse(
                    event, "`<<` merges keys and values, or a list of them; expected an alias such as `<<: *name`"
                )
            for key, inner in part.items():
                found.setdefault(key, inner)
        return found

    def _tag(self, event: Any) -> str:  # noqa: ANN401
        if event.tag in (None, "!"):
            return str(self._loader.resolve(yaml.ScalarNode, event.value, event.implicit))
        return str(event.tag)

    def _check_tag(self, event: Any, kind: str) -> None:  # noqa: ANN401
        if event.tag not in (None, "!", f"{_TAG}{kind}"):
            shown = event.tag.replace(_TAG, "!!")
            self._refuse(
                event, f"the tag {_shown(shown)} is not read; remove it, and write text, numbers, lists or keys"
            )

    def _scalar(self, event: Any) -> object:  # noqa: ANN401
        text = event.value
        kind = self._tag(event).removeprefix(_TAG)
        if kind == "null":
            return None
        if kind == "bool":
            if text.lower() not in _BOOLS:
                self._refuse(event, f"{_shown(text)} is not a boolean; write true or false")
            return _BOOLS[text.lower()]
        if kind in ("int", "float") and ":" not in text:
            number = text.replace("_", "").lower()
            return self._integer(event, number) if kind == "int" else self._float(event, number)
        if kind not in ("int", "float", "timestamp", "merge", "value"):
            self._check_tag(event, "str")
        return text

    def _integer(self, event: Any, text: str) -> int:  # noqa: ANN401
        digits = text.lstrip("+-")
        if len(digits) > 1 and digits[0] == "0" and digits.isdigit():
            self._refuse(event, f"{_shown(text)} begins with 0, which means octal; remove the 0, or quote it as text")
        try:
            return int(text, 0)
        except ValueError:
            if digits.isdigit():
                self._refuse(event, f"a whole number of {len(digits):,} digits; expected at most 19")
            self._refuse(event, f"{_shown(text)} is not a whole number")

    def _float(self, event: Any, text: str) -> float:  # noqa: ANN401
        try:
            return float(text.replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:
            self._refuse(event, f"{_shown(text)} is not a number")


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
