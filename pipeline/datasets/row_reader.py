"""Reads fields of foreign JSON rows; errors name the field."""

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")

_NAMES = {str: "a string", int: "a whole number", dict: "an object", list: "a list", bool: "true or false"}


class RowError(ValueError):
    """A malformed row; ``field`` is the path of the field, or None for the whole row."""

    def __init__(self, problem: str, field: str | None = None) -> None:
        super().__init__(problem, field)
        self.problem, self.field = problem, field


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def read_field(row: object, field: str, kind: type[T], where: str = "") -> T:
    """Returns ``row[field]``.  *where* is the path of the row, for messages.

    Raises:
        RowError: the row is not an object, or the field is missing or of another type.
    """
    path = f"{where}.{field}" if where else field
    if not isinstance(row, Mapping):
        raise RowError(f"expected an object, got {_shown(row)}", where or None)
    if field not in row:
        known = ", ".join(map(str, row)) or "none"
        raise RowError(f"missing; expected {_NAMES[kind]} (the row has the fields {known})", path)
    value = row[field]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise RowError(f"expected {_NAMES[kind]}, got {_shown(value)}", path)
    return value


def read_optional_text(row: Mapping[str, object], field: str) -> str:
    """Returns ``row[field]``; empty when the field is missing or is no text."""
    value = row.get(field)
    return value if isinstance(value, str) else ""


def read_choice(row: object, field: str, choices: tuple[str, ...]) -> str:
    """Returns ``row[field]``, one of *choices*.

    Raises:
        RowError: the field is missing or has another value.
    """
    value = read_field(row, field, str)
    if value not in choices:
        raise RowError(f"expected one of {', '.join(choices)}; got {value!r}", field)
    return value


def read_strings(row: object, field: str, where: str = "") -> tuple[str, ...]:
    """Returns ``row[field]``, a list of strings.

    Raises:
        RowError: the field is missing or of another type.
    """
    path = f"{where}.{field}" if where else field
    values = read_field(row, field, list, where)
    for index, value in enumerate(values):
        if not isinstance(value, str):
            raise RowError(f"expected a string, got {_shown(value)}", f"{path}[{index}]")
    return tuple(values)


def read_objects(row: object, field: str, where: str = "") -> tuple[tuple[str, Mapping[str, object]], ...]:
    """Returns ``row[field]``, a list of objects, as (path, object) pairs.

    Raises:
        RowError: the field is missing or of another type.
    """
    path = f"{where}.{field}" if where else field
    pairs = []
    for index, value in enumerate(read_field(row, field, list, where)):
        if not isinstance(value, Mapping):
            raise RowError(f"expected an object, got {_shown(value)}", f"{path}[{index}]")
        pairs.append((f"{path}[{index}]", value))
    return tuple(pairs)
