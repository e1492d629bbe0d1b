"""JSON is extracted from any reply of a model, without exceptions and in bounded time."""

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from muses_eval.pipeline.text.reasoning import strip_reasoning
from muses_eval.pipeline.text.reply_parsing import (
    MAX_FAILURES,
    MAX_WASTE,
    as_text,
    first_value,
    json_objects,
    json_spans,
    nested_objects,
)

from tests.strategies import JSON_VALUES, model_texts

MEGABYTE = 2**20


@given(model_texts())
def test_no_text_raises(text: str) -> None:
    """Spans are in order and do not overlap, for any text."""
    position = 0
    for span in json_spans(text):
        assert position <= span.start < span.end <= len(text)
        assert isinstance(span.value, (dict, list))
        position = span.end
    assert all(isinstance(value, dict) for value in json_objects(text))


@given(JSON_VALUES)
def test_an_object_in_prose_is_found(value: Any) -> None:
    found = list(json_objects(f"Well, {{so}} I say:\n```json\n{json.dumps({'a': value})}\n```\nand that is [it]."))
    assert json.dumps(found) == json.dumps([{"a": value}])


def test_objects_are_found_side_by_side_and_in_arrays() -> None:
    assert list(json_objects('{"a": 1}{"b": 2} and [{"c": 3}, 4, "x", {"d": 5}]')) == [
        {"a": 1},
        {"b": 2},
        {"c": 3},
        {"d": 5},
    ]


def test_nested_lists_are_one_value() -> None:
    """Values inside nested arrays belong to the outer value and are not separate messages."""
    text = '[[{"a": 1}], {"b": [{"c": 2}]}]'
    assert [span.value for span in json_spans(text)] == [[[{"a": 1}], {"b": [{"c": 2}]}]]
    assert list(json_objects(text)) == [{"b": [{"c": 2}]}]


def test_raw_line_breaks_inside_strings_are_accepted() -> None:
    assert list(json_objects('{"a": "one\ntwo\tthree\x00"}')) == [{"a": "one\ntwo\tthree\x00"}]


def test_json_after_a_broken_beginning_is_found() -> None:
    assert list(json_objects('{"a": {oops {"b": 1}')) == [{"b": 1}]


@pytest.mark.parametrize(
    "text",
    [
        "[" * MEGABYTE,
        "{" * MEGABYTE,
        '{"a":' * (MEGABYTE // 5),
        "[{" * (MEGABYTE // 2),
        '["' + "\\" * MEGABYTE,
        "[" + "1" * MEGABYTE,
        "[" * MEGABYTE + "]" * MEGABYTE,
        "```" * (MEGABYTE // 3),
        '["\ud800", ' * (MEGABYTE // 8),
        "[1" + "," * MEGABYTE,
        ("[" + "1," * 550) * 900,
        ("[" + "1," * 550) * 1800,
    ],
    ids=lambda text: text[:8],
)
def test_the_work_on_a_malicious_megabyte_is_bounded(text: str) -> None:
    """The number of failed attempts and the characters that they read are bounded."""
    assert len(list(json_spans(text))) <= MAX_FAILURES
    assert list(json_objects(text)) == []


def test_the_number_of_attempts_is_bounded() -> None:
    assert list(json_objects("[x" * (MAX_FAILURES - 1) + '{"a": 1}')) == [{"a": 1}]
    assert list(json_objects("[x" * MAX_FAILURES + '{"a": 1}')) == []


def test_the_characters_of_failed_attempts_are_bounded() -> None:
    """An unclosed list costs its length at every opening bracket; after a limit, the rest is skipped."""
    unclosed = "[" + "1," * (MAX_WASTE // 32)
    assert list(json_objects(unclosed * 3 + '{"a": 1}')) == [{"a": 1}]
    assert list(json_objects(unclosed * 30 + '{"a": 1}')) == []


def test_integers_that_python_cannot_parse_are_text() -> None:
    """Integers with too many digits raise a ValueError that is not a JSONDecodeError."""
    digits = "9" * (sys.get_int_max_str_digits() + 1)
    assert list(json_objects(f'{{"a": {digits}}}')) == [{"a": digits}]


def test_values_as_text() -> None:
    assert as_text("é") == "é"
    assert as_text({"a": ["é", 1, None]}) == '{"a": ["é", 1, null]}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<think>draft</think>Yes.", "Yes."),
        ("\n <THINKING>a\n{b}</Thinking>\nYes.", "\nYes."),
        ("<reasoning>a</think> b</reasoning>Yes.", "Yes."),
        ("<think>a</think>\n<think></think>\n<reasoning>b</reasoning>Yes.", "Yes."),
        ("<think>a</think> Yes. <think>b</think>", " Yes. "),
        ("<think>cut off", ""),
        ("<think>a</think><thinking>cut off", ""),
        ("Yes. <think>cut off", "Yes. "),
        ("The tag `<think>` is a tag", "The tag `<think>` is a tag"),
        ("<thinker>Yes.", "<thinker>Yes."),
        ("opened in the prompt</think>Yes.", "Yes."),
        ("Yes. <think>b</think>", "Yes. "),
        ("", ""),
    ],
)
def test_reasoning_is_removed(text: str, said: str) -> None:
    assert strip_reasoning(text) == said


def test_a_megabyte_of_reasoning_is_removed() -> None:
    assert strip_reasoning("<think>" * (MEGABYTE // 7)) == ""
    assert strip_reasoning("<think></think>" * (MEGABYTE // 15) + "Yes.") == "Yes."
    assert strip_reasoning("<think>" + "</thinking>" * (MEGABYTE // 11) + "</think>Yes.") == "Yes."


def test_objects_in_objects_come_after_the_outer_ones() -> None:
    inner = {"c": 1}
    value = {"a": {"b": inner}, "d": [inner]}
    assert list(nested_objects(value, 3)) == [value, {"b": inner}, inner]
    assert list(nested_objects(value, 1)) == [value, {"b": inner}]
    assert list(nested_objects(value, 0)) == [value]
    assert list(nested_objects([inner], 3)) == []
    assert list(nested_objects(value, 3, in_lists=True)) == [value, {"b": inner}, inner, inner]
    assert list(nested_objects([[[inner]]], 2, in_lists=True)) == []


def test_the_first_present_key_counts() -> None:
    assert first_value({"b": 1, "a": None}, ("a", "b")) is None
    assert first_value({"b": 1}, ("a", "b")) == 1
    assert first_value({}, ("a", "b")) is None
