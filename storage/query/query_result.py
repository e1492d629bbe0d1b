"""The result of an untrusted query, as bounded JSON between the sandbox's process and ours.

The process that ran the query is not trusted, so its reply is JSON of limited size, and every part of it is checked.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from muses_eval.pipeline.errors import MusesError

_MB = 2**20


class QueryRefusedError(MusesError):
    """The query is not allowed, is wrong, or exceeds a limit."""


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """Limits of one query."""

    seconds: float = 30.0
    """Seconds from the start of its process to its end."""
    memory_mb: int = 1024
    rows: int = 10_000
    columns: int = 1000
    """A result with more columns is refused."""
    result_mb: int = 16
    """Size of the result as JSON; further rows are left out."""
    cell_chars: int = 100_000
    """Characters of a text, or of a nested value as JSON; longer ones are cut."""


DEFAULT_LIMITS = QueryLimits()


@dataclass(frozen=True, slots=True)
class ResultTable:
    """Result of a query."""

    columns: tuple[str, ...]
    """Names of the columns; several may have the same name."""
    rows: tuple[tuple[Any, ...], ...]
    """Values: None, bool, int, float, str, Decimal, datetime, and lists and dictionaries of the first five."""
    truncated: bool
    """True when there were more rows than the limits allow."""
    cut: bool
    """True when a value was longer than the limits allow, and is cut."""
    lost: tuple[str, ...]
    """Descriptions of damaged objects that the result does not include."""


def encode_table(schema: pa.Schema, batches: Iterable[pa.RecordBatch], limits: QueryLimits) -> dict[str, Any]:
    """Returns the columns and as many rows as the limits allow, as values for JSON.

    Raises:
        QueryRefusedError: too many columns, or a value that Python does not have.
    """
    if len(schema) > limits.columns:
        raise QueryRefusedError(f"the result has {len(schema):,} columns; expected at most {limits.columns:,}")
    columns = [(field.name, _kind(field.type)) for field in schema]
    rows: list[list[Any]] = []
    size = sum(len(name.encode()) for name, _ in columns)
    cut = truncated = False
    for values in _rows(batches):
        whole = [_plain(value) for value in values]
        row = [_shortened(value, limits.cell_chars) for value in whole]
        size += len(json.dumps(row, default=str, ensure_ascii=False).encode())
        if len(rows) == limits.rows or size > limits.result_mb * _MB:
            truncated = True
            break
        cut = cut or any(kept is not value for kept, value in zip(row, whole, strict=True))
        rows.append(row)
    return {"columns": columns, "rows": rows, "truncated": truncated, "cut": cut}


def decode_table(reply: Mapping[str, Any]) -> ResultTable:
    """Returns the table that :func:`encode_table` encoded.

    Raises:
        ValueError, TypeError, KeyError, ArithmeticError: the reply has another form.
    """
    parsers = [_PARSERS[kind] for _, kind in reply["columns"]]
    rows = tuple(
        tuple(None if value is None else parse(value) for parse, value in zip(parsers, row, strict=True))
        for row in reply["rows"]
    )
    names = tuple(str(name) for name, _ in reply["columns"])
    lost = tuple(str(each) for each in reply["lost"])
    return ResultTable(names, rows, bool(reply["truncated"]), bool(reply["cut"]), lost)


_PARSERS = {"plain": lambda value: value, "decimal": Decimal, "timestamp": datetime.fromisoformat}


def _kind(arrow_type: pa.DataType) -> str:
    if pa.types.is_decimal(arrow_type):
        return "decimal"
    return "timestamp" if pa.types.is_timestamp(arrow_type) else "plain"


def _rows(batches: Iterable[pa.RecordBatch]) -> Iterator[Sequence[Any]]:
    for batch in batches:
        try:
            columns = [column.to_pylist() for column in batch.columns]
        except UnicodeDecodeError:  # a damaged object
            raise
        except (OverflowError, ValueError) as error:
            raise QueryRefusedError(f"a value of the result cannot be shown ({error}); cast it to text") from None
        yield from zip(*columns, strict=True)


def _plain(value: object) -> object:
    """Returns a value for JSON."""
    if isinstance(value, datetime):
        return value.isoformat()
    return value if value is None or isinstance(value, (bool, int, float, str, list, tuple, dict)) else str(value)


def _shortened(value: object, chars: int) -> object:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return f"{text[:chars]}…" if len(text) > chars else value
