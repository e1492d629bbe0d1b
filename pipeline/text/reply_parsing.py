"""Extracts JSON from the replies of models.

Replies are untrusted.  The functions here never raise, whatever the text, and their work is bounded: a megabyte of
brackets costs less than a second.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from muses_eval.pipeline.text.tolerant_json import Budget, decode

_CONTAINERS = re.compile(r"[{\[]")
_LENIENT = json.JSONDecoder(strict=False)
_PUNCTUATION = re.compile(r"[\W_]+")
MAX_TOKENS = 50_000
"""Tokens of a text that are read tolerantly."""
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

    What is not strict JSON is read by :mod:`tolerant_json`.  An opening bracket that does not start data is skipped.
    """
    tolerance = Budget(MAX_TOKENS)
    position = failures = waste = 0
    while failures < MAX_FAILURES and waste < MAX_WASTE and (opener := _CONTAINERS.search(text, position)):
        start = opener.start()
        try:
            value, position = _LENIENT.raw_decode(text, start)
        except (ValueError, RecursionError) as error:
            # Only a decoding error reports its position.
            waste += (error.pos if isinstance(error, json.JSONDecodeError) else len(text)) - start
            if (found := decode(text, start, tolerance)) is None:
                position, failures = start + 1, failures + 1
                continue
            value, position = found
        yield Span(value, start, position)


def json_objects(text: str) -> Iterator[dict[str, object]]:
    """Yields the JSON objects in *text* that are top-level or in a top-level array, left to right."""
    for span in json_spans(text):
        for value in span.value if isinstance(span.value, list) else [span.value]:
            if isinstance(value, dict):
                yield value


def without_spans(text: str, spans: Iterable[Span]) -> str:
    """Returns the text around *spans*, which are in order."""
    kept, position = [], 0
    for span in spans:
        kept.append(text[position : span.start])
        position = span.end
    return "".join([*kept, text[position:]])


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
    """Returns the value of the first of *keys* that the object has in any spelling; None when it has none of them."""
    if found := next((key for key in keys if key in value), None):
        return value[found]
    spelled = {plain_key(key): key for key in reversed(list(value))}
    return next((value[spelled[key]] for key in map(plain_key, keys) if key in spelled), None)


def plain_key(key: str) -> str:
    """Returns a key without case and punctuation, so that ``finalSchedule`` and ``Final schedule`` are one key."""
    return _PUNCTUATION.sub("", unicodedata.normalize("NFKC", key)).casefold()


def as_text(value: object) -> str:
    """Returns a string unchanged and any other value as JSON."""
    try:
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except RecursionError:  # deep nesting that the decoder can just read, but the encoder cannot write
        return ""
