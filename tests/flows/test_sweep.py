"""The runs of a grid on one executor: each finishes on its own, and the report says which cells are complete."""

import asyncio
import json
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import duckdb
import pytest
import ray
from muses_eval.dashboards.tables.sweep_scores import render_scores
from muses_eval.flows.job.evaluate import NO_OBSERVER, Driver, RunObserver
from muses_eval.flows.settings import Settings, read_settings
from muses_eval.flows.sweep.sweep import SweepReport, sweep
from muses_eval.pipeline.config.execution import ExecutionConfig
from muses_eval.pipeline.config.grid import expand
from muses_eval.pipeline.errors import ConfigError, EndpointError
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.query.duckdb_connection import connect
from muses_eval.storage.runs.manifest import find_manifest
from muses_eval.workers.play.executor import Executor
from muses_eval.workers.play.inline_executor import InlineExecutor

from tests.conftest import Muses
from tests.flows.test_interrupt import CTRL_C, Stopped
from tests.prefect_server import PrefectServer
from tests.provider import Provider, completion
from tests.stand_in_vllm import stand_in, until
from tests.workers.test_ray_executor import ray_cluster

BASE: Mapping[str, Any] = {
    "name": "s",
    "dataset": "generated:3",
    "families": ["queue"],
    "models": ["scripted/oracle"],
    "max_unusable": 1,
}
DEAD = {"model": "openai:dead", "api_key_env": "NO_SUCH_KEY"}


@dataclass
class Pool:
    """Opens executors in this process and counts them."""

    opened: int = 0

    @asynccontextmanager
    async def open(self, execution: ExecutionConfig, _: Settings) -> AsyncIterator[Executor]:
        self.opened += 1
        async with InlineExecutor(execution.shards_per_worker) as executor:
            yield executor


def play(
    folder: Path, raw: Mapping[str, Any], pool: Pool | None = None, observer: RunObserver = NO_OBSERVER
) -> SweepReport:
    runs = expand({"store": str(folder / "store"), **BASE, **raw}, "sweep.yaml")
    settings = read_settings({"MUSES_HOME": str(folder / "home")})
    return asyncio.run(sweep("s", runs, settings, observer, Driver("test", (pool or Pool()).open)))


def lines(report: SweepReport) -> list[tuple[str, str, str, int, int, bool]]:
    return [
        (line.run, line.cell.model, line.cell.family, line.cell.scored, line.cell.planned, line.complete)
        for line in report.lines
    ]


def api(provider: Provider, name: str = "m", **more: Any) -> dict[str, Any]:
    return {"model": f"openai:{name}", "base_url": provider.base_url, **more}


def test_all_runs_are_played_on_one_executor(tmp_path: Path) -> None:
    pool = Pool()
    report = play(tmp_path, {"grid": {"epochs": [1, 2], "families": [["queue"], ["instruct"]]}}, pool)
    assert lines(report) == [
        (f"epochs={epochs} families={family}", "scripted/oracle", family, 3 * epochs, 3 * epochs, True)
        for epochs in (1, 2)
        for family in ("queue", "instruct")
    ]
    assert (report.complete, report.budget_reached, report.cost_usd, pool.opened) == (True, False, 0.0, 1)


def test_one_table_has_the_scores_of_all_runs(tmp_path: Path, muses: Muses) -> None:
    """The table at the end of a sweep is that which `muses leaderboard --sweep` prints later."""
    raw = {"models": ["scripted/oracle", "scripted/refuse"], "grid": {"epochs": [1, 2]}}
    shown = render_scores(play(tmp_path, raw).scores, "table")
    lines = shown.splitlines()
    assert lines[0].split() == ["run", "model", "rank", "queue", "F1", "avg", "scored", "coverage", "cost"]
    assert [line.split()[:3] for line in lines[2:6]] == [
        [f"epochs={epochs}", model, rank]
        for epochs in (1, 2)
        for model, rank in (("scripted/oracle", "1"), ("scripted/refuse", "2"))
    ]
    file, store = tmp_path / "grid.yaml", str(tmp_path / "store")
    file.write_text(json.dumps({**BASE, **raw}))
    assert muses("leaderboard", "--sweep", str(file), "--store", store).stdout == f"{shown}\n"
    file.write_text(json.dumps({**BASE, **raw, "grid": {"epochs": [1, 2, 3]}}))
    later = muses("leaderboard", "--sweep", str(file), "--store", store, "--format=md").stdout
    assert "| epochs=2 | scripted/oracle |" in later
    assert "without episodes: epochs=3" in later
    records = json.loads(muses("leaderboard", "--sweep", str(file), "--store", store, "--format=json").stdout)
    assert (len(records), records[0]["run"], records[0]["queue_f1"]) == (4, "epochs=1", 1.0)


