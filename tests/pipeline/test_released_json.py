"""JSON as the released code reads it: the same values and failures as Python's decoder at every position."""

import json
from collections.abc import Callable

import pytest
from hypothesis import example, given, strategies as st
from muses_eval.pipeline.text import released_json
from muses_eval.pipeline.text.released_json import (
    MAX_DEPTH,
    FailedRowError,
    NotJsonError,
    read_document,
    values_in_reply,
)

from tests.cpu_limit import cpu_limit
from tests.strategies import model_texts

PIECES = (
    "{",
    "}",
    "[",
    "]",
    '"',
    "\\",
    ":",
    ",",
    '"a"',
    '"b":',
    "1",
    "-2.5e3",
    "true",
    "NaN",
    " ",
    "\n",
    "x",
    '\\"',
    "é",
)
PIECES += ('{"a":1}', "[1,", '{"k":[', '"\\u12"', '"\\u0041"', "1" * 4_301)
DEEP = 1_200
"""Levels that the released code cannot read, whatever the depth of its stack."""
LARGE = 80_000

Outcome = tuple[list[object], bool]
"""Values, and whether the row failed after them."""


def naive(text: str, *, skip_failures: bool) -> Outcome:
    """Decodes at every position in turn, which takes quadratic time."""
    text = text.strip().removeprefix("```json").removesuffix("```").strip()
    found: list[object] = []
    position = 0
    while position < len(text):
        try:
            value, end = json.JSONDecoder().raw_decode(text, position)
        except ValueError as error:
            if not skip_failures and not isinstance(error, json.JSONDecodeError):
                return found, True
            position += 1
            continue
        found += [value] if isinstance(value, (dict, list, str)) else []
        position = end
    return found, False


def ours(text: str, *, skip_failures: bool) -> Outcome:
    found: list[object] = []
    try:
        found.extend(values_in_reply(text, skip_failures=skip_failures))
    except FailedRowError:
        return found, True
    return found, False


def outcome(read: Callable[[str], object], text: str) -> str:
    try:
        return repr(read(text))
    except (NotJsonError, json.JSONDecodeError):
        return "not JSON"
    except (FailedRowError, ValueError):
        return "failed"


@pytest.fixture(params=["cheap", "costly"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Selects the reader for short texts, or that for long and deep ones, whatever the text is."""
    monkeypatch.setattr(released_json, "_CHEAP_CONTAINERS", 10**9 if request.param == "cheap" else -1)


TEXTS = st.one_of(model_texts(), st.lists(st.sampled_from(PIECES), max_size=40).map("".join))


@pytest.mark.usefixtures("reader")
def test_values_are_those_of_the_decoder_at_every_position() -> None:
    @given(TEXTS)
    @example('"a\\"[1,{"b":2}x')
    @example('{"k":["\\u12"1x{"k":1}')
    @example('[[1,{"a":[2]},x')
    def check(text: str) -> None:
        for skip in (True, False):
            assert repr(ours(text, skip_failures=skip)) == repr(naive(text, skip_failures=skip))
        assert outcome(read_document, text) == outcome(json.loads, text)

    check()


@pytest.mark.parametrize("digits", [4_300, 4_301])
@pytest.mark.parametrize("form", ["{}", "-{}", "x{}", '{{"a": [{}]}}', '[0, {{"b": {}}}]'])
def test_an_integer_of_more_than_4300_digits_fails(form: str, digits: int) -> None:
    text = form.format("7" * digits)
    failed = digits > 4_300
    assert ours(text, skip_failures=False)[1] is failed
    assert ours(f'{text} {{"b": 1}}', skip_failures=True)[0][-1] == {"b": 1}
    assert (outcome(read_document, text) == "failed") is (failed and not text.startswith("x"))


@pytest.mark.parametrize("text", ["12.{}", "1.{}", "1e5 0.{}", '"{}"', "0{}e1"])
def test_other_long_numbers_do_not_fail(text: str) -> None:
    assert ours(text.format("7" * 5_000), skip_failures=False)[1] is False


@pytest.mark.parametrize(("opener", "closer"), [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize(("depth", "read"), [(MAX_DEPTH, True), (MAX_DEPTH + 1, False), (DEEP, False)])
def test_nesting_has_a_limit(opener: str, closer: str, depth: int, read: bool) -> None:
    text = opener * depth + "1" + closer * depth
    assert ours(text, skip_failures=False)[1] is not read
    if read:
        assert read_document(text)
    else:
        with pytest.raises(FailedRowError):
            read_document(text)
    assert ours(f"{text} [3]", skip_failures=True)[0][-1] == [3]


def test_what_is_closed_inside_something_too_deep_is_read_from_there() -> None:
    """The outer levels fail, so the scan goes on inside them, up to the first level that is not too deep."""
    text = "[" * DEEP + '{"a": 1}' + "]" * DEEP
    ((found),), failed = ours(text, skip_failures=True)
    assert (found == [], failed) == (False, False)
    for _ in range(MAX_DEPTH - 1):
        assert isinstance(found, list)
        (found,) = found
    assert found == {"a": 1}


@pytest.mark.parametrize(
    "piece",
    [
        "[",
        "{",
        '{"a":',
        "[1,",
        '["a",',
        '{"a":"\\"',
        '\\"',
        '"\\"',
        '["\\"',
        '{"a": [1, 2]} ',
        "[" * 900 + "x",
        "7" * 4_301 + " ",
        ('"' + '\\"' * 500 + "\n"),
        "[" * 5_000 + "]" * 5_000,
    ],
)
def test_long_texts_are_read_in_linear_time(piece: str) -> None:
    """The decoder at every position takes far longer for each of these texts, or exceeds the depth of the stack."""
    text = piece * (LARGE // len(piece))
    with cpu_limit(10.0):
        ours(text, skip_failures=True)
        ours(text, skip_failures=False)
        outcome(read_document, text)
