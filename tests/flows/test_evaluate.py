"""Outcomes of a run: invalid replies, failing endpoints, and libraries that print nothing and keep to their folders."""

import asyncio
import json
import os
import pty
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytest
from muses_eval.flows.job.evaluate import play_all, shared_folder_warning
from muses_eval.flows.job.prepare import load_dataset, open_run, prepare_without_lock
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.errors import ConfigError
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.query.duckdb_connection import connect
from muses_eval.storage.runs.manifest import read_manifest, update_manifest
from muses_eval.storage.runs.run_lock import RunLockedError, hold_run_lock
from muses_eval.storage.schema.parquet_schema import SCHEMA_VERSION
from muses_eval.workers.play.inline_executor import InlineExecutor

from tests.conftest import Muses
from tests.provider import Provider, Response, completion, reset
from tests.s3_server import free_ports

ROOT = Path(__file__).parents[2]
ORACLE = ("--model=scripted/oracle", "--dataset=generated:3", "--family=queue", "--family=access")

NONSENSE = {
    "words": completion("I would rather talk about the weather."),
    "nothing": completion(""),
    "null": completion(None),
    "long": completion('{"accepted_instructions": [' * 4_000),
    "broken": completion('```json\n{"accepted_instructions": ["a_task_1"'),
    "surrogates": completion('{"accepted_instructions": ["\ud800\udfff"], "target": "\udc80"}'),
    "control": completion("\x00\x1b[31m\u202e{}"),
    "number": completion("1e999"),
    "nested": completion("[" * 1_500),
    "truncated": completion('{"target": "all", "con', finish_reason="length"),
}


WELL_FORMED = ("surrogates",)
"""Kinds of replies that parse; they are still wrong, because they accept tasks that were not requested."""


@pytest.mark.parametrize("kind", sorted(NONSENSE))
def test_nonsense_is_scored(muses: Muses, tmp_path: Path, kind: str) -> None:
    """An invalid reply is no error: the run completes, and a flag records that the reply could not be parsed."""
    forever: Iterator[Response] = iter(lambda: NONSENSE[kind], None)
    with Provider(script=forever) as provider:
        done = muses(
            *("run", "--model=openai:m", "--base-url", provider.base_url, "--dataset=generated:1"),
            *("--family=queue", "--family=access", "--max-unusable=1", "--json"),
        )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["episodes"]["scored"] == summary["episodes"]["planned"] == 2
    assert summary["problems"] == []
    with connect(str(tmp_path / ".muses" / "store")) as connection:
        query = "select family, list_distinct(flatten(list(flags))) from episodes group by 1"
        flags = dict(connection.execute(query).fetchall())
    assert ("unparsed" in flags["queue"]) == (kind not in WELL_FORMED)
    assert ("length" in flags["queue"]) == (kind == "truncated")


class Dying:
    """A provider's script: after the first *answers* replies, every connection breaks until ``back`` is set."""

    def __init__(self, answers: int) -> None:
        self._left, self.back = answers, False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Response | None:
        self._left -= 1
        return None if self._left >= 0 or self.back else reset()


def test_an_endpoint_that_dies_in_the_middle(muses: Muses, tmp_path: Path) -> None:
    """Failed episodes do not score 0: they are counted separately, widen the bounds, and the next start plays them."""
    dying = Dying(answers=6)
    with Provider(reply=lambda _: '{"accepted_instructions": []}', script=dying) as provider:
        config: Mapping[str, Any] = {
            "models": [{"model": "openai:m", "base_url": provider.base_url, "max_retries": 0}, "scripted/refuse"],
            "dataset": "generated:10",
            "families": ["queue"],
            "max_unusable": 1,
            "execution": {"shard_size": 4},
        }
        (tmp_path / "run.yaml").write_text(json.dumps(config))
        first = muses("run", "run.yaml", "--json")
        assert first.returncode == 3, first.stderr
        summary = json.loads(first.stdout)
        assert {name: count for name, count in summary["episodes"].items() if count} == {
            "planned": 20, "scored": 16, "infra_failed": 4
        }  # fmt: skip
        assert {problem["kind"] for problem in summary["problems"]} == {"transport"}
        rows = {row["model"]: row for row in summary["leaderboard"]}
        assert (rows["m"]["coverage"], rows["m"]["ranked"], rows["m"]["rank"]) == (0.6, False, None)
        bounds = rows["m"]["bounds"]["queue_f1"]
        assert bounds["low"] <= rows["m"]["queue_f1"] <= bounds["high"]
        assert bounds["high"] - bounds["low"] == pytest.approx(0.4)
        assert (rows["scripted/refuse"]["coverage"], rows["scripted/refuse"]["rank"]) == (1.0, None)  # built-in
        assert "transport: " in first.stderr
        assert "Start the same command again" in first.stderr
        table = muses("leaderboard").stdout
        assert "4 infra_failed, not ranked; with all episodes its means would be within queue F1" in table

        dying.back = True
        second = muses("run", "run.yaml", "--json")
        assert second.returncode == 0, second.stderr
        assert json.loads(second.stdout)["episodes"]["scored"] == 20
        ranks = {row["model"]: row["rank"] for row in json.loads(second.stdout)["leaderboard"]}
        assert ranks == {"m": 1, "scripted/refuse": None}
        assert len(provider.completions) == 10 + 4
    query = "select count(*), count(distinct episode_id), count(*) filter (outcome = 'scored') from episodes"
    assert muses("sql", query, "--format=csv").stdout.splitlines()[1] == "20,20,20"


