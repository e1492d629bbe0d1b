"""Reading JSON out of what models write.

Model text is untrusted: every function here returns what it found and never raises, whatever the text, and the work
is bounded, so that a megabyte of brackets costs milliseconds.
"""

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

_FENCE = re.compile(r"```[^\n`]*\n?|```")
_OPENERS = re.compile(r"[{\[]")
_LENIENT = json.JSONDecoder(strict=False)
MAX_ATTEMPTS = 2_000
"""Openers at which decoding is tried before a text is given up as not JSON."""
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
    position = attempts = waste = 0
    while attempts < MAX_ATTEMPTS and waste < MAX_WASTE and (opener := _OPENERS.search(text, position)):
        attempts += 1
        try:
            value, end = _LENIENT.raw_decode(text, opener.start())
        except json.JSONDecodeError as error:
            position = opener.start() + 1
            waste += error.pos - opener.start()
        except (ValueError, RecursionError):  # neither says how far it came
            position = opener.start() + 1
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
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
