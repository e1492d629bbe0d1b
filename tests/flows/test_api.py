"""The Python API returns what the commands print, in a script and inside a running event loop."""

import asyncio
import inspect
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import repeat
from pathlib import Path
from typing import Any

import muses_eval
import polars as pl
import pytest
from muses_eval import RunReport
from muses_eval.flows.cli import main

from tests.provider import Provider, Response, slow

PAGE = (Path(__file__).parents[2] / "docs" / "python.md").read_text(encoding="utf-8")
INLINE = {"executor": "inline", "shard_size": 4}
CONFIG: Mapping[str, Any] = {
    "models": ["scripted/oracle", "scripted/random", "scripted/refuse"],
    "dataset": "generated:4",
    "families": ["queue", "access"],
    "execution": INLINE,
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> RunReport:
    """Returns a report of a run that was played inside a running loop, as a notebook's cell is."""

    async def cell() -> RunReport:
        return muses_eval.run(CONFIG, store=tmp_path_factory.mktemp("store"))

    return asyncio.run(cell())


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns the current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def test_importing_loads_no_engine() -> None:
    """``import muses_eval`` loads itself and what sets NO_PROXY; its names are there for completion."""
    code = (
        "import sys; before = set(sys.modules); import muses_eval; names = dir(muses_eval)\n"
        "ours = {'muses_eval', 'muses_eval.pipeline', 'muses_eval.pipeline.loopback'}\n"
        "assert set(sys.modules) - before == ours, set(sys.modules) - before\n"
        "assert set(muses_eval.__all__) <= set(names)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", muses_eval.__all__)
def test_every_name_is_documented(name: str) -> None:
    """Each exported name resolves, has a docstring, and is on the page; so is each parameter of a function."""
    found = getattr(muses_eval, name)
    assert found.__name__ == name
    assert (inspect.getdoc(found) or "").endswith(".")
    assert f"`{name}" in PAGE
    if inspect.isfunction(found):
        assert all(f"{parameter}:" in str(found.__doc__) for parameter in inspect.signature(found).parameters)


def test_unknown_names() -> None:
    with pytest.raises(AttributeError, match="no attribute 'leader_board'"):
        _ = muses_eval.leader_board


def test_a_report(report: RunReport) -> None:
    assert report.complete
    assert report.outcomes["scored"] == report.planned == 24
    assert report.leaderboard["model"].to_list() == ["scripted/oracle", "scripted/random", "scripted/refuse"]
    assert report.leaderboard["rank"].to_list() == [1, 2, 3]


def test_a_second_call_plays_nothing(report: RunReport) -> None:
    """A mapping, a parsed configuration and a file with the same content name the same run."""
    parsed = muses_eval.RunConfig.model_validate(CONFIG)
    path = Path(report.store, "same.yaml")
    path.write_text(json.dumps(dict(CONFIG)))
    for config in (CONFIG, parsed, path, str(path)):
        again = muses_eval.run(config, store=report.store, progress=False)
        assert (again.run_id, again.spent, again.outcomes) == (report.run_id, report.spent, report.outcomes)
    path.unlink()


def test_the_leaderboard_is_that_of_the_command(report: RunReport, capsys: pytest.CaptureFixture[str]) -> None:
    """Every value of the command's JSON is in the frame, whatever names the store; pandas takes the frame."""
    arguments = ("--store", report.store, "--scoring", "corrected", "--format", "json")
    records = json.loads(printed(capsys, "leaderboard", *arguments))
    sources = (report, report.store, Path(report.store))
    frames = [muses_eval.leaderboard(source, scoring="corrected", bands=True) for source in sources]
    assert frames[0].equals(frames[1])
    assert frames[0].equals(frames[2])
    for record, row in zip(records, frames[0].to_dicts(), strict=True):
        flat = {key: value for key, value in record.items() if key not in ("source", "outcomes", "bounds", "marks")}
        assert row.items() >= {**flat, **record["outcomes"]}.items()
        assert (row["rank_best"], row["privacy_low"]) == (row["rank"], None)
    table = frames[0].to_pandas()
    assert table.dtypes["avg"] == table.dtypes["meeting_success_high"] == "float64"
    assert report.leaderboard.equals(muses_eval.leaderboard(report))


def test_comparisons_are_those_of_the_command(report: RunReport, capsys: pytest.CaptureFixture[str]) -> None:
    two = muses_eval.compare("scripted/oracle", "scripted/refuse", store=report, family="access")
    arguments = ("--family", "access", "--store", report.store, "--format", "json")
    record = json.loads(printed(capsys, "compare", "scripted/oracle", "scripted/refuse", *arguments))
    wanted = [*record["columns"], record["overall"]]
    assert two.select(list(wanted[0])).to_dicts() == wanted
    assert two["model_b"].unique().to_list() == ["scripted/refuse"]
    every = muses_eval.compare(store=report)
    assert every.select("model_a", "model_b").unique().height == 3
    assert every["column"].to_list() == ["queue_f1", "privacy", "utility", "avg"] * 3


def test_harness_effects_are_those_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One row per agent and column, with the columns and values of the command's CSV."""
    with Provider() as provider:
        model = {"model": "openai:m", "base_url": provider.base_url, "prices": {"input": 1, "output": 2}}
        text = tmp_path / "careful.md"
        text.write_text("Be careful.")
        agents = ["chat", {"agent": "prompt", "name": "careful", "system": str(text)}]
        config = {**CONFIG, "models": [model], "agents": agents, "families": ["access"]}
        report = muses_eval.run(config, store=tmp_path)
    assert report.leaderboard.select("model", "agent").rows() == [("m", "chat"), ("m + careful", "careful")]
    found = muses_eval.harness(report)
    assert found.select("agent", "column").rows() == [("careful", name) for name in ("privacy", "utility", "avg")]
    assert found["agent_calls"].dtype == pl.Float64
    table = printed(capsys, "harness", "--store", str(tmp_path), "--format", "csv")
    assert found.equals(pl.read_csv(io.StringIO(table), schema=found.schema))


def test_differences_besides_the_models_are_warnings(report: RunReport) -> None:
    larger = muses_eval.run({**CONFIG, "run_id": "larger", "dataset": "generated:8"}, store=report.store)
    names = [f"{each.run_id}:scripted/random" for each in (report, larger)]
    with pytest.warns(UserWarning, match="not the same dataset"):
        found = muses_eval.compare(*names, store=report.store)
    assert found["run_b"].unique().to_list() == ["larger"]


def test_a_trace_is_that_of_the_command(report: RunReport, capsys: pytest.CaptureFixture[str]) -> None:
    query = "SELECT episode_id FROM episodes WHERE family = 'access' AND model = 'scripted/oracle'"
    (episode_id,) = muses_eval.connect(report).sql(query).fetchone() or ("",)
    found = muses_eval.trace(episode_id[:12], store=report)
    assert repr(found) == str(found)
    command = printed(capsys, "trace", episode_id, "--store", report.store)
    assert command.startswith(f"{found}\n── what was right and wrong ")
    assert found.messages.columns == ["turn", "sender", "audience", "content"]
    assert found.messages.height == len(found.episode.messages)
    assert found.scores["value"].to_list() == [score.value for score in found.episode.scores]
    assert (found.events.height, found.events.columns) == (0, ["turn", "step", "kind", "text"])
    assert (found.calls.height, found.calls.schema["prompt_tokens"]) == (0, pl.Int64)


def test_rows_of_a_run_and_of_a_store(report: RunReport, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report names its run, a path all runs; without a store, the one of the commands is read."""
    muses_eval.run({**CONFIG, "run_id": "second", "models": ["scripted/oracle"]}, store=report.store)
    assert muses_eval.scan(report).select(pl.len()).collect().item() == 24
    assert muses_eval.scan(report.store, run="second").select(pl.len()).collect().item() == 8
    monkeypatch.setenv("MUSES_STORE", report.store)
    runs = muses_eval.scan().select("run_id").unique().collect()["run_id"]
    assert {report.run_id, "second"} <= set(runs)
    count = "SELECT count(DISTINCT run_id) FROM episodes"
    assert muses_eval.connect().sql(count).fetchall() == [(len(runs),)]
    assert muses_eval.connect(run="second").sql(count).fetchall() == [(1,)]


def test_a_plan_is_that_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = {"model": "openai:m", "base_url": "http://127.0.0.1:1/v1", "prices": {"input": 1, "output": 2}}
    config = {**CONFIG, "models": [model]}
    path = tmp_path / "plan.yaml"
    path.write_text(json.dumps(config))
    record = json.loads(printed(capsys, "plan", str(path), "--json"))
    found = muses_eval.plan(config, store=tmp_path / "store")
    assert found.cells.to_dicts() == record["cells"]
    assert (found.run_id, found.episodes) == (record["run_id"], record["episodes"]) == (found.run_id, 8)
    assert found.estimate.cost_usd is not None
    assert found.estimate.cost_usd.mid == record["estimate"]["cost_usd"]["mid"] > 0
    assert found.smallest_difference == record["smallest_difference"]


def test_a_pilot_counts_for_the_run(tmp_path: Path) -> None:
    with Provider() as provider:
        config = {**CONFIG, "models": [{"model": "openai:m", "base_url": provider.base_url}], "families": ["queue"]}
        planned = muses_eval.plan(config, store=tmp_path, pilot=2)
        assert (planned.estimate.sampled_episodes, len(provider.completions)) == (2, 2)
        assert muses_eval.run(config, store=tmp_path).planned == len(provider.completions) == 4
        with pytest.raises(muses_eval.ConfigError, match="pilot: expected at least 2 episodes per cell, got 1"):
            muses_eval.plan(config, store=tmp_path, pilot=1)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda store: muses_eval.run({"models": ["scripted/unknown"]}), "ConfigError", "argument: .*unknown"),
        (lambda store: muses_eval.run({**CONFIG, "grid": {"epochs": [1, 2]}}), "ConfigError", "it has a grid"),
        (lambda store: muses_eval.plan("missing.yaml"), "ConfigError", "missing.yaml: cannot be read"),
        (
            lambda store: muses_eval.plan(["x"]),
            "ConfigError",
            "argument: expected the path of a YAML file.* got a list",
        ),
        (lambda store: muses_eval.run({**CONFIG, "epochs": 10**5000}), "ConfigError", "epochs: .* more than 64 bits"),
        (lambda store: muses_eval.run({**CONFIG, "dataset": "gone.jsonl"}, store=store), "MusesError", "gone.jsonl"),
        (lambda store: muses_eval.leaderboard(store, run="none"), "NoSuchRunError", "no run 'none'.*it has"),
        (lambda store: muses_eval.leaderboard("empty"), "NoSuchRunError", "there is no run in the store"),
        (lambda store: muses_eval.compare("scripted/oracle", store=store), "ConfigError", "name two models.*has: "),
        (lambda store: muses_eval.compare(store=store, family="q"), "ConfigError", "no family 'q'; there are queue"),
        (lambda store: muses_eval.compare("a", "b", store=store), "MusesError", "no model 'a' in the run"),
        (lambda store: muses_eval.trace("zzz", store=store), "MusesError", "no episode of the store"),
        (
            lambda store: muses_eval.leaderboard(store, averaging="released", scoring="corrected"),
            "ConfigError",
            "averaging 'released' goes with scoring 'published'",
        ),
    ],
)
def test_bad_input(call: Any, kind: str, message: str, report: RunReport, empty_folder: Path) -> None:
    """Errors are the commands' errors, all of them MusesErrors, and nothing is written."""
    with pytest.raises(getattr(muses_eval, kind), match=message) as raised:
        call(report.store)
    assert isinstance(raised.value, muses_eval.MusesError)
    assert not list(empty_folder.iterdir())


def test_a_damaged_object_is_a_warning(tmp_path: Path) -> None:
    config = {**CONFIG, "models": ["scripted/oracle", "scripted/refuse"], "families": ["queue"]}
    report = muses_eval.run(config, store=tmp_path)
    (shard,) = tmp_path.glob("traces/*/scripted-refuse/queue/*")
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.warns(UserWarning, match="damaged and left out: .*model scripted-refuse"):
        board = muses_eval.leaderboard(report)
    columns = ("model", "scored", "ranked", "queue_f1", "queue_f1_low", "queue_f1_high", "privacy_low")
    assert board.select(columns).rows() == [
        ("scripted/oracle", 4, True, 1.0, None, None, None),
        ("scripted/refuse", 0, False, None, 0.0, 1.0, None),
    ]


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Handles SIGINT as Python does by default; a shell lets jobs in the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_an_interrupt_keeps_the_finished_episodes(tmp_path: Path) -> None:
    """KeyboardInterrupt ends the run as Ctrl-C ends the command: a partly finished shard is stored, then resumed."""
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    waiting, interrupted = threading.Event(), threading.Event()

    def script() -> Iterator[Response | None]:
        yield from repeat(None, 6)
        waiting.set()
        while not interrupted.is_set():
            yield slow(120)

    with Provider(script=script()) as provider:
        config = {**CONFIG, "models": [{"model": "openai:m", "base_url": provider.base_url}], "families": ["queue"]}
        config["dataset"] = "generated:12"

        def interrupt() -> None:
            waiting.wait()
            time.sleep(1)  # for the client to finish the episodes that were answered
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt, daemon=True).start()
        with pytest.raises(KeyboardInterrupt, match="finished episodes are stored, and the same call resumes the run"):
            muses_eval.run(config, store=tmp_path)
        interrupted.set()
        stored = muses_eval.scan(tmp_path).filter(pl.col("outcome") == "scored").collect().height
        assert 0 < stored <= 6
        waited = len(provider.completions)
        again = muses_eval.run(config, store=tmp_path)
        assert again.outcomes["scored"] == again.planned == 12
        assert len(provider.completions) - waited == 12 - stored
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


STUBBORN = """
import asyncio, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets jobs in the background ignore it
from muses_eval.flows.job.own_thread import run_in_own_thread

async def stubborn():
    print("begun", flush=True)
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            print("cancelled", flush=True)

run_in_own_thread(stubborn, "finished episodes are stored")
"""


def test_a_job_that_ignores_an_interrupt() -> None:
    """The second interrupt has no effect, and the third one ends the wait."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", STUBBORN], **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        sent = 0
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            sent += 1
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
        out, err = process.communicate()
    assert process.returncode == -signal.SIGINT
    assert sent >= 3
    assert out == "cancelled\n"
    assert "KeyboardInterrupt: finished episodes are stored" in err
