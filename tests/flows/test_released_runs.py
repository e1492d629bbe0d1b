"""A run of the released protocol: it is recorded, and every command names it."""

import csv
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from muses_eval.flows.cli import main
from muses_eval.pipeline.protocols.released_texts import FILE_NAME, to_json
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.manifest import read_manifest

from tests.provider import Provider
from tests.released import STAND_IN

Cli = Callable[..., str]
PLAYED = ("--model=scripted/oracle", "--model=scripted/refuse", "--dataset=generated:2", "--store=s", "--name=p")


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Returns a function that runs a command beside the pulled texts and returns what it prints."""
    pinned = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in asdict(STAND_IN).items()}
    monkeypatch.setattr("muses_eval.flows.job.load_protocol.PINNED", pinned)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "official").mkdir()
    (tmp_path / "official" / FILE_NAME).write_text(to_json(STAND_IN), encoding="utf-8")

    def run(*arguments: str, code: int = 0) -> str:
        assert main(list(arguments)) == code
        return capsys.readouterr().out

    return run


def test_every_command_names_the_protocol(cli: Cli) -> None:
    """Open or sealed, a run and its episodes have the protocol in tables and in machine formats."""
    planned = json.loads(cli("plan", *PLAYED, "--protocol=released", "--json"))
    run_id = planned["run_id"]
    assert planned["protocol"] == "released"
    assert "· protocol released" in cli("plan", *PLAYED, "--protocol=released")
    assert "published scoring · protocol released ·" in cli("run", *PLAYED, "--protocol=released")
    assert read_manifest(open_store("s"), run_id).protocol == "released"
    for sealed in (False, True):
        if sealed:
            cli("store", "seal", run_id, "--store=s")
        of_rows = "select distinct protocol from episodes union all select distinct protocol from scores"
        everywhere = (
            f"{of_rows} union all select protocol from runs union all select distinct protocol from leaderboard"
        )
        assert json.loads(cli("sql", everywhere, "--store=s", "--format=json")) == [{"protocol": "released"}] * 4
        for form in ("table", "md"):
            assert "protocol released" in cli("leaderboard", "--store=s", f"--format={form}", "--bands")
            assert "protocol released" in cli("compare", "--all", "--store=s", f"--format={form}")
        assert "protocol released" in cli("leaderboard", "--store=s", "--format=latex")
        records = json.loads(cli("leaderboard", "--store=s", "--format=json"))
        assert {record["protocol"] for record in records} == {"released"}
        lines = list(csv.DictReader(cli("leaderboard", "--store=s", "--format=csv").splitlines()))
        assert {line["protocol"] for line in lines} == {"released"}
        (listed,) = json.loads(cli("store", "ls", "--store=s", "--json"))["runs"]
        assert listed["protocol"] == "released"
        assert " released " in cli("store", "ls", "--store=s")
        assert cli("store", "verify", run_id, "--store=s")
    cli("export", "csv", run_id, "--view=scores", "--out=scores.csv", "--store=s")
    exported = csv.DictReader(Path("scores.csv").read_text(encoding="utf-8").splitlines())
    assert {row["protocol"] for row in exported} == {"released"}
    again = json.loads(cli("run", *PLAYED, "--protocol=released", "--json"))
    assert (again["run_id"], again["protocol"], again["episodes"]["scored"]) == (run_id, "released", 16)


def test_the_texts_reach_the_model(cli: Cli) -> None:
    cli("run", *PLAYED, "--protocol=released")
    asked = "select episode_id from episodes where family = 'access' limit 1"
    (found,) = json.loads(cli("sql", asked, "--store=s", "--format=json"))
    shown = cli("trace", found["episode_id"], "--raw", "--store=s")
    assert "· protocol released ·" in shown
    assert STAND_IN.access_goal_check.strip() in shown


def test_two_protocols_are_two_runs_that_do_not_compare(cli: Cli) -> None:
    """Runs and episodes have other ids, a run cannot change its protocol, and a comparison says what differs."""
    ours, theirs = (json.loads(cli("run", *PLAYED, f"--protocol={name}", "--json")) for name in ("muses", "released"))
    assert ours["run_id"] != theirs["run_id"]
    assert ours["run_id"] == json.loads(cli("plan", *PLAYED, "--json"))["run_id"]
    ids = "select count(distinct episode_id) n, count(*) all_rows from episodes"
    assert json.loads(cli("sql", ids, "--store=s", "--format=json")) == [{"n": 32, "all_rows": 32}]
    pair = (f"{ours['run_id']}:scripted/oracle", f"{theirs['run_id']}:scripted/oracle")
    text = cli("compare", *pair, "--store=s")
    assert "protocol muses and released" in text
    assert "caution: the protocols were not the same (muses, released)" in text
    changes = json.loads(cli("diff", ours["run_id"], theirs["run_id"], "--store=s", "--json"))["changes"]
    assert {"group": "plan", "what": "protocol", "a": "muses", "b": "released"} in changes
    cli("run", *PLAYED, "--protocol=released", f"--run-id={ours['run_id']}", code=2)


def test_a_sweep_over_both_protocols(cli: Cli) -> None:
    Path("sweep.yaml").write_text(
        "{name: s, dataset: 'generated:2', models: [scripted/oracle], grid: {protocol: [muses, released]}}"
    )
    record = json.loads(cli("plan", "sweep.yaml", "--json"))
    assert [(run["run"], run["protocol"]) for run in record["runs"]] == [
        ("protocol=muses", "muses"),
        ("protocol=released", "released"),
    ]
    assert "of 2 runs · protocol muses and released" in cli("plan", "sweep.yaml")


def test_the_temperature_is_1_and_recorded(cli: Cli) -> None:
    """Agents and simulated users are called with it, and the store says so."""
    with Provider(reply=lambda _: '{"target": "all", "content": "Hello."}') as provider:
        model, url = "--model=openai:m", f"--base-url={provider.base_url}"
        users, users_url = "--users=openai:u", f"--users-base-url={provider.base_url}"
        played = ("--family=access", "--dataset=generated:1", "--store=s", "--protocol=released")
        cli("run", model, url, users, users_url, *played)
        called = [request.document for request in provider.completions]
    assert {request["model"] for request in called} == {"m", "u"}
    assert {request["temperature"] for request in called} == {1.0}
    recorded = "select sampling::json->>'temperature' agent, users from episodes"
    assert json.loads(cli("sql", recorded, "--store=s", "--format=json")) == [
        {"agent": "1.0", "users": "openai:u temperature=1.0"}
    ]


def test_without_the_texts(cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is stored, and the message says what to do."""
    Path("official", FILE_NAME).unlink()
    assert main(["run", *PLAYED, "--protocol=released"]) == 2
    assert "`muses data pull --out official`" in capsys.readouterr().err
    assert not Path("s").exists()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--protocol=paper",), "protocol: no protocol 'paper'; there are muses, released"),
        (("--protocol=released", "--template=xml"), "templates must be [published], got [xml]"),
    ],
)
def test_invalid_options(cli: Cli, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], problem: str) -> None:
    assert main(["plan", *PLAYED, *options]) == 2
    assert problem in capsys.readouterr().err