def test_a_configuration_without_a_grid_is_a_sweep_of_one_run(tmp_path: Path) -> None:
    assert lines(play(tmp_path, {})) == [("", "scripted/oracle", "queue", 3, 3, True)]


def test_started_again_it_plays_nothing_twice(tmp_path: Path) -> None:
    """A second start plays no episode twice, and opens no executor when nothing is pending."""
    with Provider(reply=lambda _: "{}") as provider:
        raw = {"models": [api(provider)], "grid": {"epochs": [1, 2]}}
        first, calls, again = play(tmp_path, raw), len(provider.completions), Pool()
        second = play(tmp_path, raw, again)
        assert (calls, len(provider.completions), again.opened) == (9, 9, 0)
        assert lines(first) == lines(second)
        assert first.cost_usd is None  # the price is unknown
        more = play(tmp_path, {**raw, "grid": {"epochs": [1, 2, 3]}})
        assert (len(provider.completions), more.complete) == (18, True)


def test_one_that_was_stopped_is_finished_by_the_next_start(tmp_path: Path) -> None:
    """The next start finishes an interrupted sweep with every episode stored once."""
    raw = {"grid": {"epochs": [1, 2, 3]}, "execution": {"shard_size": 1, "shards_per_worker": 1}}

    async def stopped(provider: Provider) -> None:
        runs = expand({"store": str(tmp_path / "store"), **BASE, **raw, "models": [api(provider)]}, "sweep.yaml")
        settings = read_settings({"MUSES_HOME": str(tmp_path / "home")})
        playing = asyncio.create_task(sweep("s", runs, settings, NO_OBSERVER, Driver("test", Pool().open)))
        while len(provider.completions) < 5:  # noqa: ASYNC110 - the request log of another thread
            await asyncio.sleep(0.01)
        playing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await playing

    with Provider(reply=lambda _: "{}", latency_s=0.05) as provider:
        asyncio.run(stopped(provider))
        begun = len(provider.completions)
        report = play(tmp_path, {**raw, "models": [api(provider)]})
        assert report.complete
        assert 18 <= len(provider.completions) <= 19  # a call in flight is repeated
        assert begun < 18
    with connect(str(tmp_path / "store")) as connection:
        found = connection.execute("SELECT count(*), count(DISTINCT (run_id, episode_id)) FROM episodes").fetchone()
    assert found == (18, 18)


def test_a_model_that_cannot_be_called_stops_no_other(tmp_path: Path) -> None:
    said: list[str] = []
    report = play(
        tmp_path,
        {"models": ["scripted/oracle", DEAD], "grid": {"epochs": [1, 2]}},
        observer=RunObserver(warn=said.append),
    )
    assert [(line.cell.model, line.cell.scored, line.cell.unplayed, line.complete) for line in report.lines] == [
        ("scripted/oracle", 3, 0, True),
        ("dead", 0, 3, False),
        ("scripted/oracle", 6, 0, True),
        ("dead", 0, 6, False),
    ]
    assert not report.complete
    assert [run.error for run in report.runs] == [None, None]
    assert len(said) == 1  # once for all runs
    assert "NO_SUCH_KEY" in said[0]


def test_a_run_that_ends_early_stops_no_other(tmp_path: Path) -> None:
    raw = {"families": ["queue", "access"], "grid": {"users": ["scripted", DEAD]}}
    report = play(tmp_path, raw)
    assert [run.complete for run in report.runs] == [True, False]
    assert report.runs[0].error is None
    assert "the users' model cannot be reached" in str(report.runs[1].error)
    assert [line.cell.unplayed for line in report.lines] == [0, 0, 3, 3]


