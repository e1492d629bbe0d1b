"""The main job from the command line, with real Ray, a real S3 and a provider on loopback."""

import json
import sys
from pathlib import Path

import pytest

from tests.conftest import Muses
from tests.prefect_server import PrefectServer
from tests.provider import Provider
from tests.s3_server import S3Server
from tests.shared import OFFICIAL, needs_shared

AGENTS = [f"--model=scripted/{kind}" for kind in ("oracle", "compliant", "refuse", "random")]


def write_dataset(path: Path, family: str, count: int) -> Path:
    from muses_eval.pipeline.families import FAMILIES

    path.write_text("".join(json.dumps(row) + "\n" for row in FAMILIES[family].generate(count, 1)))
    return path


@pytest.mark.integration
@pytest.mark.own_process
def test_an_api_model_on_ray_into_s3_and_out_again_in_sql(muses: Muses, tmp_path: Path, s3: S3Server) -> None:
    dataset = write_dataset(tmp_path / "access.jsonl", "access", 6)
    store = "s3://muses-tests/job"
    with Provider(reply=lambda _: '{"target": "all", "content": "No."}', latency_s=0.002) as provider:
        done = muses(
            *("run", "--model", "openai:mock", "--base-url", provider.base_url, "--family", "access"),
            *("--dataset", str(dataset), "--executor", "ray", "--workers", "2", "--shard-size", "2"),
            *("--store", store, "--json", "--quiet"),
            **s3.environment,
        )
        asked = len(provider.completions)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["episodes"] == {
        "planned": 6, "scored": 6, "infra_failed": 0, "simulator_failed": 0, "budget_stopped": 0
    }  # fmt: skip
    assert (summary["leaderboard"][0]["privacy"], summary["leaderboard"][0]["utility"]) == (1.0, 0.0)
    assert asked == 6 * 10  # the model refuses in all ten rounds
    said = done.stderr.splitlines()  # one line each about the run, its usage and missing prices; none from the engines
    assert [line.split()[0] for line in said] == ["run", "60", "the"], done.stderr

    query = "select outcome, count(*) as n, sum(len(calls)) as calls from episodes group by 1"
    answer = muses("sql", query, "--store", store, "--format", "json", **s3.environment)
    assert json.loads(answer.stdout) == [{"outcome": "scored", "n": 6, "calls": asked}], answer.stderr


@needs_shared
@pytest.mark.parametrize(("folder", "episodes"), [("shared_llm_queue", 304), ("access_control", 216)])
def test_official_files_are_played_as_they_are(muses: Muses, folder: str, episodes: int) -> None:
    done = muses("run", *AGENTS, "--dataset", str(OFFICIAL / folder), "--store", "out", "--json")
    assert done.returncode == 0, done.stderr
    rows = {row["model"]: row for row in json.loads(done.stdout)["leaderboard"]}
    assert {row["episodes"] for row in rows.values()} == {episodes}
    columns = [c for c in ("queue_f1", "privacy", "utility") if rows["scripted/oracle"][c] is not None]
    assert all(rows["scripted/oracle"][column] == 1.0 for column in columns)
    if folder == "shared_llm_queue":
        assert rows["scripted/compliant"]["queue_f1"] == pytest.approx(0.806, abs=5e-4)
        assert rows["scripted/refuse"]["queue_f1"] == 0
        assert 0.4 < rows["scripted/random"]["queue_f1"] < 0.7
    else:
        assert (rows["scripted/compliant"]["privacy"], rows["scripted/compliant"]["utility"]) == (0, 1)
        assert (rows["scripted/refuse"]["privacy"], rows["scripted/refuse"]["utility"]) == (1, 0)


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.own_process
def test_the_flow_and_the_plain_run_are_the_same_job(muses: Muses, prefect: PrefectServer) -> None:
    """A run has the same id and scores without Prefect, with its embedded server, and with another server on Ray."""
    arguments = (*AGENTS, "--dataset", "generated:4", "--json", "--quiet")
    plain = muses("run", *arguments, "--store", "plain")
    embedded = muses("flow", "evaluate", *arguments, "--store", "embedded")
    server = {"PREFECT_API_URL": prefect.url}
    on_ray = muses("flow", "evaluate", *arguments, "--executor=ray", "--store", "ray", **server)
    assert plain.returncode == 0, plain.stderr
    ours = json.loads(plain.stdout)
    for flow in (embedded, on_ray):
        assert (flow.returncode, len(flow.stderr.splitlines())) == (0, 1), flow.stderr
        theirs = json.loads(flow.stdout)
        assert ours["leaderboard"] == theirs["leaderboard"]
        assert ours["run_id"] == theirs["run_id"]


def test_running_again_plays_only_what_is_not_scored(muses: Muses, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "queue.jsonl", "queue", 8)
    from tests.provider import failed

    with Provider(reply=lambda _: "{}", script=[failed(400)] * 3) as provider:
        arguments = ("run", "--model=openai:m", "--base-url", provider.base_url, "--dataset", str(dataset))
        arguments += ("--max-unusable=1", "--json")
        first = muses(*arguments)
        assert first.returncode == 3, first.stderr
        counts = json.loads(first.stdout)["episodes"]
        assert (counts["scored"], counts["infra_failed"]) == (5, 3)
        assert json.loads(first.stdout)["leaderboard"][0]["rank"] is None
        assert "3 x internal" in first.stderr
        second = muses(*arguments)
        assert second.returncode == 0, second.stderr
        assert json.loads(second.stdout)["episodes"]["scored"] == 8
        assert len(provider.completions) == 8 + 3
        third = muses(*arguments)
        assert third.returncode == 0
        assert len(provider.completions) == 8 + 3
    rows = muses("sql", "select count(*), count(distinct episode_id) from episodes", "--format", "csv")
    assert rows.stdout.splitlines()[1] == "8,8"


def test_first_start_without_ray_imports_no_engine(tmp_path: Path) -> None:
    """Engines are imported only when they are used, so that the first episode starts soon."""
    import subprocess

    code = (
        "import sys; from muses_eval.flows.cli import main;"
        "main(['run', '--model=scripted/oracle', '--limit=1', '--json']);"
        "print({'ray', 'prefect', 'boto3', 'aiohttp'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.stderr.splitlines()[-1] == "set()"
