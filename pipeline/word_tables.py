"""Reads word tables: TOML files next to the modules that use them, as frozen values.

The schema of a table is a dataclass, whose fields are the entries.  An entry must not be missing, unknown or of another
type, and a list must not be empty.  The type of a field is a string, an integer, a literal, a tuple of any length, a
mapping, a dataclass, or a union of dataclasses with a literal as the first field (the tag).  A string with placeholders
is annotated with :class:`Placeholders`.

Pydantic could do the same, but importing it takes longer than reading all tables, and every worker process needs some
of them.
"""

import string
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from importlib.resources import files
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from muses_eval.pipeline.datasets.row_reader import RowError
from muses_eval.pipeline.errors import DatasetError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Placeholders:
    """Names of the placeholders in a text, each written as ``{name}``."""

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    def problem(self, text: str) -> str | None:
        """Returns why the placeholders in *text* are wrong (missing or unknown), or None when they are right."""
        found = placeholders_of(text)
        if missing := set(self.required) - found:
            return f"the placeholders {_listed(missing)} are missing in {text!r}"
        if unknown := found - {*self.required, *self.optional}:
            return f"unknown placeholders {_listed(unknown)} in {text!r}"
        return None


def placeholders_of(text: str) -> set[str]:
    """Returns the names of all placeholders in *text*."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def read_word_table(kind: type[T], package: str, name: str) -> T:
    """Reads the file *name* of *package* as a value of the dataclass *kind*.

    Raises:
        DatasetError: the file is missing, is not TOML, or has an entry that *kind* does not allow.  The error names the
            entry.
    """
    source = f"{package.replace('.', '/')}/{name}"
    try:
        raw = tomllib.loads(files(package).joinpath(name).read_text(encoding="utf-8"))
    except OSError as error:
        raise DatasetError(source, f"this part of the installation cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DatasetError(source, f"expected a TOML file in UTF-8: {error}") from error
    try:
        return cast(T, _read(kind, raw, ""))
    except RowError as error:
        raise DatasetError(source, error.problem, field=error.field) from error


def _read(kind: object, value: object, where: str) -> object:
    """Converts *value* to *kind*, a type or a construct of :mod:`typing`.  *where* is the path in the file."""
    arguments = get_args(kind)
    match get_origin(kind):
        case None:
            read = _read_table if is_dataclass(kind) else _expect
            return read(cast(type, kind), value, where)
        case origin if origin is Annotated:
            return _read_text(arguments[1], value, where)
        case origin if origin is UnionType:
            return _read_table(_variant(arguments, value, where), value, where)
        case origin if origin is Literal:
            return _read_literal(arguments, value, where)
        case origin if origin is tuple:
            items = enumerate(_expect(list, value, where))
            return tuple(_read(arguments[0], each, f"{where}[{index}]") for index, each in items)
        case _:
            names, values = arguments
            return _read_mapping(names, values, value, where)


def _read_table(kind: type[T], value: object, where: str) -> T:
    table, types = _expect(dict, value, where), get_type_hints(kind, include_extras=True)
    required = {field.name for field in fields(cast(Any, kind)) if field.default is MISSING}
    if missing := required - table.keys():
        raise RowError(f"the entries {_listed(missing)} are missing", where or None)
    if unknown := table.keys() - types.keys():
        raise RowError(f"the entries {_listed(unknown)} are unknown; expected {_listed(types)}", where or None)
    values = {name: _read(types[name], each, _entry(where, name)) for name, each in table.items()}
    try:
        return kind(**values)
    except ValueError as error:
        raise RowError(str(error), where or None) from error


def _read_mapping(names: object, values: object, value: object, where: str) -> Mapping[object, object]:
    """Converts a mapping.  When the keys are literals, every key is required."""
    table = _expect(dict, value, where)
    if get_origin(names) is Literal and (missing := set(get_args(names)) - table.keys()):
        raise RowError(f"the entries {_listed(missing)} are missing", where or None)
    return {_read(names, name, where): _read(values, each, _entry(where, name)) for name, each in table.items()}


def _variant(kinds: tuple[type, ...], value: object, where: str) -> type:
    """Returns the dataclass whose first field, a literal, has the value that *value* has."""
    tag = fields(kinds[0])[0].name
    variants = {get_args(get_type_hints(kind)[tag])[0]: kind for kind in kinds}
    chosen = _read_literal(tuple(variants), _expect(dict, value, where).get(tag), _entry(where, tag))
    return variants[chosen]


def _read_literal(allowed: tuple[str, ...], value: object, where: str) -> str:
    text = _expect(str, value, where)
    if text not in allowed:
        raise RowError(f"expected one of {_listed(allowed)}, got {text!r}", where)
    return text


def _read_text(placeholders: Placeholders, value: object, where: str) -> str:
    text = _expect(str, value, where)
    try:
        problem = placeholders.problem(text)
    except ValueError as error:  # a brace that belongs to no placeholder
        problem = f"{error} in {text!r}"
    if problem is not None:
        raise RowError(problem, where)
    return text


_NAMES = {str: "a string", int: "a whole number", dict: "a table", list: "a list"}


def _expect(kind: type[T], value: object, where: str) -> T:
    if type(value) is not kind:
        raise RowError(f"expected {_NAMES[kind]}, got {value!r:.60}", where or None)
    if value == []:
        raise RowError("expected a list of at least one entry, got an empty one", where)
    return value


def _entry(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, sorted(names)))
