"""The command line prints a store of version 0.1.0 as that version did, and finishes its runs."""

import asyncio
import csv
import io
import json
import re
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from muses_eval.flows.cli import main
from muses_eval.flows.nightly.night import nightly
from muses_eval.flows.settings import Settings
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.families import FAMILIES
from muses_eval.pipeline.plan import content_key
from muses_eval.storage.runs.nights import Night

from tests.provider import Provider

FIXTURES = Path(__file__).parent / "fixtures"
STORED, PRINTED = FIXTURES / "store-0.1.0", FIXTURES / "printed-0.1.0"
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
    "budget": {"model-x": "0.0 ± 0.0 0.0 0.0 8/24 33.3 % 12.5 % $0.01"},
    "rescored-1": {"scripted/compliant (floor)": "63.5 ± 13.5 25.0 ± 25.0 44.2 ± 14.2 4/4 100 %"},
}
"""Expected rows: run -> model -> row."""


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(shutil.copytree(STORED, tmp_path / "store"))


def output(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def rounded(text: str) -> str:
    """Returns *text* with floats of nine significant digits, since the last digits depend on the order of a sum."""
    return re.sub(r"\d+\.\d{9,}", lambda number: f"{float(number[0]):.9g}", text)


LATER = {"protocol": "muses", "agent": "chat", "facts": "prose", "agent_error_share": ""}
"""Columns that version 0.1.0 did not have -> their value in its stores; ``base_model`` is ``model``."""


def as_before(written: str) -> list[str]:
    """Returns the sorted lines of an export without later columns."""
    if written.startswith("{"):
        return sorted(rounded(json.dumps(call_as_before(json.loads(line)))) for line in written.splitlines())
    table = list(csv.DictReader(written.splitlines()))
    for row in table:
        assert row.pop("base_model", row["model"]) == row["model"]
        assert {name: row.pop(name) for name in LATER if name in row}.items() <= LATER.items()
    text = io.StringIO()
    writer = csv.DictWriter(text, list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return sorted(rounded(text.getvalue()).splitlines())


def call_as_before(call: dict[str, Any]) -> dict[str, Any]:
    """Returns a line of the view ``calls`` without later columns."""
    later = {"base_model": call["model"], "agent": "chat", "facts": "prose", "turn": None, "step": None}
    assert {name: call.pop(name, value) for name, value in later.items()} == later
    return call


def as_printed_before(printed: str) -> str:
    """Returns JSON as version 0.1.0 printed it, without protocols, agents, facts and kinds of built-in agents."""
    printed = re.sub(r'\n *"protocols": \[\s*"muses"\s*\],', "", printed)
    printed = re.sub(r'\n *"facts": \{\s*"a": "prose",\s*"b": "prose"\s*\},', "", printed)
    return re.sub(r'\n *"(agent": "chat|facts": "prose|builtin": "[a-z]+)",', "", printed)


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


def test_the_list_of_runs(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Since 0.1.0, the list also has the protocol, which is ``muses`` in every old store."""
    runs = json.loads(output(capsys, "store", "ls", "--store", store, "--json"))["runs"]
    assert {run.pop("protocol") for run in runs} == {"muses"}
    assert [{key: value for key, value in run.items() if key != "age_s"} for run in runs] == json.loads(
        (PRINTED / "store_ls.json").read_text()
    )


def test_trace(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    printed = (PRINTED / "trace.txt").read_text()
    episode_id = printed.partition("\n")[0].removeprefix("episode ")
    now = output(capsys, "trace", episode_id, "--run", "finished", "--raw", "--store", store)
    before, heading, explained = now.replace(" · protocol muses", "", 1).partition("\n── what was right and wrong")
    assert (before + "\n", bool(heading)) == (printed, True)
    assert "`muses rescore finished` adds it" in explained


def test_compare(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    printed = output(capsys, "compare", "--all", "--run", "finished", "--store", store, "--format=json")
    printed = as_printed_before(printed)
    assert rounded(printed) == rounded((PRINTED / "compare.json").read_text())


def test_diff(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    printed = as_printed_before(output(capsys, "diff", "finished", "sealed", "--store", store, "--json"))
    assert rounded(printed) == rounded((PRINTED / "diff.json").read_text())


@pytest.mark.parametrize(
    ("run", "file"), [("finished", "leaderboard.csv"), ("rescored-1", "scores.csv"), ("budget", "calls.jsonl")]
)
def test_export(store: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, run: str, file: str) -> None:
    view, _, kind = file.partition(".")
    output(capsys, "export", kind, run, "--view", view, "--out", str(tmp_path / file), "--store", store)
    written, printed = ((folder / file).read_text() for folder in (tmp_path, PRINTED))
    assert as_before(written) == as_before(printed)


def test_an_interrupted_run_is_finished(store: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The stored episodes stay as they are; only the missing ones are played.

    Version 0.1 named its shards differently.  Both forms count together, before and after sealing.
    """
    query = "select episode_id, started_at, model from episodes where run_id = 'interrupted' order by episode_id"
    before = rows(capsys, store, query)
    with Provider() as provider:
        config = {
            "models": [{"model": "openai:model-x", "base_url": provider.base_url}, "scripted/refuse"],
            "dataset": "generated:16@3",
            "families": ["queue"],
            "execution": {"executor": "inline", "shard_size": 4},
            "max_unusable": 1,
        }
        (tmp_path / "run.yaml").write_text(json.dumps(config))
        output(capsys, "run", str(tmp_path / "run.yaml"), "--run-id", "interrupted", "--store", store)
        calls = len(provider.completions)
    after = rows(capsys, store, query)
    folders = {path.parent.relative_to(store).parts[2] for path in Path(store).glob("traces/run=interrupted/*/*/*")}
    assert folders == {"model=model-x", "model-x", "scripted-refuse"}
    output(capsys, "store", "seal", "interrupted", "--store", store)
    assert rows(capsys, store, query) == after
    assert not list(Path(store).glob("traces/run=interrupted/*"))
    assert len(after) == 32
    assert [row for row in after if row in before] == before
    assert calls == 16 - sum(row["model"] == "model-x" for row in before)


def test_rescore(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Only metrics that are new in version 2 of the scorers are added."""
    query = "FROM scores WHERE run_id = 'to-rescore' AND metric NOT IN ('row_error', 'scored_rounds') ORDER BY ALL"
    before = rows(capsys, store, query)
    report = json.loads(output(capsys, "rescore", "to-rescore", "--store", store, "--json"))
    assert [(family["rescored"], family["changed"]) for family in report["families"]] == [(2, 2), (2, 2)]
    assert rows(capsys, store, query) == before


def test_the_night_after_a_stored_night_reuses_its_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content keys of the stored cells are still those of the same configuration, scorers and scripted texts."""
    monkeypatch.setattr(content_key, "SCRIPTED_VERSION", 1)
    for family in FAMILIES.values():
        monkeypatch.setattr(type(family), "scorer_version", 1)
    store = str(shutil.copytree(FIXTURES / "nights-0.1.0", tmp_path / "store"))
    config = {
        "models": ["scripted/oracle", "scripted/random"],
        "dataset": "generated:3@6",
        "store": store,
        "nightly": {"canary": 2},
        "execution": {"executor": "inline"},
    }
    settings = Settings(tmp_path, "unused", None, tmp_path)
    night = Night("nightly", date(2026, 11, 24))
    report = asyncio.run(nightly(parse_config(config, "night.yaml"), settings, night)).report
    assert (report.before, report.cells_reused, report.cells_played) == ("nightly-2026-11-23", 8, 0)
    assert (report.planned, report.scored, report.flags) == (24, 24, ())
