"""The constraints in their plain sense, for texts of many languages and formats.

``plain_constraints.toml`` has the cases: for every constraint, texts that follow it and texts that do not.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from muses_eval.pipeline.families.instruct.constraints.constraint import read_constraint
from muses_eval.pipeline.families.instruct.constraints.corrected_checkers import passes
from muses_eval.pipeline.families.instruct.constraints.list_items import bullets
from muses_eval.pipeline.families.instruct.constraints.plain_sentences import SentenceCount, count_sentences
from muses_eval.pipeline.families.instruct.constraints.quotation_marks import is_quoted
from muses_eval.pipeline.families.instruct.constraints.words import count_words, occurrences
from muses_eval.pipeline.families.instruct.constraints.written_language import is_written_in

from tests.shared import fuzz, needs_shared
from tests.strategies import model_texts

TABLES: dict[str, Any] = tomllib.loads(Path(__file__).with_name("plain_constraints.toml").read_text(encoding="utf-8"))

PIECES = (
    *(
        "- ",
        "* ",
        "\n",
        "\n\n",
        "```\n",
        "***",
        "<<",
        ">>",
        "Dr. ",
        "No. 5",
        "3.14",
        "今天",
        "学生です",
        "สวัสดี",
        "नमस्ते",
    ),
    *(
        "OK",
        '"',
        "“",
        "»",
        "\\*",
        "&#42;",
        "&amp;",
        "[a](b)",
        "_",
        "'t",
        "p.m. ",
        "。",
        "؟",
        "\u0301",
        "\u2029",
        "\u200b",
        "\ud800",
    ),
)


def follows(identifier: str, text: str, **arguments: object) -> bool:
    return passes(identifier, read_constraint(identifier, arguments, "").kwargs, text)


def judged(table: Mapping[str, Any]) -> list[tuple[str, bool]]:
    """Returns (text, whether it holds) for all texts of a table."""
    return [(text, verdict == "holds") for verdict in ("holds", "fails") for text in table[verdict]]


@pytest.mark.parametrize("table", TABLES["constraints"], ids=lambda table: f"{table['id']} {table['arguments']}")
def test_a_constraint_has_its_plain_sense(table: Mapping[str, Any]) -> None:
    constraint = read_constraint(table["id"], table["arguments"], "")
    wrong = [text for text, expected in judged(table) if passes(constraint.id, constraint.kwargs, text) is not expected]
    assert wrong == []


@pytest.mark.parametrize(("code", "table"), TABLES["languages"].items(), ids=TABLES["languages"])
def test_the_language_is_that_a_reader_sees(code: str, table: Mapping[str, Any]) -> None:
    name = "language:response_language"
    assert [text for text, expected in judged(table) if follows(name, text, language=code) is not expected] == []


@pytest.mark.parametrize(("text", "number"), TABLES["words"].items())
def test_words_are_counted_as_a_person_counts_them(text: str, number: int) -> None:
    assert count_words(text).most == number


@pytest.mark.parametrize(("text", "fewest"), TABLES["estimated_words"].items())
def test_words_of_chinese_and_japanese_are_a_range(text: str, fewest: int) -> None:
    assert count_words(text).fewest == fewest
    name = "length_constraints:number_words"
    characters = sum(map(str.isalpha, text))
    assert follows(name, text, relation="at least", num_words=characters)
    assert follows(name, text, relation="less than", num_words=fewest + 1)
    assert not follows(name, text, relation="at least", num_words=characters + 1)
    assert not follows(name, text, relation="less than", num_words=fewest)


@pytest.mark.parametrize(("word", "text", "number"), TABLES["occurrences"])
def test_a_keyword_is_a_whole_word(word: str, text: str, number: int) -> None:
    assert occurrences(word, text) == number


@pytest.mark.parametrize(("text", "number"), TABLES["sentences"].items())
def test_sentences_are_counted_as_a_person_counts_them(text: str, number: int) -> None:
    assert count_sentences(text).most == number


@pytest.mark.parametrize(("text", "fewest", "most"), TABLES["fragments"])
def test_headings_and_items_without_a_mark_count_only_towards_a_minimum(text: str, fewest: int, most: int) -> None:
    assert count_sentences(text) == SentenceCount(fewest, most)
    name = "length_constraints:number_sentences"
    assert follows(name, text, relation="at least", num_sentences=most)
    assert follows(name, text, relation="less than", num_sentences=fewest + 1)


@pytest.mark.parametrize(("text", "number"), TABLES["bullets"].items())
def test_bullets_are_counted_as_a_person_counts_them(text: str, number: int) -> None:
    assert bullets(text) == number


@pytest.mark.parametrize(("text", "number"), TABLES["capitals"].items())
def test_words_in_capitals_are_counted(text: str, number: int) -> None:
    name = "change_case:capital_word_frequency"
    assert follows(name, text, capital_relation="at least", capital_frequency=number)
    assert follows(name, text, capital_relation="less than", capital_frequency=number + 1)


@pytest.mark.parametrize(("phrase", "text", "expected"), TABLES["endings"])
def test_a_text_ends_with_whole_words(phrase: str, text: str, expected: bool) -> None:
    assert follows("startend:end_checker", text, end_phrase=phrase) is expected


def test_a_number_of_any_length_is_json() -> None:
    assert follows("detectable_format:json_format", '{"a": ' + "9" * 5000 + "}")
    assert not follows("detectable_format:json_format", "[" * 5000)


@given(model_texts() | st.lists(st.sampled_from(PIECES), max_size=20).map("".join))
def test_readers_never_raise_and_counts_are_consistent(text: str) -> None:
    words, sentences = count_words(text), count_sentences(text)
    assert 0 <= words.fewest <= words.most
    assert 0 <= sentences.fewest <= sentences.most
    assert bullets(text) >= 0
    assert type(is_quoted(text)) is bool
    assert all(type(is_written_in(text, code)) is bool for code in ("en", "ja", "zh-tw", "hi", "ko"))


@needs_shared
def test_the_verdicts_of_a_careful_reader() -> None:
    """All constraints of the verdict file, without those that people would judge differently."""
    cases = [case for case in fuzz("corrected_instruct") if case.get("instruction_id") and case["human"] is not None]
    wrong = [
        case for case in cases if follows(case["instruction_id"], case["response"], **case["kwargs"]) != case["human"]
    ]
    assert not wrong
    assert len(cases) == 63
