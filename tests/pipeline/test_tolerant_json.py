"""JSON is read as models write it, and text in brackets that is no data is not."""

import sys

import pytest
from hypothesis import given, settings, strategies as st
from muses_eval.pipeline.text.reply_parsing import json_objects, json_spans
from muses_eval.pipeline.text.tolerant_json import MAX_DEPTH, Budget, decode

from tests.strategies import model_texts


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1, // one\n "b": 2}', {"a": 1, "b": 2}),
        ('{"a": /* one */ 1}', {"a": 1}),
        ('{"a": 1, # one\n "b": 2}', {"a": 1, "b": 2}),
        ('{"a": [#1234, #5678]}', {"a": ["#1234", "#5678"]}),
        ('{"a": [1, 2,], "b": {"c": 1,},}', {"a": [1, 2], "b": {"c": 1}}),
        ('{"a": "x"\n "b": "y"}', {"a": "x", "b": "y"}),
        ("{'a': None, 'b': True, 'c': ('x', 'y')}", {"a": None, "b": True, "c": ["x", "y"]}),
        ("{'a': 'it's fine', 'b': \"it's\"}", {"a": "it's fine", "b": "it's"}),
        ('{"a": {"x", "y"}}', {"a": ["x", "y"]}),
        ("{“a”: “x”, “b”: ‘y’, „c“: «z»}", {"a": "x", "b": "y", "c": "z"}),
        ("{「a」：「x」，「b」：1}", {"a": "x", "b": 1}),
        ('{a: 1, b_c: "x", d e: "y"}', {"a": 1, "b_c": "x", "d e": "y"}),
        ('{"a": yes, "b": 13:30, "c": accept this}', {"a": "yes", "b": "13:30", "c": "accept this"}),
        ('{"a": [Ana, Bo]}', {"a": ["Ana", "Bo"]}),
        ('{"a" = 1, "b" => 2}', {"a": 1, "b": 2}),
        ('{"a": ["x", ...], …}', {"a": ["x"]}),
        ('{"a": [0123, 1e3, -2.5]}', {"a": ["0123", 1000.0, -2.5]}),
        ('{"a": "x\ny\tz"}', {"a": "x\ny\tz"}),
        ('{"a": "C:\\dir \\x"}', {"a": "C:\\dir \\x"}),
        ('{"a": "\\u00e9\\n", }', {"a": "é\n"}),
        ('{"a": "x" + "y"}', {"a": "xy"}),
        ('{"a": `x\ny`, "b": """x\n"y" z""", "c": 1}', {"a": "x\ny", "b": 'x\n"y" z', "c": 1}),
        ('{"a": ""Hello"", "b": "Good"}', {"a": '"Hello"', "b": "Good"}),
        ('{"a": "He said "hi" to me", "b": "Good"}', {"a": 'He said "hi" to me', "b": "Good"}),
        ('{"a": "The "boss" (the "old" one): fine", }', {"a": 'The "boss" (the "old" one): fine'}),
        ('{"a": "use {x}: y", "b": "}",}', {"a": "use {x}: y", "b": "}"}),
        ('{"a": "http://x.y/z # w", }', {"a": "http://x.y/z # w"}),
        ('{"a": [1, 2}', {"a": [1, 2]}),
        ('{"a": {"b": 1]}', {"a": {"b": 1}}),
        ('{\\"a\\": [\\"x\\"]}', {"a": ["x"]}),
        ('{"a": [1, 2], "b": [{"c": "x"}', {"a": [1, 2], "b": [{"c": "x"}]}),
        ('{"a": [1, 2], "b": "x y', {"a": [1, 2], "b": "x y"}),
        ('{"a": 1, "b":', {"a": 1}),
        ('{"a": "x"\n```\nMore text.', {"a": "x"}),
        ("['x', 1, None]", ["x", 1, None]),
    ],
)
def test_objects_and_lists(text: str, value: object) -> None:
    assert [span.value for span in json_spans(f"So: {text}")] == [value]


@pytest.mark.parametrize(
    "text",
    [
        "Well, {so} I say [it].",
        "[ref: 1234] is fine",
        "f(x) = {x: x > 0}",
        "Use `{name}` or {{name}} here, see [Ana](https://example.org).",
        "array[i] and {i}, {Ana, Bo}",
        "[Ana]: hello; [Bo, Cy]: bye",
        "- [x] done",
        "{",
        '["',
        "{'",
        "{a:",
    ],
)
def test_prose_is_not_data(text: str) -> None:
    assert list(json_spans(text)) == []


def test_the_next_object_is_found_after_prose_in_brackets() -> None:
    assert list(json_objects("For {x: x > 0} and [Ana], {'a': 1,} and {b: 'c'}")) == [{"a": 1}, {"b": "c"}]


def test_depth_is_bounded() -> None:
    def nested(depth: int) -> str:
        return "[" * depth + "1," + "]" * depth

    assert decode(nested(MAX_DEPTH), 0, Budget(10_000)) is not None
    assert decode(nested(MAX_DEPTH + 2), 0, Budget(10_000)) is None


def test_work_is_bounded() -> None:
    text = "[" + "1," * 1000 + "]"
    assert decode(text, 0, Budget(10_000)) is not None
    assert decode(text, 0, Budget(500)) is None


def test_long_integers_are_text() -> None:
    digits = "9" * (sys.get_int_max_str_digits() + 1)
    assert list(json_objects(f"{{'a': {digits}}}")) == [{"a": digits}]


@given(model_texts(), st.integers(0, 50))
@settings(max_examples=200)
def test_no_text_raises(text: str, start: int) -> None:
    for opener in "{[":
        found = decode(opener + text, 0, Budget(2_000))
        assert found is None or 0 < found[1] <= len(text) + 1
