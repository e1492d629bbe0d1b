"""A store that version 0.1.0 wrote is read by the command line, with the numbers that version 0.1.0 printed."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from muses_eval.flows.cli import main

FIXTURE = Path(__file__).parent / "fixtures" / "store-0.1.0"
BOARDS = {
    "finished": {
        "scripted/oracle (ceiling)": "100.0 ± 0.0 100.0 ± 0.0 100.0 ± 0.0 100.0 ± 0.0 100.0 ± 0.0 100.0 ± 0.0 8/8",
        "scripted/compliant (floor)": "63.5 ± 13.5 25.0 ± 25.0 0.0 ± 0.0 100.0 ± 0.0 100.0 ± 0.0 57.7 ± 5.7 8/8 100 %",
        "scripted/random (floor)": "33.3 ± 33.3 100.0 ± 0.0 30.0 ± 30.0 0.0 ± 0.0 0.0 ± 0.0 32.7 ± 9.0 8/8 100 %",
        "scripted/refuse (floor)": "0.0 ± 0.0 25.0 ± 25.0 100.0 ± 0.0 0.0 ± 0.0 0.0 ± 0.0 25.0 ± 5.0 8/8 100 %",
    },
    "sealed": {
        "scripted/random (floor)": "42.7 ± 22.1 88.9 ± 11.1 42.2 ± 21.2 8.3 ± 8.3 0.0 ± 0.0 36.4 ± 6.7 12/12 100 %",
    },
    "budget": {"model-x": "0.0 ± 0.0 0.0 0.0 8/24 33.3 % $0.01"},
    "rescored-1": {"scripted/compliant (floor)": "63.5 ± 13.5 25.0 ± 25.0 44.2 ± 14.2 4/4 100 %"},
}
"""Run -> model -> its row."""


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(shutil.copytree(FIXTURE, tmp_path / "store"))


def output(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def rows(capsys: pytest.CaptureFixture[str], store: str, query: str) -> Any:
    return json.loads(output(capsys, "sql", query, "--store", store, "--format=json"))


@pytest.mark.parametrize("run", BOARDS)
def test_leaderboard(store: str, capsys: pytest.CaptureFixture[str], run: str) -> None:
    board = " ".join(output(capsys, "leaderboard", "--store", store, "--run", run).split())
    for model, row in BOARDS[run].items():
        assert f"{model} {row}" in board


def test_episodes(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    counted = rows(capsys, store, "select run_id, count(*) n from episodes where outcome = 'scored' group by 1")
    counts = {row["run_id"]: row["n"] for row in counted if not row["run_id"].startswith("sweep")}
    assert counts == {"finished": 32, "sealed": 24, "budget": 8, "interrupted": 10, "rescored-1": 4, "to-rescore": 4}


def test_verify_finds_nothing(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert output(capsys, "store", "verify", "--store", store)
    assert "interrupted" in output(capsys, "store", "ls", "--store", store)


def test_rescore(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    report = json.loads(output(capsys, "rescore", "to-rescore", "--store", store, "--json"))
    assert [(family["rescored"], family["changed"]) for family in report["families"]] == [(2, 0), (2, 0)]
