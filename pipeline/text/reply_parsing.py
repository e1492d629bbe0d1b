"""Extracts JSON from the replies of models.

Replies are untrusted.  The functions here never raise, whatever the text, and their work is bounded: a megabyte of
brackets costs milliseconds.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

_CONTAINERS = re.compile(r"[{\[]")
_CONTAINERS_AND_STRINGS = re.compile(r'["{\[]')
_THINKING = re.compile(r"(?:\s*<(think|thinking|reasoning)>.*?(?:</\1>|\Z))+", re.DOTALL | re.IGNORECASE)
_LENIENT = json.JSONDecoder(strict=False)
_STRICT = json.JSONDecoder()
MAX_FAILURES = 4_000
"""Number of failed attempts to decode after which the rest of a text is skipped."""
MAX_WASTE = 4 * 2**20
"""Characters that failed attempts may read before the rest is skipped; an unclosed list makes every attempt long."""


class Span(NamedTuple):
    """A JSON object or array and its position in the text."""

    value: object
    start: int
    end: int


def json_spans(text: str) -> Iterator[Span]:
    """Yields the top-level JSON objects and arrays in *text*, left to right; other text around them is skipped.

    Raw line breaks inside strings are accepted.  An opening bracket that does not start valid JSON is skipped.
    """
    return _scan(text, _LENIENT, _CONTAINERS)


def strict_json_spans(text: str) -> Iterator[Span]:
    """Yields spans like :func:`json_spans`, but raw line breaks inside strings are not accepted.

    Top-level strings are values too, so JSON inside them is not found.
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
        except (ValueError, RecursionError):  # these do not report the position
            position, failures = opener.start() + 1, failures + 1
            waste += len(text) - opener.start()
        else:
            yield Span(value, opener.start(), end)
            position = end


def json_objects(text: str) -> Iterator[dict[str, object]]:
    """Yields the JSON objects in *text* that are top-level or in a top-level array, left to right."""
    for span in json_spans(text):
        for value in span.value if isinstance(span.value, list) else [span.value]:
            if isinstance(value, dict):
                yield value


def nested_objects(value: object, depth: int, *, in_lists: bool = False) -> Iterator[Mapping[str, object]]:
    """Yields *value*, if it is an object, and the objects at most *depth* levels inside it, outer ones first."""
    children: Iterable[object] = ()
    if isinstance(value, dict):
        yield value
        children = value.values()
    elif isinstance(value, list) and in_lists:
        children = value
    for child in children if depth else ():
        yield from nested_objects(child, depth - 1, in_lists=in_lists)


def first_value(value: Mapping[str, object], keys: Sequence[str]) -> object:
    """Returns the value of the first of *keys* that the object has; None when it has none of them."""
    return next((value[key] for key in keys if key in value), None)


def strip_reasoning(text: str) -> str:
    """Returns *text* without the reasoning blocks at its beginning; an unclosed block extends to the end of the text.

    Some chat templates put the opening tag into the prompt, so the reply contains only the closing tag.
    """
    if thinking := _THINKING.match(text):
        return text[thinking.end() :]
    reasoning, closing, rest = text.partition("</think>")
    return rest if closing and "<think>" not in reasoning else text


def as_text(value: object) -> str:
    """Returns a string unchanged and any other value as JSON."""
    try:
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except RecursionError:  # deep nesting that the decoder can just read, but the encoder cannot write
        return ""