def test_a_defect_in_one_run_stops_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def begin(run: Any) -> Any:
        if run.config.epochs == 2:
            raise ZeroDivisionError("a defect")
        return lambda _: None

    report = play(tmp_path, {"grid": {"epochs": [1, 2]}}, observer=RunObserver(begin=begin))
    assert [run.error for run in report.runs] == [None, "ZeroDivisionError: a defect"]
    assert "Traceback" in caplog.text


def test_what_cannot_be_read_at_the_end_is_not_taken_for_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise duckdb.IOException("no space left")

    monkeypatch.setattr("muses_eval.flows.sweep.sweep.cell_results", full)
    report = play(tmp_path, {})
    assert [(run.error, run.complete, run.cells[0].cost_usd) for run in report.runs] == [("no space left", False, None)]
    assert report.cost_usd is None


def test_what_keeps_all_runs_from_starting_is_said_once(tmp_path: Path) -> None:
    with pytest.raises(EndpointError, match="no model of this run can be reached"):
        play(tmp_path, {"models": [DEAD], "grid": {"epochs": [1, 2]}})
    with pytest.raises(ConfigError, match="served on Ray only"):
        play(tmp_path, {"models": ["vllm:m"], "grid": {"epochs": [1, 2]}})


def test_an_executor_that_does_not_open_is_tried_once(tmp_path: Path) -> None:
    class Closed(Pool):
        @asynccontextmanager
        async def open(self, execution: ExecutionConfig, _: Settings) -> AsyncIterator[Executor]:
            self.opened += 1
            if self.opened:
                raise ConfigError("no cluster there")
            yield InlineExecutor(1)

    pool = Closed()
    with pytest.raises(ConfigError, match="no cluster there"):
        play(tmp_path, {"grid": {"epochs": [1, 2, 3]}}, pool)
    assert pool.opened == 1


def test_a_run_that_cannot_be_planned_is_refused_before_anything_is_played(tmp_path: Path) -> None:
    pool = Pool()
    with pytest.raises(Exception, match="nowhere"):
        play(tmp_path, {"grid": {"dataset": ["generated:3", "nowhere"]}}, pool)
    assert pool.opened == 0


