"""Reads fields of foreign JSON rows; errors name the field.

A reader stops at the first error, unless it is called by :func:`collect_faults`: then each error is recorded, and the
field has the neutral value of its type, so that the fields after it are read as well.
"""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")

MAX_AUTHORITY = 10
_NAMES = {str: "a string", int: "a whole number", dict: "an object", list: "a list", bool: "true or false"}


class RowError(ValueError):
    """A malformed row; ``field`` is the path of the field, or None for the whole row."""

    def __init__(self, problem: str, field: str | None = None) -> None:
        super().__init__(problem, field)
        self.problem, self.field = problem, field


_faults: ContextVar[list[RowError] | None] = ContextVar("faults", default=None)
"""Errors of the row that :func:`collect_faults` reads; None outside of it."""


def collect_faults(read: Callable[[], object]) -> tuple[RowError, ...]:
    """Returns the errors that *read*, a reader of one row, finds: the first one of each field.

    An error that follows from another, such as a reference to a user whose name is wrong, may be among them.
    """
    found: list[RowError] = []
    token = _faults.set(found)
    try:
        read()
    except RowError as error:
        found.append(error)
    except Exception:
        if not found:  # else a neutral value, which only occurs here, is not one that the reader can go on with
            raise
    finally:
        _faults.reset(token)
    first: dict[str, RowError] = {}
    for fault in found:
        first.setdefault(fault.field or fault.problem, fault)
    return tuple(first.values())


def refuse(error: RowError, neutral: T) -> T:
    """Raises *error*; within :func:`collect_faults`, records it and returns *neutral* instead."""
    found = _faults.get()
    if found is None:
        raise error
    found.append(error)
    return neutral


def _neutral(kind: type[T]) -> T:
    return kind()


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
        return refuse(RowError(f"expected an object, got {_shown(row)}", where or None), _neutral(kind))
    if field not in row:
        known = ", ".join(map(str, row)) or "none"
        return refuse(
            RowError(f"missing; expected {_NAMES[kind]} (the row has the fields {known})", path), _neutral(kind)
        )
    value = row[field]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        return refuse(RowError(f"expected {_NAMES[kind]}, got {_shown(value)}", path), _neutral(kind))
    return value


def read_optional_text(row: Mapping[str, object], field: str) -> str:
    """Returns ``row[field]``; empty when the field is missing or is no text."""
    value = row.get(field)
    return value if isinstance(value, str) else ""


def read_choice(row: object, field: str, choices: tuple[str, ...], where: str = "") -> str:
    """Returns ``row[field]``, one of *choices*.

    Raises:
        RowError: the field is missing or has another value.
    """
    value = read_field(row, field, str, where)
    if value in choices:
        return value
    if isinstance(row, Mapping) and row.get(field) is value:  # else the fault is recorded, and the value is neutral
        path = f"{where}.{field}" if where else field
        refuse(RowError(f"expected one of {', '.join(choices)}; got {_shown(value)}", path), None)
    return choices[0]


def read_authority(row: object, where: str = "") -> int:
    """Returns ``row["authority"]``, from 1 to 10.

    Raises:
        RowError: the field is missing or has another value.
    """
    value = read_field(row, "authority", int, where)
    if 1 <= value <= MAX_AUTHORITY:
        return value
    if isinstance(row, Mapping) and row.get("authority") is value:
        path = f"{where}.authority" if where else "authority"
        refuse(RowError(f"expected a whole number from 1 to {MAX_AUTHORITY}, got {_shown(value)}", path), None)
    return 1


def read_strings(row: object, field: str, where: str = "") -> tuple[str, ...]:
    """Returns ``row[field]``, a list of strings.

    Raises:
        RowError: the field is missing or of another type.
    """
    path = f"{where}.{field}" if where else field
    values = read_field(row, field, list, where)
    wrong = [(index, value) for index, value in enumerate(values) if not isinstance(value, str)]
    for index, value in wrong:
        refuse(RowError(f"expected a string, got {_shown(value)}", f"{path}[{index}]"), None)
    return tuple("" if not isinstance(value, str) else value for value in values) if wrong else tuple(values)


def read_objects(row: object, field: str, where: str = "") -> tuple[tuple[str, Mapping[str, object]], ...]:
    """Returns ``row[field]``, a list of objects, as (path, object) pairs.

    Raises:
        RowError: the field is missing or of another type.
    """
    path = f"{where}.{field}" if where else field
    pairs = []
    for index, value in enumerate(read_field(row, field, list, where)):
        if isinstance(value, Mapping):
            pairs.append((f"{path}[{index}]", value))
        else:
            refuse(RowError(f"expected an object, got {_shown(value)}", f"{path}[{index}]"), None)
    return tuple(pairs)
