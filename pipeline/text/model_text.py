"""Reading JSON out of what models write.

Model text is untrusted: every function here returns what it found and never raises, whatever the text, and the work
is bounded, so that a megabyte of brackets costs milliseconds.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

_FENCE = re.compile(r"```[^\n`]*\n?|```")
_CONTAINERS = re.compile(r"[{\[]")
_CONTAINERS_AND_STRINGS = re.compile(r'["{\[]')
_THINKING = re.compile(r"(?:\s*<(think|thinking|reasoning)>.*?(?:</\1>|\Z))+", re.DOTALL | re.IGNORECASE)
_LENIENT = json.JSONDecoder(strict=False)
_STRICT = json.JSONDecoder()
MAX_FAILURES = 4_000
"""Openers at which decoding may fail before the rest of a text is given up as not JSON."""
MAX_WASTE = 4 * 2**20
"""Characters that decoding may read in vain before it is given up: lists that never close make every try a long one."""


class Span(NamedTuple):
    """A JSON object or array found in a text, and where it stood."""

    value: object
    start: int
    end: int


def json_spans(text: str) -> Iterator[Span]:
    """Top-level JSON objects and arrays in *text*, left to right, with any prose around them.

    Raw line breaks inside strings are accepted.  What does not decode at an opener is skipped by one character.
    """
    return _scan(text, _LENIENT, _CONTAINERS)


def strict_json_spans(text: str) -> Iterator[Span]:
    """As :func:`json_spans`, but strictly: raw line breaks inside strings are not accepted.

    Strings are values too, and hide what stands in them.
    """
    return _scan(text, _STRICT, _CONTAINERS_AND_STRINGS)


def _scan(text: str, decoder: json.JSONDecoder, openers: re.Pattern[str]) -> Iterator[Span]:
    position = failures = waste = 0
    while failures < MAX_FAILURES and waste < MAX_WASTE and (opener := openers.search(text, position)):
        try:
            value, end = decoder.raw_decode(text, opener.start())
        except json.JSONDecodeError as error:
            position, failures = opener.start() + 1, failures + 1
            waste += error.pos - opener.start()
        except (ValueError, RecursionError):  # neither says how far it came
            position, failures = opener.start() + 1, failures + 1
            waste += len(text) - opener.start()
        else:
            yield Span(value, opener.start(), end)
            position = end


def json_objects(text: str) -> Iterator[dict[str, object]]:
    """The JSON objects in *text* that stand alone or in a top-level array, left to right."""
    for span in json_spans(text):
        for value in span.value if isinstance(span.value, list) else [span.value]:
            if isinstance(value, dict):
                yield value


def nested_objects(value: object, depth: int, *, in_lists: bool = False) -> Iterator[Mapping[str, object]]:
    """*value*, if it is an object, and the objects down to so many levels inside it, the outer ones first."""
    children: Iterable[object] = ()
    if isinstance(value, dict):
        yield value
        children = value.values()
    elif isinstance(value, list) and in_lists:
        children = value
    for child in children if depth else ():
        yield from nested_objects(child, depth - 1, in_lists=in_lists)


def first_value(value: Mapping[str, object], keys: Sequence[str]) -> object:
    """What the object has under the first of these keys that it has; None when it has none of them."""
    return next((value[key] for key in keys if key in value), None)


def without_thinking(text: str) -> str:
    """*text* without the blocks of reasoning that it begins with; one that is never closed goes to the end.

    Some chat templates write the opening tag into the prompt, so that a reply only closes it.
    """
    if thinking := _THINKING.match(text):
        return text[thinking.end() :]
    reasoning, closing, rest = text.partition("</think>")
    return rest if closing and "<think>" not in reasoning else text


def prose(text: str) -> str:
    """*text* without its JSON and its code fences, trimmed: what a person would read as plain words."""
    kept, position = [], 0
    for span in json_spans(text):
        kept.append(text[position : span.start])
        position = span.end
    kept.append(text[position:])
    return _FENCE.sub("", "".join(kept)).strip()


def as_text(value: object) -> str:
    """A JSON value as people would read it: strings as they are, anything else as JSON."""
    try:
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except RecursionError:  # a value that could just be read may be nested too deep to be written
        return ""