def test_a_budget_is_that_of_all_runs_and_starts_together(tmp_path: Path) -> None:
    """All runs and starts share a cap: 10.5 episodes, then 15.5, then those already played; without a cap, the rest."""
    each, planned = 1000, 3 * 8
    answer = completion("{}", usage={"prompt_tokens": each - 10, "completion_tokens": 10})

    def start(tokens: int | None) -> SweepReport:
        return play(tmp_path, {**raw, "budget": None if tokens is None else {"tokens": tokens}})

    def budget_stopped(report: SweepReport) -> int:
        return sum(line.cell.outcomes.get("budget_stopped", 0) for line in report.lines)

    with Provider(script=repeat(answer), latency_s=0.01) as provider:
        grid = {"dataset": [f"generated:8@{seed}" for seed in (1, 2, 3)]}
        raw = {"models": [api(provider)], "grid": grid, "execution": {"shard_size": 2}}
        first = start(10 * each + each // 2)
        played = len(provider.completions)
        assert (first.budget_reached, first.complete, budget_stopped(first)) == (True, False, planned - played)
        assert 5 < played <= 10  # an episode starts only if its reservation fits into the cap
        second = start(15 * each + each // 2)
        assert (second.budget_reached, played < len(provider.completions) <= 15) == (True, True)
        played = len(provider.completions)
        third = start(played * each)
        assert (third.budget_reached, len(provider.completions)) == (True, played)
        whole = start(None)
        assert (whole.budget_reached, whole.complete, len(provider.completions)) == (False, True, planned)


def test_runs_that_begin_when_the_budget_is_used_up_ask_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muses_eval.flows.sweep.sweep.RUNS_AT_ONCE", 2)
    pool = Pool()
    with Provider() as provider:
        grid = {"dataset": [f"generated:2@{seed}" for seed in range(5)]}
        report = play(tmp_path, {"models": [api(provider)], "grid": grid, "budget": {"tokens": 1}}, pool)
        assert (report.budget_reached, provider.completions) == (True, [])
        assert len(provider.requests) == 2  # the first two runs have probed the model
    assert [run.report is not None and run.report.budget_reached for run in report.runs] == [True] * 5
    assert {line.cell.scored for line in report.lines} == {0}


# Models that the sweep serves itself, on GPUs that are only declared to Ray


@pytest.fixture
def gpu() -> Iterator[None]:
    """A local Ray cluster that declares one GPU."""
    temp_dir = Path(tempfile.mkdtemp(prefix="muses-"))
    quiet: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "_temp_dir": str(temp_dir / "ray")}
    ray.init("local", num_cpus=1, num_gpus=1, **quiet)
    try:
        yield
    finally:
        ray.shutdown()
        shutil.rmtree(temp_dir, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.usefixtures("gpu")
def test_served_models_take_turns_across_the_runs(tmp_path: Path) -> None:
    """Each served model is deployed once for all runs; a model that does not start is left out; APIs need no turn."""
    engine = {"python": stand_in(tmp_path, "vllm")}
    with Provider(reply=lambda _: "{}") as provider:
        models: Sequence[Any] = [
            {"model": "vllm:one", "engine": engine},
            {"model": "vllm:broken", "engine": {**engine, "args": {"mishap": "no start"}}},
            {"model": "vllm:none", "engine": {"python": "/nowhere/python"}},
            {"model": "vllm:two", "engine": engine},
            api(provider),
        ]
        grid = {"sampling": [{"temperature": 0}, {"temperature": 1}], "epochs": [1, 2]}
        report = play(tmp_path, {"models": models, "grid": grid, "execution": {"executor": "ray", "shard_size": 2}})
    short = [(line.cell.model, line.cell.unplayed == line.cell.planned) for line in report.lines if not line.complete]
    assert short == [("broken", True), ("none", True)] * 4
    store = str(tmp_path / "store")
    with connect(store) as connection:
        answers = connection.execute(
            "SELECT model, content, count(DISTINCT run_id) FROM messages WHERE starts_with(content, model || ' ') "
            "GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    assert [(model, runs) for model, _, runs in answers] == [("one", 4), ("two", 4)]  # one process per model
    problems = [text for run in report.runs if run.report for _, _, text in run.report.problems]
    assert sum("vllm:broken does not start" in text for text in problems) == 4
    assert sum("cannot run /nowhere/python" in text for text in problems) == 4
    described = find_manifest(open_store(store), report.runs[3].run_id).made_with["vllm"]
    assert sorted(described) == ["broken", "one", "two"]


# Sweeps through Prefect, as users start them


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.own_process
def test_a_sweep_through_prefect(muses: Muses, prefect: PrefectServer, tmp_path: Path) -> None:
    config = {**BASE, "store": "store", "models": ["scripted/oracle", DEAD], "grid": {"epochs": [1, 2]}}
    (tmp_path / "sweep.yaml").write_text(json.dumps(config))
    done = muses("flow", "sweep", "sweep.yaml", "--json", PREFECT_API_URL=prefect.url)
    assert done.returncode == 3, done.stderr
    found = json.loads(done.stdout)
    assert [(run["run"], run["complete"], run["trouble"]) for run in found["runs"]] == [
        ("epochs=1", False, None),
        ("epochs=2", False, None),
    ]
    assert [(cell["model"], cell["complete"], cell["coverage"]) for cell in found["cells"]] == [
        ("scripted/oracle", True, 1.0),
        ("dead", False, 0.0),
    ] * 2
    assert found["complete"] is False
    assert "sweep s in " in done.stderr
    assert "2 of 4 cells complete, 0 of 2 runs" in done.stderr
    done = muses("flow", "sweep", "sweep.yaml", "--model=scripted/oracle", PREFECT_API_URL=prefect.url)
    assert done.returncode == 0, done.stderr
    assert re.search(r"epochs=2 +scripted/oracle +queue +6/6 +100 % +\$0.00 +complete", done.stdout)


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.own_process
def test_ctrl_c_keeps_what_is_finished(muses: Muses, tmp_path: Path) -> None:
    """Ctrl-C leaves no process behind, and the next start plays the rest."""
    with Provider(reply=lambda _: "{}", latency_s=0.2) as provider:
        raw = {**BASE, "store": "store", "models": [api(provider, max_concurrency=1)], "grid": {"epochs": [1, 2, 3]}}
        (tmp_path / "sweep.yaml").write_text(json.dumps({**raw, "execution": {"shard_size": 1}}))
        process = Stopped(tmp_path, "flow", "sweep", "sweep.yaml")
        until(lambda: len(provider.completions) >= 5 or not process.alive, 120)
        process.send(*CTRL_C)
        done = process.wait()
        assert done.returncode == 130, done.stderr
        assert "finished episodes are stored. Resume with: muses flow sweep sweep.yaml" in done.stderr
        assert "Traceback" not in done.stderr
        assert process.left_behind == []
        assert muses("flow", "sweep", "sweep.yaml").returncode == 0
        assert 18 <= len(provider.completions) <= 19  # a call in flight is repeated


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.own_process
def test_two_sweeps_at_once_share_what_a_provider_allows(muses: Muses, tmp_path: Path, prefect: PrefectServer) -> None:
    """Two sweeps on one Ray cluster use the shared limit fully, never exceed it, and make progress at the same time."""
    ray_folder = Path(tempfile.mkdtemp(prefix="muses-"))
    grid = {"epochs": [1, 2]}
    with (
        Provider(reply=lambda _: "{}", latency_s=0.2, most_in_flight=4, meet=4) as provider,
        ray_cluster(ray_folder) as cluster,
        ThreadPoolExecutor() as users,
    ):

        def start(name: str) -> "subprocess.CompletedProcess[str]":
            model = api(provider, name, account="shared", max_concurrency=4)
            raw = {**BASE, "name": name, "dataset": "generated:24", "store": name, "models": [model], "grid": grid}
            execution = {"executor": "ray", "ray_address": cluster.address, "workers": 1, "shard_size": 4}
            (tmp_path / f"{name}.yaml").write_text(json.dumps({**raw, "execution": execution}))
            tokens = {key: value for key, value in cluster.environment.items() if key.startswith("RAY_")}
            return muses("flow", "sweep", f"{name}.yaml", "--json", PREFECT_API_URL=prefect.url, **tokens)

        both = list(users.map(start, ("one", "two")))
        assert [done.returncode for done in both] == [0, 0], [done.stderr for done in both]
        assert (provider.peak, provider.refused) == (4, 0)
        asked = [received.document["model"] for received in provider.completions]
    shutil.rmtree(ray_folder, ignore_errors=True)
    assert Counter(asked) == {"one": 72, "two": 72}
    begins = max(asked.index(name) for name in ("one", "two"))
    ends = len(asked) - max(asked[::-1].index(name) for name in ("one", "two"))
    together = Counter(asked[begins:ends])
    assert min(together["one"], together["two"]) > 0.3 * together.total(), together


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"epochs": []}, "grid.epochs: the list is empty"),
        ({"limit": list(range(1, 1001)), "epochs": list(range(1, 1001))}, "1,000,000 cells in 1,000,000 runs"),
    ],
)
def test_a_grid_that_is_a_slip_is_refused_at_once(
    muses: Muses, tmp_path: Path, grid: Mapping[str, Any], message: str
) -> None:
    (tmp_path / "sweep.yaml").write_text(json.dumps({**BASE, "grid": grid}))
    for command in (("flow", "sweep"), ("plan",)):
        done = muses(*command, "sweep.yaml")
        assert (done.returncode, message in done.stderr) == (2, True), done.stderr
        assert not (tmp_path / ".muses").exists()


def test_a_grid_is_no_run(muses: Muses, tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(json.dumps({**BASE, "grid": {"epochs": [1]}}))
    done: subprocess.CompletedProcess[str] = muses("run", "sweep.yaml")
    assert done.returncode == 2
    assert "sweep.yaml: it has a grid, but this command is for one run; `muses flow sweep` plays" in done.stderr
