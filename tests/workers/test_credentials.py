"""Credentials in text: found by their shape wherever they stand, and never where there are none."""

import json
from collections.abc import Iterator

import pytest

from pipeline.credentials import MASK, mask
from pipeline.datasets import generate_dataset
from tests.shared import OFFICIAL, needs_shared

PEM = (
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7bq\nc2VjcmV0IGtleSBvZiBub2JvZHk=\n-----END RSA PRIVATE KEY-----"
)
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJub2JvZHkifQ.c2lnbmF0dXJlLW9mLW5vYm9keQ"


@pytest.mark.parametrize(
    "credential",
    [
        "sk-abcdefghijklmnopqrstuvwxyz0123456789",
        "sk-proj-Abc_def-0123456789abcdefghij",
        "sk-ant-api03-0123456789abcdefghij",
        "AKIAIOSFODNN7EXAMPLE",
        "ASIAIOSFODNN7EXAMPLE",
        "ghp_" + "a1B2" * 9,
        "gho_" + "a1B2" * 9,
        "github_pat_" + "a1B2_" * 8,
        "xoxb-123456789012-abcdefghijkl",
        "AIza" + "a1B2_" * 7,
        "Bearer abcdefghijklmnop0123456789==",
        "bearer " + JWT,
        JWT,
        PEM,
        PEM.replace("\n", "\\n"),
        PEM.replace("RSA ", ""),
        PEM.partition("-----END")[0].strip(),
    ],
)
@pytest.mark.parametrize("around", ["{}", "The key is {}.", '{{"key": "{}"}}', "({})\n", "KEY={},"])
def test_a_credential_is_found(credential: str, around: str) -> None:
    assert mask(around.format(credential)) == (around.format(MASK), 1)


def test_each_one_is_counted_and_a_mask_is_none() -> None:
    masked, count = mask(f"AKIAIOSFODNN7EXAMPLE and {JWT} and {PEM}")
    assert (masked, count) == (f"{MASK} and {MASK} and {MASK}", 3)
    assert mask(masked) == (masked, 0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sk-",
        "task-0123456789abcdefghijklm",
        "a sk-this-is-a-hyphenated-word-and-no-key",
        "AKIA stands before 16 characters; AKIAIOSFODNN7EXAMPLEANDMORE has more",
        "ghp_short",
        "xoxb-nothing-but-words",
        "The bearer of this letter, bearer internationalization-of-everything",
        "eyJ is how it begins; eyJhbGciOiJIUzI1NiJ9.short",
        "-----BEGIN PUBLIC KEY-----\nMIIEpAIBAAKCAQEA7bq\n-----END PUBLIC KEY-----",
        "PRIVATE KEY",
        "0123456789abcdef0123456789abcdef",
    ],
)
def test_other_text_stays(text: str) -> None:
    assert mask(text) == (text, 0)


@pytest.mark.parametrize(
    "part",
    [
        "sk-",
        "sk-a",
        " sk-aaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "eyJ",
        " eyJaaaaaaaa.",
        "eyJaaaaaaaa.eyJaaaaaaaa.",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN A ",
        "-----BEGIN PRIVATE KEY-----" + "a" * 999 + " -" * 999,
        "Bearer aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa ",
        "bearer ",
        "gh",
        "xoxb-",
        "AIza",
    ],
)
def test_hostile_text_is_read_in_passing(part: str) -> None:
    """A megabyte of beginnings; were the work quadratic, this would take minutes."""
    text = part * (2**20 // len(part))
    assert isinstance(mask(text)[0], str)


def texts_of(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for entry in value.items() for text in texts_of(list(entry)))
    elif isinstance(value, list):
        yield from (text for entry in value for text in texts_of(entry))


@needs_shared
def test_nothing_in_the_official_scenarios_looks_like_a_credential() -> None:
    files = sorted(OFFICIAL.rglob("*.jsonl"))
    assert files
    for file in files:
        content = file.read_text(encoding="utf-8")
        rows = [json.loads(line) for line in content.split("\n") if line]
        assert [text for text in texts_of(rows) if mask(text)[1]] == []


def test_nothing_in_the_generated_scenarios_looks_like_a_credential() -> None:
    """In the paper's number of them: what principals are, are told and say."""
    dataset = generate_dataset("paper", 0)
    for by_id in dataset.by_family.values():
        for scenario in by_id.values():
            texts = [scenario.briefing_in("xml"), *(entry.text for entry in scenario.openings)]
            texts += [text for p in scenario.principals for text in (p.persona, p.private_context)]
            assert [text for text in texts if mask(text)[1]] == []
