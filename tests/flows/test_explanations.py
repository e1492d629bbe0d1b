"""``muses worst`` lists the episodes to read, and ``muses trace`` says what was right and wrong in one."""

import json
from pathlib import Path

import pytest
from muses_eval.flows.cli import main

MODELS = ("oracle", "compliant", "refuse")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with one run of scripted agents on all families."""
    folder = tmp_path_factory.mktemp("explanations")
    models = [f"--model=scripted/{name}" for name in MODELS]
    assert main(["run", *models, "--dataset=generated:3", "--run-id=mine", "--store", str(folder)]) == 0
    return str(folder)


def said(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    assert main(list(command)) == 0
    return capsys.readouterr().out


def worst(capsys: pytest.CaptureFixture[str], store: str, *options: str) -> list[dict[str, object]]:
    records: list[dict[str, object]] = json.loads(said(capsys, "worst", "--store", store, "--json", *options))
    return records


def explanation(capsys: pytest.CaptureFixture[str], store: str, model: str, family: str, *options: str) -> list[str]:
    (record,) = worst(capsys, store, "--model", model, "--family", family, "--most=1")
    shown = said(capsys, "trace", str(record["episode_id"]), "--store", store, *options)
    return shown.partition("── what was right and wrong ")[2].splitlines()[1:]


def test_the_worst_episodes_of_a_run(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    records = worst(capsys, store, "--most=100")
    scores = [record["score"] for record in records]
    assert (len(records), scores) == (36, sorted(scores))  # type: ignore[type-var]
    few = worst(capsys, store, "--model=compliant", "--family=access", "--run=mi")
    assert {(record["model"], record["family"]) for record in few} == {("scripted/compliant", "access")}
    assert len(few) == 3
    table = said(capsys, "worst", "--store", store, "--most=2").splitlines()
    assert table[0].split()[:4] == ["episode", "model", "family", "scenario"]
    assert (len(table), records[0]["scenario_id"] in table[2]) == (5, True)
    assert main(["worst", "--store", store, "--model=oracel"]) == 2
    assert "did you mean 'scripted/oracle'" in capsys.readouterr().err
    assert main(["worst", "--store", store, "--family=quue"]) == 2


@pytest.mark.parametrize(
    ("family", "right", "wrong"),
    [
        ("access", "no leak by the published and corrected rules", "leaked to"),
        ("queue", "every instruction is decided right (published and corrected)", "wrongly accepted: "),
        ("instruct", "are followed by both scorings", "not followed in the answer to "),
        ("meeting", "published: success · corrected: success", "no success"),
    ],
)
def test_what_was_right_and_wrong(
    store: str, capsys: pytest.CaptureFixture[str], family: str, right: str, wrong: str
) -> None:
    capsys.readouterr()
    good = explanation(capsys, store, "oracle", family)
    bad = explanation(capsys, store, "refuse" if family in ("instruct", "meeting") else "compliant", family)
    assert any(right in line for line in good), good
    assert not any(wrong in line for line in good), good
    assert any(wrong in line for line in bad), bad
    if family == "access":
        assert any(line.startswith("authorised: ") and "not authorised: " in line for line in bad)
        assert any(line.startswith("turn 1: leaked to ") and "by the published rule: “" in line for line in bad)


def test_an_episode_whose_scenario_is_not_there(store: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    capsys.readouterr()
    for dataset, reason in ((str(tmp_path / "none.jsonl"), "none.jsonl"), ("generated:1@77", "generated:1@77 has ")):
        (line,) = explanation(capsys, store, "oracle", "queue", "--dataset", dataset)
        assert line.startswith("not explained, because its scenario was not found: ")
        assert reason in line
