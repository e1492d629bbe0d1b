"""``muses plan``, ``sql``, ``trace`` and ``leaderboard``: data on stdout in machine-readable formats."""

import contextlib
import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from muses_eval.flows.cli import main

from tests.conftest import Muses

Ask = Callable[..., str]
"""Runs a command in this process, asserts success and an empty stderr, and returns stdout."""


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> str:
        assert main(list(arguments)) == 0
        out, err = capsys.readouterr()
        assert err == ""
        return out

    return run


@pytest.fixture
def store(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    """The default store with a run of two scenarios."""
    assert main(["run", "--model=scripted/oracle", "--dataset=generated:2", "--family=queue", "--run-id=mine"]) == 0
    capsys.readouterr()


def strictly(text: str) -> Any:
    """Parses strict JSON; Python's parser alone would accept NaN and Infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_a_plan_as_a_table_and_as_json(ask: Ask, tmp_path: Path) -> None:
    models = ("--model=scripted/oracle", "--model=scripted/refuse")
    arguments = ("plan", *models, "--dataset=generated:10", "--family=queue", "--template=xml", "--template=says")
    lines = ask(*arguments, "--shard-size=4").splitlines()
    assert lines[0].startswith("run run-")
    assert lines[1].split() == ["model", "family", "template", "shards", "episodes"]
    assert lines[3].split() == ["scripted/oracle", "queue", "xml", "3", "10"]
    assert lines[-2] == "40 episodes in 4 cells"
    assert lines[-1].startswith("smallest detectable difference of two models (80 % power")
    plan = strictly(ask(*arguments, "--shard-size=4", "--json"))
    assert plan["run_id"] in lines[0]
    assert plan["dataset_version"] in lines[0]
    assert plan["episodes"] == 40
    assert plan["smallest_difference"]["queue"] > 0
    assert plan["cells"][3] == {
        "model": "scripted/refuse", "base_model": "scripted/refuse", "agent": "chat", "facts": "prose",
        "family": "queue", "template": "says", "shards": 3, "episodes": 10,
    }  # fmt: skip
    assert not (tmp_path / ".muses").exists()  # a plan plays nothing


VALUES = """select null as nothing, 'NaN'::double as nan, '-infinity'::double as less, 1.5 as exact, 2::double as two,
true as yes, [1, null] as many, {'a': {'b': 'x, "y"'}} as nested, date '2026-01-31' as day,
timestamp '2026-01-31 12:00:00' as moment, time '12:00:00' as hour, 'Zoë | "q"' as words, map {'k': 1.5} as pairs,
'\\x00\\xff'::blob as bytes, 170141183460469231731687303715884105727::hugeint as huge, interval 2 days as span"""


@pytest.mark.usefixtures("store")
def test_every_kind_of_value_is_json(ask: Ask) -> None:
    (row,) = strictly(ask("sql", VALUES, "--format=json"))
    assert (row["nothing"], row["nan"], row["less"]) == (None, None, None)
    assert (row["exact"], row["two"], row["yes"], row["huge"]) == (1.5, 2.0, True, 2**127 - 1)
    assert (row["many"], row["nested"], row["pairs"]) == ([1, None], {"a": {"b": 'x, "y"'}}, {"k": 1.5})
    assert (row["day"], row["moment"], row["hour"]) == ("2026-01-31", "2026-01-31T12:00:00", "12:00:00")
    assert row["words"] == 'Zoë | "q"'
    assert row["span"].startswith("2 days")
    assert isinstance(row["bytes"], str)


@pytest.mark.usefixtures("store")
def test_every_kind_of_value_is_csv(ask: Ask) -> None:
    (row,) = csv.DictReader(io.StringIO(ask("sql", VALUES, "--format=csv")))
    assert (row["nothing"], row["nan"], row["less"], row["exact"], row["yes"]) == ("", "nan", "-inf", "1.5", "true")
    assert (row["words"], row["day"]) == ('Zoë | "q"', "2026-01-31")
    assert json.loads(row["many"]) == [1, None]
    assert json.loads(row["nested"]) == {"a": {"b": 'x, "y"'}}


@pytest.mark.usefixtures("store")
def test_every_kind_of_value_is_a_table(ask: Ask) -> None:
    header, rule, line = ask("sql", VALUES).splitlines()
    assert header.split()[:3] == ["nothing", "nan", "less"]
    assert set(rule) == {"─", " "}
    for shown in ("NULL", "nan", "-inf", "1.5", "true", "[1, null]", "2026-01-31T12:00:00", "Zoë"):
        assert shown in line


@pytest.mark.usefixtures("store")
def test_columns_of_the_store_are_json(ask: Ask) -> None:
    """All column types of the views, such as timestamps with a zone and nested structs, are printed as JSON."""
    for view in ("episodes", "runs", "scores", "leaderboard_cells"):
        assert strictly(ask("sql", f"select * from {view}", "--format=json"))


@pytest.mark.usefixtures("store")
def test_no_rows_and_no_columns(ask: Ask) -> None:
    nobody = "select model, turns from episodes where model = 'nobody'"
    assert ask("sql", nobody, "--format=json") == "[]\n"
    assert ask("sql", nobody, "--format=csv") == "model,turns\n"
    assert ask("sql", nobody).splitlines() == ["model  turns", "─────  ─────"]
    for statement in ("set threads = 1", "create view mine as select 1"):
        assert ask("sql", statement).splitlines()[2:] == []
        assert ask("sql", statement, "--format=csv").splitlines()[1:] == []
        assert ask("sql", statement, "--format=json") == "[]\n"


@pytest.mark.usefixtures("store")
def test_statements_besides_select(ask: Ask) -> None:
    pivoted = strictly(ask("sql", "pivot episodes on outcome using count(*) group by family", "--format=json"))
    assert pivoted == [{"family": "queue", "scored": 2}]
    assert "analyzed_plan" in ask("sql", "explain analyze from episodes", "--format=json")
    assert "physical_plan" in ask("sql", "explain from episodes")
    assert "column_name" in ask("sql", "describe episodes").splitlines()[0]
    assert "q25" in ask("sql", "summarize runs").splitlines()[0]


@pytest.mark.usefixtures("store")
def test_a_trace_is_found_by_the_beginning_of_its_id(ask: Ask) -> None:
    ids = [row["episode_id"] for row in strictly(ask("sql", "select episode_id from episodes", "--format=json"))]
    whole = ask("trace", ids[0])
    assert ids[0] in whole
    assert ask("trace", ids[0][:10]) == ask("trace", ids[0], "--run=mine") == whole
    assert len(ask("trace", ids[0], "--raw")) > len(whole)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("form", ["table", "md", "csv", "json"])
def test_the_leaderboard_of_the_newest_run(ask: Ask, form: str) -> None:
    assert ask("leaderboard", "--format", form) == ask("leaderboard", "--format", form, "--run=mine")
    assert "scripted/oracle" in ask("leaderboard", "--format", form)
    if form == "json":
        (row,) = strictly(ask("leaderboard", "--format=json", "--scoring=corrected"))
        assert (row["queue_f1"], row["privacy"]) == (1.0, None)


@pytest.mark.usefixtures("store")
def test_a_reader_that_has_seen_enough(tmp_path: Path) -> None:
    """A closed pipe, as with ``muses sql ... | head -1``, ends the command without an error."""
    query = "select repeat('x', 100) as text from range(20000)"
    with subprocess.Popen(
        [sys.executable, "-m", "muses_eval", "sql", query, "--format=csv"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"text\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


@pytest.mark.own_process
@pytest.mark.usefixtures("store")
def test_a_terminal_that_knows_only_ascii(muses: Muses) -> None:
    for arguments in (("leaderboard",), ("sql", "select 'Zoë'"), ("sql", "select 'Zoë'", "--format=csv"), ("--help",)):
        done = muses(*arguments, PYTHONIOENCODING="ascii")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.isascii()


@pytest.mark.usefixtures("store")
def test_a_start_that_scored_nothing_is_not_the_newest_run(ask: Ask, tmp_path: Path) -> None:
    runs = tmp_path / ".muses" / "store" / "runs"
    manifest = json.loads((runs / "mine.json").read_text())
    for run_id in ("base-00000001", "base-00000002"):
        later = {**manifest, "run_id": run_id, "created_at": "2099-01-01T00:00:00+00:00"}
        (runs / f"{run_id}.json").write_text(json.dumps(later))
    assert "run mine · published scoring" in ask("leaderboard")
    assert ask("leaderboard") == ask("leaderboard", "--run=mine") == ask("leaderboard", "--run=MI")


@pytest.mark.usefixtures("store")
def test_a_run_is_found_by_its_name_or_the_beginning_of_its_id(
    ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / ".muses" / "store" / "runs"
    manifest = json.loads((runs / "mine.json").read_text())
    for run_id in ("base-00000001", "baseline-00000002", "baseline-00000003"):
        (runs / f"{run_id}.json").write_text(json.dumps({**manifest, "run_id": run_id}))
    assert "scripted/oracle: episodes missing" in ask("leaderboard", "--run=base")
    for wanted, shown in {
        "baseline": ("may be 2 runs", "baseline-00000002, baseline-00000003", "write more of the id"),
        "basline": ("no run 'basline'", "base-00000001"),
    }.items():
        for command in (("leaderboard", "--run", wanted), ("diff", "mine", wanted), ("harness", wanted)):
            assert main(list(command)) == 2
            said = capsys.readouterr().err
            assert all(text in said for text in shown), said
    assert ask("export", "csv", "mi", "--out", "e.csv") == "e.csv: 2 rows of episodes\n"
    assert "run mine is sealed" in ask("store", "seal", "min")


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("color", [True, False])
def test_a_terminal_of_80_columns(ask: Ask, monkeypatch: pytest.MonkeyPatch, color: bool) -> None:
    ours, theirs = os.openpty()
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "" if color else "1")
    whole = ask("leaderboard")
    with os.fdopen(theirs, "w") as terminal, contextlib.redirect_stdout(terminal):
        assert main(["leaderboard"]) == 0
        assert main(["sql", "select repeat('word ', 1000) as long"]) == 0
    shown = b""
    with contextlib.suppress(OSError):  # at the end
        while part := os.read(ours, 100_000):
            shown += part
    os.close(ours)
    text = shown.decode()
    assert ("\x1b" in text) == color
    lines = re.sub(r"\x1b\[\d+m", "", text).splitlines()
    assert max(map(len, lines)) <= 80 < max(map(len, whole.splitlines()))
    assert "5,000 characters" in lines[-1]


@pytest.mark.usefixtures("store")
def test_a_query_from_stdin_or_with_a_comment(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    query = "-- how many\nselect count(*) as n from episodes"
    for arguments in (("-",), (), ("--format=table", "-")):
        monkeypatch.setattr(sys, "stdin", io.StringIO(query))
        assert ask("sql", *arguments).split() == ["n", "─", "2"]
    assert ask("sql", query, "--format=csv") == "n\n2\n"
    assert ask("sql", "/* all */ select 1 as one", "--format", "csv") == "one\n1\n"
    for wrong, says in (("--formt=json", "is no option of muses sql"), (" ", "no query: write one")):
        assert main(["sql", wrong]) == 2
        assert says in capsys.readouterr().err


def test_the_names_of_lazy_modules_complete() -> None:
    import muses_eval
    import muses_eval.storage

    for module in (muses_eval, muses_eval.storage):
        assert set(module.__all__) <= set(dir(module))


@pytest.mark.usefixtures("store")
def test_scenarios_that_are_played_alone(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    """They form a run of their own; the ids of their episodes are those of the whole run."""
    ids = "select scenario_id, episode_id from episodes where run_id {} 'mine' order by 1"
    rows = json.loads(ask("sql", ids.format("="), "--format=json"))
    chosen = rows[1]
    command = ["run", "--model=scripted/oracle", "--dataset=generated:2", "--name=again"]
    assert main([*command, "--scenario", chosen["scenario_id"]]) == 0
    assert "1 episode planned, 1 scored" in capsys.readouterr().err
    assert json.loads(ask("sql", ids.format("<>"), "--format=json")) == [chosen]
    wrong = f"{chosen['scenario_id']}x"
    assert main([*command, "--scenario", wrong]) == 2
    said = capsys.readouterr().err
    assert f"has no scenario {wrong!r}" in said
    assert f"did you mean {chosen['scenario_id']}" in said
    other = ("--run-id=fixed", "--family=queue")
    assert main([*command, "--scenario", chosen["scenario_id"], *other]) == 0
    capsys.readouterr()
    assert main([*command, "--scenario", rows[0]["scenario_id"], *other]) == 2
    assert "scenarios: [" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_of_a_shell(ask: Ask, shell: str) -> None:
    script = ask("completion", shell)
    assert all(word in script for word in ("leaderboard", "nightly", "budget-tokens"))
    if found := shutil.which(shell):
        assert subprocess.run([found, "-n"], input=script, text=True, capture_output=True, check=False).stderr == ""