@pytest.mark.parametrize("executor", ["inline", pytest.param("ray", marks=[pytest.mark.integration, pytest.mark.slow])])
def test_a_model_without_its_key_costs_no_other_model(muses: Muses, tmp_path: Path, executor: str) -> None:
    """The model is named at the start and at the end, its episodes stay pending, and the other models are played."""
    (port,) = free_ports(1)
    config: Mapping[str, Any] = {
        "models": [
            {"model": "openai:locked", "base_url": f"http://127.0.0.1:{port}/v1", "api_key_env": "MISSING_KEY"},
            "scripted/refuse",
        ],
        "dataset": "generated:5",
        "families": ["queue", "access"],
        "execution": {"shard_size": 1, "executor": executor, "workers": 1},
    }
    (tmp_path / "run.yaml").write_text(json.dumps(config))
    done = muses("run", "run.yaml", "--json", "--quiet")
    assert done.returncode == 3, done.stderr
    first, *_, cause, _ = done.stderr.splitlines()
    assert first.startswith("locked is not played: ")
    assert "10 x auth: " in cause
    for line in (first, cause):
        assert "export MISSING_KEY=" in line
    summary = json.loads(done.stdout)
    assert {name: count for name, count in summary["episodes"].items() if count} == {"planned": 20, "scored": 10}
    assert [(problem["episodes"], problem["kind"]) for problem in summary["problems"]] == [(10, "auth")]


def test_a_model_that_does_not_answer_is_named_at_once(muses: Muses, tmp_path: Path) -> None:
    """The model is named at the start and called anyway, since it may respond later."""
    (port,) = free_ports(1)
    down = {"model": "openai:down", "base_url": f"http://127.0.0.1:{port}/v1", "max_retries": 0}
    config = {"models": [down, "scripted/refuse"], "dataset": "generated:2", "families": ["queue"]}
    (tmp_path / "run.yaml").write_text(json.dumps(config))
    done = muses("run", "run.yaml", "--json", "--quiet")
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith("down does not respond yet: transport: ")
    episodes = json.loads(done.stdout)["episodes"]
    assert (episodes["scored"], episodes["infra_failed"]) == (2, 2)


@pytest.mark.parametrize(("family", "code"), [("queue", 0), ("access", 2)])
def test_only_a_users_model_that_will_be_asked_has_to_answer(muses: Muses, family: str, code: int) -> None:
    """A users' model must respond only if it will be called; in a family of one turn it is never called."""
    (port,) = free_ports(1)
    users = ("--users=openai:patron", "--users-base-url", f"http://127.0.0.1:{port}/v1")
    done = muses("run", "--model=scripted/oracle", "--dataset=generated:2", "--family", family, *users)
    assert done.returncode == code, done.stderr
    assert ("the users' model cannot be reached" in done.stderr) == (code == 2)


ENGINES = [
    pytest.param(("run",), ["store"], id="inline"),
    pytest.param(
        ("run", "--executor=ray", "--workers=1"),
        ["ray", "store"],
        id="ray",
        marks=[pytest.mark.integration, pytest.mark.slow],
    ),
    pytest.param(
        ("flow", "evaluate"), ["prefect", "store"], id="flow", marks=[pytest.mark.integration, pytest.mark.slow]
    ),
]


