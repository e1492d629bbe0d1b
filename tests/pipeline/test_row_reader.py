"""Fields of rows are read; errors name the field, the value and what was expected."""

from typing import Any

import pytest
from hypothesis import given
from muses_eval.pipeline.datasets.row_reader import RowError, read_field, read_objects, read_strings

from tests.strategies import JSON_VALUES


def problem(error: pytest.ExceptionInfo[RowError]) -> tuple[str | None, str]:
    return error.value.field, error.value.problem


def test_valid_fields_are_read() -> None:
    row = {"a": "x", "n": 3, "l": ["y"], "o": [{"k": 1}], "b": True}
    assert read_field(row, "a", str) == "x"
    assert read_field(row, "n", int) == 3
    assert read_field(row, "b", bool) is True
    assert read_strings(row, "l") == ("y",)
    assert read_objects(row, "o") == (("o[0]", {"k": 1}),)


@pytest.mark.parametrize(
    ("row", "kind", "field", "words"),
    [
        ({}, str, "a", ("missing", "a string", "none")),
        ({"b": 1, "c": 2}, str, "a", ("missing", "b, c")),
        ({"a": 5}, str, "a", ("expected a string", "got 5")),
        ({"a": True}, int, "a", ("expected a whole number", "got True")),
        ({"a": 1.0}, int, "a", ("expected a whole number", "got 1.0")),
        ({"a": None}, list, "a", ("expected a list", "got None")),
        ([1], str, None, ("expected an object", "got [1]")),
    ],
)
def test_invalid_fields_are_named(row: object, kind: Any, field: str | None, words: tuple[str, ...]) -> None:
    with pytest.raises(RowError) as error:
        read_field(row, "a", kind)
    assert error.value.field == field
    assert all(word in error.value.problem for word in words), error.value.problem


def test_positions_inside_lists_are_named() -> None:
    with pytest.raises(RowError) as error:
        read_strings({"l": ["x", 2]}, "l", "users[3]")
    assert problem(error) == ("users[3].l[1]", "expected a string, got 2")
    with pytest.raises(RowError) as error:
        read_objects({"o": [{}, "x"]}, "o")
    assert problem(error) == ("o[1]", "expected an object, got 'x'")
    with pytest.raises(RowError) as error:
        read_field("text", "a", str, "users[1]")
    assert error.value.field == "users[1]"


def test_a_message_stays_short() -> None:
    with pytest.raises(RowError) as error:
        read_field({"a": ["x" * 10_000]}, "a", str)
    assert len(error.value.problem) < 120


@given(JSON_VALUES)
def test_only_row_errors_are_raised(row: Any) -> None:
    for attempt in (read_strings, read_objects):
        try:
            attempt(row, "a")
        except RowError as error:
            assert error.field in ("a", None) or str(error.field).startswith("a[")  # noqa: PT017
