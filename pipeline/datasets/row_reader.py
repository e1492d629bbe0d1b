"""Taking foreign JSON rows apart, with errors that name the field."""

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")

_NAMES = {str: "a text", int: "a whole number", dict: "an object", list: "a list", bool: "true or false"}


class RowError(ValueError):
    """A row is not what it should be; ``field`` names the place, or is None for the whole row."""

    def __init__(self, problem: str, field: str | None = None) -> None:
        super().__init__(problem, field)
        self.problem, self.field = problem, field


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def take(row: object, field: str, kind: type[T], where: str = "") -> T:
    """``row[field]``, which must be there and of this kind.  *where* is the path of the row for messages."""
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


def take_texts(row: object, field: str, where: str = "") -> tuple[str, ...]:
    """``row[field]``, which must be a list of texts."""
    path = f"{where}.{field}" if where else field
    values = take(row, field, list, where)
    for index, value in enumerate(values):
        if not isinstance(value, str):
            raise RowError(f"expected a text, got {_shown(value)}", f"{path}[{index}]")
    return tuple(values)


def take_objects(row: object, field: str, where: str = "") -> tuple[tuple[str, Mapping[str, object]], ...]:
    """``row[field]``, which must be a list of objects, as (path, object) pairs."""
    path = f"{where}.{field}" if where else field
    pairs = []
    for index, value in enumerate(take(row, field, list, where)):
        if not isinstance(value, Mapping):
            raise RowError(f"expected an object, got {_shown(value)}", f"{path}[{index}]")
        pairs.append((f"{path}[{index}]", value))
    return tuple(pairs)