def on_a_terminal(folder: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Runs a command with a terminal as stderr; returns the exit code, stdout and the output to the terminal."""
    ours, theirs = pty.openpty()
    chunks: list[bytes] = []

    def read() -> None:
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # the other end is closed
                return
            if not chunk:
                return
            chunks.append(chunk)

    with subprocess.Popen(
        [sys.executable, "-m", "muses_eval", *arguments],
        cwd=folder,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120", **environment},
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        reader = threading.Thread(target=read)
        reader.start()
        assert process.stdout is not None
        stdout = process.stdout.read().decode()
        code = process.wait()
    reader.join()
    os.close(ours)
    return code, stdout, b"".join(chunks).decode(errors="replace")


def lines_of(terminal: str) -> list[str]:
    """Returns the lines sent to a terminal without the progress bar and control sequences."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal)
    lines = (line.strip() for line in re.split(r"[\r\n]+", plain))
    return [line for line in lines if line and "━" not in line]


@pytest.mark.parametrize(("command", "homes"), ENGINES)
def test_engines_are_quiet_and_stay_at_home(tmp_path: Path, command: tuple[str, ...], homes: list[str]) -> None:
    """A terminal shows one line beside the progress bar, and the run creates only ``.muses`` in the working folder."""
    nowhere = tmp_path / "nobody"
    nowhere.mkdir(mode=0o500)
    work = tmp_path / "work"
    work.mkdir()
    code, stdout, terminal = on_a_terminal(work, *command, *ORACLE, HOME=str(nowhere))
    assert code == 0, terminal
    assert "scripted/oracle" in stdout
    assert "━" in terminal
    (line,) = lines_of(terminal)
    assert re.fullmatch(r"run \S+ in \S+: 6 episodes planned, 6 scored", line)
    assert [path.name for path in work.iterdir()] == [".muses"]
    assert sorted(path.name for path in (work / ".muses").iterdir()) == homes
    assert list(nowhere.iterdir()) == []


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.own_process
def test_a_deep_folder_and_a_home_of_ones_own(muses: Muses, tmp_path: Path) -> None:
    """Ray's logs are in MUSES_HOME even if its path is too long for sockets, and the short link is removed."""
    home = tmp_path / ("deep" * 30)
    with tempfile.TemporaryDirectory(prefix="m") as short:  # pytest's paths are too long for a short link
        done = muses("run", *ORACLE, "--executor=ray", "--workers=1", "--quiet", MUSES_HOME=str(home), TMPDIR=short)
        assert (done.returncode, len(done.stderr.splitlines())) == (0, 1), done.stderr
        assert list(Path(short).iterdir()) == []
    assert sorted(path.name for path in home.iterdir()) == ["ray", "store"]
    assert list((home / "ray").glob("session_2*/logs/raylet*"))
    assert list(tmp_path.iterdir()) == [home]


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.own_process
def test_a_users_own_homes_are_respected(muses: Muses, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="m") as ray:  # a user must choose a short path
        done = muses(
            *("flow", "evaluate", *ORACLE, "--executor=ray", "--workers=1", "--store=out", "--quiet"),
            PREFECT_HOME=str(tmp_path / "prefect"),
            RAY_TMPDIR=ray,
        )
        assert (done.returncode, len(done.stderr.splitlines())) == (0, 1), done.stderr
        assert list(Path(ray, "ray").glob("session_2*"))
    assert (tmp_path / "prefect" / "prefect.db").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "prefect"]


def test_a_dataset_of_other_families_is_refused() -> None:
    config = parse_config({"models": ["scripted/oracle"], "dataset": str(ROOT), "families": ["queue"]}, "here")
    with pytest.raises(ConfigError, match=r"has no scenarios of 'queue'"):
        load_dataset(config.model_copy(update={"dataset": replace(config.dataset, path=os.devnull)}))


def test_a_run_of_an_older_schema_becomes_one_of_todays_when_it_plays(tmp_path: Path) -> None:
    """A run that is locked or has nothing pending keeps its schema version, so that its writer can still read it."""
    raw = {"models": ["scripted/oracle"], "families": ["queue"], "dataset": "generated:2", "store": str(tmp_path)}
    config = parse_config(raw, "here")
    run = prepare_without_lock(config)

    async def begin() -> None:
        async with open_run(config) as begun, InlineExecutor(1) as executor:
            await play_all(begun, executor, lambda _: None)

    def make_old() -> None:
        update_manifest(run.store, run.plan.run_id, lambda manifest: replace(manifest, schema_version=1))

    def version() -> int:
        return read_manifest(run.store, run.plan.run_id).schema_version

    make_old()
    with hold_run_lock(run.store, run.plan.run_id, "another"), pytest.raises(RunLockedError):
        asyncio.run(begin())
    assert version() == 1
    asyncio.run(begin())
    assert version() == SCHEMA_VERSION
    make_old()
    asyncio.run(begin())
    assert version() == 1


@pytest.mark.parametrize(
    ("execution", "warned"),
    [
        ({"executor": "ray", "ray_address": "head:6379"}, True),
        ({"executor": "ray", "ray_address": "10.0.0.7:6379"}, True),
        ({"executor": "ray", "ray_address": "127.0.0.1:6379"}, False),
        ({"executor": "ray"}, False),
        ({"executor": "inline"}, False),
    ],
)
def test_a_folder_for_workers_of_other_machines(tmp_path: Path, execution: dict[str, Any], warned: bool) -> None:
    config = parse_config({"models": ["scripted/oracle"], "execution": execution}, "here")
    said = shared_folder_warning(open_store(str(tmp_path)), config.execution)
    assert (said is not None) == warned
    assert said is None or (str(tmp_path) in said and "S3" in said)
