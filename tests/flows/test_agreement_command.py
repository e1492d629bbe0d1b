"""``muses agreement`` counts the cases whose recorded verdict the scorings share, and names the others."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from muses_eval.flows.cli import main
from muses_eval.pipeline.families import FAMILIES

Print = Callable[..., str]
"""Runs the command on some cases; returns what it prints."""


@pytest.fixture
def scenarios(tmp_path: Path) -> Path:
    path = tmp_path / "dataset.jsonl"
    rows = [*FAMILIES["queue"].generate(2, 0), *FAMILIES["access"].generate(1, 0)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def agreement(tmp_path: Path, scenarios: Path, capsys: pytest.CaptureFixture[str]) -> Print:
    def run(cases: list[dict[str, Any]], *options: str, code: int = 0) -> str:
        path = tmp_path / "cases.jsonl.gz"
        path.write_bytes(gzip.compress("".join(json.dumps(case) + "\n" for case in cases).encode()))
        assert main(["agreement", str(path), "--dataset", str(scenarios), *options]) == code
        captured = capsys.readouterr()
        return captured.out if code == 0 else captured.err

    return run


def queue_cases(path: Path) -> list[dict[str, Any]]:
    """Returns a perfect reply with the right verdict, and one with a wrong verdict."""
    row = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
    accepted = [entry.rsplit("_", 1)[-1] for entry in row["expected_output"]["accepted_instructions"]]
    perfect = {"scenario_id": row["id"], "raw_output": json.dumps({"accepted_instructions": accepted})}
    return [{"case_id": "right", **perfect, "human": {"f1": 1}}, {"case_id": "wrong", **perfect, "human": {"f1": 0}}]


def test_rates_and_exceptions(agreement: Print, scenarios: Path) -> None:
    """Wilson's interval of 1 of 2 is 9.5 % to 90.5 %."""
    shown = agreement(queue_cases(scenarios))
    assert "corrected  queue       2      1  50.0%  9.5% to 90.5%" in shown
    assert "corrected  queue   wrong  f1 1    f1 0" in shown
    assert "right" not in shown


def test_json(agreement: Print, scenarios: Path) -> None:
    report = json.loads(agreement(queue_cases(scenarios), "--format", "json"))
    assert [rate["agreeing"] for rate in report["agreement"]] == [1]
    assert [case["name"] for case in report["disagreements"]] == ["wrong"]


def test_a_released_result_is_compared_with_published(agreement: Print, scenarios: Path) -> None:
    """A case without a stable result is left out; a failed row agrees only with a failure."""
    case = queue_cases(scenarios)[0]
    del case["human"]
    cases = [
        case | {"expected": {"f1": 1.0, "parsed_ok": True}},
        case | {"case_id": "error", "expected": {"f1": 0.0, "error": "some text"}},
        case | {"case_id": "random", "expected": {"f1": 0.0}, "stable": False},
    ]
    report = json.loads(agreement(cases, "--format", "json"))
    assert [(rate["scoring"], rate["cases"], rate["agreeing"]) for rate in report["agreement"]] == [("published", 2, 1)]
    assert report["disagreements"][0]["name"] == "error"


def test_parts_of_a_reply(agreement: Print) -> None:
    """Every kind of part is read; a verdict of None counts for neither side."""
    constraint = {"instruction_id": "punctuation:no_comma", "kwargs": {}}
    cases = [
        {"part": "slots", "case": ["Tue 9:30", "Tue 9:30"]},
        {"part": "slots", "case": ["Tue", None]},
        {"part": "values", "case": [{"day": "Tue", "time": "9:30"}, "Tue 9:30"]},
        {"part": "attendees", "case": [["Bob", "Ann"], ["Ann", "Bob"]]},
        {"part": "goal", "case": ["false", False]},
        {"part": "announcements", "case": ["prose", "Nothing is settled.", False]},
        {"asked": "Ann, does Tue 9:30 work?", "answer": "Yes.", "human_granted": True},
        {"asked": "Ann, does Tue 9:30 work?", "answer": "Perhaps.", "human_granted": None},
        {"name": "plain", "reply": '{"Ana": "Yes", "Bo": "No"}', "human": {"Ana": "Yes", "Bo": "No"}},
        constraint | {"response": "No", "human": True},
        constraint | {"response": "No, no", "human": True},
        constraint | {"response": "x", "human": None},
    ]
    report = json.loads(agreement(cases, "--format", "json"))
    assert [(rate["family"], rate["cases"], rate["agreeing"]) for rate in report["agreement"]] == [
        ("meeting", 7, 7),
        ("instruct", 3, 2),
    ]
    assert report["disagreements"][0]["name"] == "punctuation:no_comma: 'No, no'"


@pytest.mark.parametrize(
    ("case", "told"),
    [
        ({"scenario_id": "none", "raw_output": "", "human": {"f1": 1}}, "no scenario 'none'"),
        ({"raw_output": "", "human": {"f1": 1}}, "field 'scenario_id': missing"),
        ({"scenario_id": "x", "raw_output": ""}, "expected a verdict"),
        ({"part": "colour", "case": [1, 2]}, "got 'colour'"),
        ({"part": "slots", "case": [1]}, "expected [value, verdict]"),
    ],
)
def test_bad_cases_are_named(agreement: Print, case: dict[str, Any], told: str) -> None:
    error = agreement([case], code=2)
    assert told in error
    assert "cases.jsonl.gz, line 1" in error


def test_a_damaged_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"part": "goal", "case": [true, true]}\n' * 1000)[:-30])
    assert main(["agreement", str(path)]) == 2
    assert "cut.jsonl.gz: cannot be read" in capsys.readouterr().err
