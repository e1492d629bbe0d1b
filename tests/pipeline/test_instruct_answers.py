"""The answers to the users are read as a careful person would, in whatever form a model writes them."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from muses_eval.pipeline.families.instruct.answers import read_answers, users_in

from tests.strategies import model_texts

NAMES = ("Ana", "Bo", "Cy Young")
ANSWERS = {"Ana": "Good morning.", "Bo": "See you\nsoon, Bo!", "Cy Young": 'Yes, "now".'}
CASES = tomllib.loads(Path(__file__).with_name("instruct_answers.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("reply", CASES["same"].values(), ids=CASES["same"])
def test_one_set_of_answers_in_many_forms(reply: str) -> None:
    assert read_answers(NAMES, reply) == ANSWERS


@pytest.mark.parametrize("case", CASES["other"].values(), ids=CASES["other"])
def test_other_answers(case: dict[str, str]) -> None:
    assert read_answers(NAMES, case.pop("reply")) == case


@pytest.mark.parametrize(
    ("key", "named"),
    [
        ("ana", ("Ana",)),
        ("ANA", ("Ana",)),
        ("Ana (CTO)", ("Ana",)),
        ("Ana - chief of staff", ("Ana",)),
        ("CTO Ana", ("Ana",)),
        ("To Ana", ("Ana",)),
        ("Ana (authority 9)", ("Ana",)),
        ("<Ana>", ("Ana",)),
        ("anaResponse", ("Ana",)),
        ("response_for_ana", ("Ana",)),
        ("cy_young", ("Cy Young",)),
        ("Ana and Bo", ("Ana", "Bo")),
        ("Anabel", ()),
        ("Young", ()),
        ("ana_reasoning", ()),
        ("notes for Ana", ()),
        ("responses", ()),
        ("", ()),
    ],
)
def test_users_in_a_key(key: str, named: tuple[str, ...]) -> None:
    assert users_in(NAMES, key) == named


def test_a_key_that_is_a_name_names_no_other_user() -> None:
    names = ("Lee", "Ana", "Ana Lee")
    assert [users_in(names, key) for key in names] == [(name,) for name in names]


@given(model_texts())
@settings(max_examples=300)
def test_reading_never_raises(reply: str) -> None:
    assert all(isinstance(answer, str) for answer in read_answers(("1111", "Ana"), reply).values())
