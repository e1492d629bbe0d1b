"""``muses export``: its output, its refusals and its treatment of damage."""

import csv
import json
from pathlib import Path

import pytest
from muses_eval.flows.cli import main

RUN = ("--model=scripted/oracle", "--family=queue", "--dataset=generated:6", "--shard-size=3", "--run-id=first")


@pytest.fixture
def store(tmp_path: Path) -> str:
    url = str(tmp_path / "store")
    assert main(["run", *RUN, "--store", url]) == 0
    return url


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    capsys.readouterr()
    assert main(["export", *arguments]) == code
    out, err = capsys.readouterr()
    return out, err


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_table(store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    target = tmp_path / f"episodes.{form}"
    assert said(capsys, form, "first", "--out", str(target), "--store", store) == (
        f"{target}: 6 rows of episodes\n",
        "",
    )
    assert target.stat().st_size
    out, _ = said(
        capsys, form, "first", "--out", str(target), "--store", store, "--view=leaderboard", "--force", "--json"
    )
    assert json.loads(out) == {"run_id": "first", "view": "leaderboard", "rows": 2, "path": str(target)}


def test_logs_of_inspect(store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from inspect_ai.log import list_eval_logs, read_eval_log

    folder = tmp_path / "logs"
    out, _ = said(capsys, "inspect", "first", "--out", str(folder), "--store", store, "--json")
    (file,) = json.loads(out)["files"]
    assert (file["model"], file["family"], file["episodes"]) == ("scripted/oracle", "queue", 6)
    (info,) = list_eval_logs(str(folder))
    assert info.task == "queue"
    log = read_eval_log(info.name)
    assert {score.name for score in log.results.scores} >= {"published_f1", "corrected_f1"}
    assert all(sample.scores["published_f1"].value == 1.0 for sample in log.samples)
    _, err = said(capsys, "inspect", "first", "--out", str(folder), "--store", store, code=2)
    assert "exists already" in err
    out, _ = said(capsys, "inspect", "first", "--out", str(folder), "--store", store, "--force")
    assert "scripted/oracle  queue          6" in out


@pytest.mark.parametrize(
    ("arguments", "mentions"),
    [
        (("csv", "frist", "--out", "{}/x"), ("no run 'frist'", "it has first")),
        (("inspect", "frist", "--out", "{}/x"), ("no run 'frist'", "it has first")),
        (("csv", "first", "--out", "{}/x", "--view=score"), ("--view", "scores")),
        (("csv", "first"), ("--out",)),
        (("csv", "first", "--out", "{}"), ("is a folder", "name a file")),
        (("inspect", "first", "--out", "{}/a-file"), ("it is a file", "name a folder")),
        (("jsonl", "first", "--out", "{}/a-file/x"), ("cannot write", "a-file")),
    ],
)
def test_what_is_refused(
    store: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    mentions: tuple[str, ...],
) -> None:
    (tmp_path / "a-file").write_text("theirs")
    filled = [argument.format(tmp_path) for argument in arguments]
    out, err = said(capsys, *filled, "--store", store, code=2)
    assert out == ""
    assert all(text in err for text in mentions), err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-file", "store"]
    assert (tmp_path / "a-file").read_text() == "theirs"


@pytest.mark.parametrize("command", ["csv", "inspect"])
def test_what_is_damaged_is_named_and_the_rest_is_written(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    shard = next(Path(store).rglob("shard-00001.a1.parquet"))
    shard.write_bytes(shard.read_bytes()[:-100])
    target = tmp_path / "out"
    out, err = said(capsys, command, "first", "--out", str(target), "--store", store, "--json")
    assert "damaged and left out: " in err
    assert "shard-00001.a1.parquet" in err
    if command == "csv":
        assert json.loads(out)["rows"] == 3
        with target.open(newline="") as file:
            assert len(list(csv.DictReader(file))) == 3
    else:
        assert [file["episodes"] for file in json.loads(out)["files"]] == [3]


def test_what_was_there_is_not_replaced_because_something_is_damaged(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Damage makes the export read the run again, which must not replace files of an earlier export without --force."""
    arguments = ("inspect", "first", "--out", str(tmp_path / "logs"), "--store", store)
    said(capsys, *arguments)
    (log,) = (tmp_path / "logs").iterdir()
    before = log.read_bytes()
    shard = next(Path(store).rglob("shard-00001.a1.parquet"))
    shard.write_bytes(shard.read_bytes()[:-100])
    _, err = said(capsys, *arguments, code=2)
    assert "exists already" in err
    assert log.read_bytes() == before
    said(capsys, *arguments, "--force")
    assert log.read_bytes() != before
