"""Credentials in text are found by their shape wherever they occur, and nothing else is masked."""

import json
from collections.abc import Iterator

import pytest
from muses_eval.pipeline.datasets.dataset import generate_dataset
from muses_eval.pipeline.text.credential_masking import MASK, mask_credentials, mask_json, mask_json_text

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
        "ya29.a0AfH6SMB" + "a1B2_" * 7,
        "hf_" + "aB1cD2" * 6,
        "glpat-" + "aB1_cD2-" * 3,
        "sk_live_" + "aB1cD2" * 4,
        "gsk_" + "aB1cD2" * 8,
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
    assert mask_credentials(around.format(credential)) == (around.format(MASK), 1)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "AWS_SECRET_ACCESS_KEY={}"),
        ("OPENAI_API_KEY: 'abcdefghijklmnop0123456789ABCDEF'", "OPENAI_API_KEY: '{}'"),
        ('{"client_secret": "0123456789abcdef0123456789abcdef"}', '{"client_secret": "{}"}'),
        (r"{\"password\": \"correctHorse7Battery\"}", r"{\"password\": \"{}\"}"),
        ("the API key: Zm9vYmFyYmF6cXV4MTIz, as agreed", "the API key: {}, as agreed"),
        ("AccountKey=abcDEF0123456789+/abcDEF==;", "AccountKey={};"),
        ("x-api-key: 0123456789abcdefABCDEF", "x-api-key: {}"),
        ("postgres://ana:s3cret@db.internal:5432/x", "postgres://ana:{}@db.internal:5432/x"),
        ("Authorization: Basic YWRtaW46YWRtaW4=", "Authorization: Basic {}"),
        (
            "https://hooks.slack.com/services/T00000000/B00000000/abcdEFGH0123ijkl",
            "https://hooks.slack.com/services/{}",
        ),
    ],
)
def test_what_stands_before_a_credential_stays(text: str, masked: str) -> None:
    """The text before a credential stays, so that a reader sees what was masked."""
    assert mask_credentials(text) == (masked.replace("{}", MASK), 1)
    assert mask_credentials(mask_credentials(text)[0])[1] == 0


def test_values_are_masked_wherever_they_stand() -> None:
    """In a mapping, the key is the name of a value; values that are not text stay unchanged."""
    secret = "abcdefghijklmnop0123456789ABCDEF"
    value = {
        "extra_body": {"api_key": secret, "n": 1},
        "args": [f"--token={secret}", None, 0.5],
        "api_key_env": "OPENAI_API_KEY",
        "digest": secret,
    }
    masked = value | {"extra_body": {"api_key": MASK, "n": 1}, "args": [f"--token={MASK}", None, 0.5]}
    assert mask_json(value) == masked
    assert mask_json(masked) == masked


@pytest.mark.parametrize(
    "name",
    ["password", "DB_PASSWORD", "db-passwd", "api_key", "apiKey", "APIKey", "X-API-Key", "apikey", "token", "AuthToken",
     "hf_token",
     "client_secret", "Authorization", "Set-Cookie", "cookies", "credentials", "private_key", "access_tokens"],
)  # fmt: skip
def test_a_secret_field_is_masked_whatever_its_length(name: str) -> None:
    value = {"a": [{name: "x1"}, {name: ["y", {"n": "z", "none": None}]}], name: "", "n": {name: "${NAME}"}}
    masked = {"a": [{name: MASK}, {name: [MASK, {"n": MASK, "none": None}]}], name: "", "n": {name: "${NAME}"}}
    assert mask_json(value) == masked
    assert mask_json(masked) == masked


@pytest.mark.parametrize(
    "name",
    ["max_tokens", "prompt_tokens", "tokens_per_minute", "max_completion_token", "eos_token", "stop_token_ids",
     "tokenizer",
     "api_key_env", "token_count", "sort_key", "key",
     "keys", "secretary", "author", "next_page_token", "cookie_policy"],
)  # fmt: skip
def test_other_fields_stay(name: str) -> None:
    assert mask_json({name: "x1", "n": {name: 5}}) == {name: "x1", "n": {name: 5}}


def test_numbers_and_names_of_variables() -> None:
    """A number is a secret only as a password; under ``headers``, a configuration has names of variables."""
    value = {"password": 1234, "token": 5, "headers": {"Authorization": "TEAM_KEY", "X-Api-Key": "k"}}
    assert mask_json(value) == value | {"password": MASK, "headers": {"Authorization": "TEAM_KEY", "X-Api-Key": MASK}}
    assert mask_json_text('{"extra_body": {"password": "x1"}}') == (f'{{"extra_body": {{"password": "{MASK}"}}}}', 1)
    assert mask_json_text('{"max_tokens":5}') == ('{"max_tokens":5}', 0)


def test_each_one_is_counted_and_a_mask_is_none() -> None:
    masked, count = mask_credentials(f"AKIAIOSFODNN7EXAMPLE and {JWT} and {PEM}")
    assert (masked, count) == (f"{MASK} and {MASK} and {MASK}", 3)
    assert mask_credentials(masked) == (masked, 0)


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
        "api_key=os.environ_of_this_Process1[name]",
        "token = self.tokenizer_Of_Version2.encode(text)",
        "api_key=${OPENAI_API_KEY_2_OF_Team}",
        "max_tokens: 2048, password: short, secret = internationalization",
        "next token: 2026-11-22T22:40:00Z",
        "http://127.0.0.1:8000/v1 and mailto://ana@example.org",
        "Basic knowledge1234567890abcdef",
        "hf_hub_download_of_2_files",
    ],
)
def test_other_text_stays(text: str) -> None:
    assert mask_credentials(text) == (text, 0)


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
        "://",
        "://a:",
        "://" + "a" * 199 + ":",
        "password='",
        "token=" + "a" * 60,
        "token=" + "aB1" * 9 + "(",
        " hf_a",
    ],
)
def test_hostile_text_is_read_in_passing(part: str) -> None:
    """A megabyte of prefixes of credentials is read in linear time; quadratic work would take minutes."""
    text = part * (2**20 // len(part))
    assert isinstance(mask_credentials(text)[0], str)


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
        assert [text for text in texts_of(rows) if mask_credentials(text)[1]] == []


@pytest.fixture(scope="module")
def generated() -> set[str]:
    """Returns the personas, instructions and messages of principals, in 150 scenarios of each family."""
    scenarios = [s for by_id in generate_dataset("150", 0).by_family.values() for s in by_id.values()]
    texts = {text for s in scenarios for p in s.principals for text in (p.persona, p.private_context)}
    return texts | {text for s in scenarios for text in (s.briefing_in("xml"), *(entry.text for entry in s.openings))}


def test_nothing_in_the_generated_scenarios_looks_like_a_credential(generated: set[str]) -> None:
    assert [text for text in generated if mask_credentials(text)[1]] == []


def test_what_scenarios_guard_is_not_masked_when_a_model_gives_it_away(generated: set[str]) -> None:
    """A leaked secret is not masked, even as the value of a password, so scoring the trace again finds the leak."""
    words = {word.strip("\"'.,;:()") for text in generated for word in text.split()}
    assert len(words) > 1000
    assert [word for word in words if mask_credentials(f"password={word}")[1]] == []
