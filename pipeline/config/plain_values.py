"""Limits of all values in a configuration, whether it comes from a file or from Python.

They are checked before a section is parsed, so that a value that is nested without end, too large, or not text cannot
take long or fail in another place.
"""

import math
import re
from collections.abc import Iterator, Mapping

from muses_eval.pipeline.errors import ConfigError

MAX_DEPTH = 50
"""Levels of nesting.  A configuration of all options has about six."""
MAX_VALUES = 20_000
"""Number of keys and values, with each shared value counted wherever it occurs, and long texts by :func:`weight`."""
_SHOWN_CHARS = 100
_MAX_INT = 2**63 - 1
_NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def check_values(raw: Mapping[str, object], source: str) -> None:
    """Checks all values of a configuration; values of other types than JSON's are left to the sections.

    Args:
        raw: the configuration.
        source: its name in messages.

    Raises:
        ConfigError: a limit is exceeded, or a text has characters that are no text; the message names the place.
    """
    number = 0
    for value, where, depth in _walk(raw, "", 0):
        number += weight(value)
        if problem := _problem(value, number, depth):
            raise ConfigError(f"{source}: {where[:_SHOWN_CHARS] or 'config'}: {problem}")


def weight(value: object) -> int:
    """Returns as how many values a value counts: a text as one for each hundred characters, anything else as one."""
    return 1 + len(value) // 100 if isinstance(value, str) else 1


def _walk(value: object, where: str, depth: int) -> Iterator[tuple[object, str, int]]:
    """Yields a value and all values in it, each before those in it, with their places and levels."""
    yield value, where, depth
    match value:
        case Mapping():
            for key, inner in value.items():
                yield from _walk(key, where, depth) if isinstance(key, str) else ()
                yield from _walk(inner, f"{where}.{key}" if where else str(key), depth + 1)
        case list() | tuple():
            for index, inner in enumerate(value):
                yield from _walk(inner, f"{where}[{index}]", depth + 1)
        case _:
            pass


def _problem(value: object, number: int, depth: int) -> str | None:
    """Returns what is wrong with a value, of a configuration with *number* values so far; None when it can be one."""
    if number > MAX_VALUES:
        return f"more than {MAX_VALUES:,} values in all, each shared one counted wherever it occurs"
    if depth > MAX_DEPTH:
        return f"nested more than {MAX_DEPTH} levels deep; does a value contain itself?"
    match value:
        case str() if found := _NOT_TEXT.search(value):
            return f"the character U+{ord(found.group()):04X} is not text; remove it"
        case int() if abs(value) > _MAX_INT:
            return "a whole number of more than 64 bits; expected at most 19 digits"
        case float() if not math.isfinite(value):
            return f"expected a finite number, got {value}"
        case _:
            return None
