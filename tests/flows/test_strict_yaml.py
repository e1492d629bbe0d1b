"""YAML is read as it is written, or refused with its line, at a cost that its size bounds."""

import pytest
import yaml
from hypothesis import given
from muses_eval.flows.job.strict_yaml import MAX_BYTES, parse_yaml
from muses_eval.pipeline.errors import ConfigError

from tests.strategies import JSON_VALUES


def chain(entry: str) -> str:
    """Returns eleven anchors, each of which contains the one before nine times."""
    return "a0: &a0 {x: 1}\n" + "".join(
        f"a{level}: &a{level} {entry.replace('*', ', '.join([f'*a{level - 1}'] * 9))}\n" for level in range(1, 12)
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("# only a comment\n", None),
        ("\ufeffa: 1\r\nb: 2\r\n", {"a": 1, "b": 2}),
        ('{"a": [1, 2.5, true, null, "x"]}', {"a": [1, 2.5, True, None, "x"]}),
        ("{a: yes, b: off, c: ~, d: 1_000, e: 0x10}", {"a": True, "b": False, "c": None, "d": 1000, "e": 16}),
        ("a: 2026-11-30\nb: 1:30\nc: '0x10'\nd: !!str 5", {"a": "2026-11-30", "b": "1:30", "c": "0x10", "d": "5"}),
        ("on: 1\n50256: 2\n~: 3\n? k\n: 5", {"on": 1, "50256": 2, "~": 3, "k": 5}),
        ("a: &a [1]\nb: *a", {"a": [1], "b": [1]}),
        ("c: &c {x: 1, y: 2}\nd: {<<: *c, y: 3}", {"c": {"x": 1, "y": 2}, "d": {"x": 1, "y": 3}}),
        ("[&a {x: 1}, &b {x: 2, y: 2}, {<<: [*a, *b]}]", [{"x": 1}, {"x": 2, "y": 2}, {"x": 1, "y": 2}]),
        ("text: |\n  one\n  two\n", {"text": "one\ntwo\n"}),
    ],
)  # fmt: skip
def test_values_are_those_of_the_lines(text: str, value: object) -> None:
    assert parse_yaml(text.encode(), "f") == value


@given(JSON_VALUES)
def test_what_was_written_is_read(value: object) -> None:
    written = yaml.safe_dump({"value": value}, sort_keys=False).encode()
    assert repr(parse_yaml(written, "f")) == repr({"value": value})  # repr, because NaN differs from itself


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "f, line 3: the key 'a' is already in line 1; keep one of the two"),
        ("a:\n  - {b: 1, 'b': 2}", "f, line 2: the key 'b' is already in line 2; keep one of the two"),
        (chain("[*]"), "f, line 5: more than 20,000 values, with each alias written out; use fewer or shorter ones"),
        (chain("{<<: [*]}"), "more than 20,000 values"),
        ("a: &a " + "x" * 90_000 + "\nb: [" + "*a, " * 20_000 + "]", "f, line 2: more than 20,000 values"),
        ("a: &a [*a]", "f, line 1: the alias *a is inside its own anchor, so its value would contain itself"),
        ("a: *b", "f, line 1: the alias *b has no anchor &b above it"),
        ("a: {<<: 1}", "f, line 1: `<<` merges keys and values, or a list of them"),
        ("a: " + "[" * 20_000, "f, line 1: nested more than 50 levels deep"),
        ("a: " + "{a: " * 20_000, "f, line 1: nested more than 50 levels deep"),
        ("a:\n  " + "- " * 20_000, "f, line 2: nested more than 50 levels deep"),
        ("\n".join(" " * level + "a:" for level in range(300)), "f, line 51: nested more than 50 levels deep"),
        ("? " * 20_000 + "x", "f, line 1: a key is a list, keys and values, or an alias"),
        ("{a: b}: 1", "a key is a list, keys and values"),
        ("a: " + "9" * 5000, "f, line 1: a whole number of 5,000 digits; expected at most 19"),
        ("a: -010", "f, line 1: '-010' begins with 0, which means octal"),
        ("a: !!int x", "f, line 1: 'x' is not a whole number"),
        ("a: !!float x", "f, line 1: 'x' is not a number"),
        ("a: !!bool x", "f, line 1: 'x' is not a boolean; write true or false"),
        ("a: !!python/object/apply:os.system [x]", "f, line 1: the tag '!!python/object/apply:os.system' is not read"),
        ("a: !!binary aGk=", "the tag '!!binary' is not read"),
        ("a: !own x", "the tag '!own' is not read"),
        ("a: !!set {b, c}", "the tag '!!set' is not read"),
        ("a:\n\t- b", "f: not YAML: line 2, column 1: "),
        ("a:\n\t- b", "the line is indented with a tab: indent it with spaces"),
        ("a: @b", "put text that begins with @, ` or % in quotes"),
        ("a: b: c", "put text with a colon in quotes"),
        ("a: 'b", "found unexpected end of stream (while scanning a quoted scalar at line 1, column 4)"),
        ("a: 1\n---\nb: 2", "f, line 2: a second document begins; expected one"),
        ("a: 1\nb: x\0y", "f, line 2: the character U+0000 is not text"),
        ("a: 1" + " " * MAX_BYTES, "f: larger than 200,000 bytes"),
    ],
    ids=range(31),
)  # fmt: skip
def test_what_is_not_read_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_yaml(text.encode(), "f")
    assert message in str(error.value)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("a: 1".encode("utf-16"), "f: UTF-16 or UTF-32; save the file as UTF-8"),
        ("a: 1".encode("utf-32"), "f: UTF-16 or UTF-32; save the file as UTF-8"),
        ("a: 1".encode("utf-16-le"), "f, line 1: the character U+0000 is not text"),
        ("a: café".encode("latin-1"), "f: not UTF-8 (byte 7); save the file as UTF-8"),
    ],
)
def test_other_encodings_are_named(data: bytes, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_yaml(data, "f")
    assert str(error.value).startswith(message)
