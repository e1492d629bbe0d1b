"""A run that is stopped keeps its finished episodes and leaves no process behind; the next start completes it.

Signals go to the whole process group, as Ctrl-C in a terminal, or to one process, as from a supervisor.  The provider
answers some calls and lets others wait, so that some episodes are finished and others are not.
"""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import pytest
from muses_eval.storage.query.duckdb_connection import connect

from tests.conftest import Muses
from tests.provider import Provider, Response, slow

EPISODES, SHARD = 48, 4
ANSWERED = 22
"""Number of answers before the provider stalls; no multiple of ``SHARD``, so that a shard is partly finished."""
WAITING = 8
"""Number of requests that wait when the signal is sent."""
MARK = "MUSES_TEST_MARK"
_PATIENCE_S = 120.0

CTRL_C = (signal.SIGINT, True)
"""SIGINT to all processes of the group, as a terminal sends it."""
SIGINT, SIGTERM, SIGKILL = ((number, False) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL))


def reply(request: Mapping[str, Any]) -> str:
    """Returns a reply that depends on the names in the prompt alone, and is right for some scenarios only."""
    names = sorted(word for word in str(request["messages"]).replace('"', " ").split() if "_task_" in word)
    return json.dumps({"accepted_instructions": names[: len(names) // 2], "rejected_instructions": []})


class Stopped:
    """A process of ``muses`` that a test stops with signals."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.mark = f"{folder}:{arguments[0]}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "muses_eval", *arguments],
            cwd=folder,
            env={**os.environ, MARK: self.mark},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def send(self, number: signal.Signals, to_group: bool) -> None:
        (os.killpg if to_group else os.kill)(self._process.pid, number)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def wait(self) -> "subprocess.CompletedProcess[str]":
        try:
            stdout, stderr = self._process.communicate(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        return subprocess.CompletedProcess(self._process.args, self._process.returncode, stdout, stderr)

    @property
    def left_behind(self) -> list[str]:
        """Command lines of the processes that it started, also detached ones; all inherit its environment."""
        return [command for pid, command in _marked(self.mark) if pid != self._process.pid]


def _marked(mark: str) -> Iterator[tuple[int, str]]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has ended, or belongs to another user
            continue
        if f"{MARK}={mark}".encode() in environment:
            yield int(folder.name), command


class Stall:
    """A provider's script: answers the first requests; later ones wait, until ``over`` is set for new requests."""

    def __init__(self) -> None:
        self.asked, self.over, self.reached = 0, False, threading.Event()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Response | None:
        self.asked += 1
        if self.asked <= ANSWERED or self.over:
            return None
        if self.asked >= ANSWERED + WAITING:
            self.reached.set()
        return slow(3600)


def job(provider: Provider, *command: str) -> tuple[str, ...]:
    return (
        *(*command, "--model=openai:it's a model", "--base-url", provider.base_url, "--family=queue"),
        *(f"--dataset=generated:{EPISODES}", "--workers=1"),
        *(f"--shard-size={SHARD}", "--max-unusable=1", "--json", "--quiet"),
    )


def scores(folder: Path) -> list[tuple[Any, ...]]:
    """Returns all scores in the folder's store, in a fixed order."""
    with connect(str(folder / ".muses" / "store")) as connection:
        return connection.execute(
            "select scenario_id, scoring, metric, round, value from scores order by all"
        ).fetchall()


def stored_once(folder: Path) -> int:
    """Returns the number of stored episodes; asserts that each is stored once per run."""
    with connect(str(folder / ".muses" / "store")) as connection:
        counts = connection.execute("select count(*), count(distinct (run_id, episode_id)) from traces").fetchone()
    assert counts is not None
    assert counts[0] == counts[1]
    return int(counts[1])


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Any, ...]]:
    """The scores of the same run without a disturbance."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with Provider(reply=reply) as provider:
        done = Stopped(folder, *job(provider, "run")).wait()
    assert done.returncode == 0, done.stderr
    found = scores(folder)
    assert len({value for *_, value in found}) > 2  # the model is right for some scenarios and wrong for others
    return found


@pytest.mark.integration
@pytest.mark.parametrize(
    ("command", "stop"),
    [
        pytest.param(("run",), CTRL_C, id="run-inline-ctrl-c"),
        pytest.param(("run",), SIGTERM, id="run-inline-sigterm"),
        pytest.param(("run", "--executor=ray"), CTRL_C, id="run-ray-ctrl-c"),
        pytest.param(("run", "--executor=ray"), SIGTERM, id="run-ray-sigterm", marks=pytest.mark.slow),
        pytest.param(("flow", "evaluate"), CTRL_C, id="flow-ctrl-c", marks=pytest.mark.slow),
        pytest.param(("flow", "evaluate"), SIGTERM, id="flow-sigterm", marks=pytest.mark.slow),
    ],
)
def test_a_stopped_run_is_completed_by_the_command_that_it_names(
    muses: Muses,
    tmp_path: Path,
    undisturbed: list[tuple[Any, ...]],
    command: tuple[str, ...],
    stop: tuple[signal.Signals, bool],
) -> None:
    stall = Stall()
    with Provider(reply=reply, script=stall, latency_s=0.05) as provider:
        arguments = job(provider, *command)
        running = Stopped(tmp_path, *arguments)
        assert stall.reached.wait(_PATIENCE_S)
        running.send(*stop)
        stopped = running.wait()
        stall.over = True
        assert stopped.returncode == 130, stopped.stderr
        assert stopped.stdout == ""
        assert running.left_behind == []
        (line,) = stopped.stderr.splitlines()
        assert line.startswith("muses: interrupted; finished episodes are stored. Resume with: muses ")
        finished = stored_once(tmp_path)
        assert 0 < finished <= ANSWERED

        again = shlex.split(line.partition("Resume with: muses ")[2])
        assert again == list(arguments)
        before = len(provider.completions)
        resumed = muses(*job(provider, "run"))  # the same run without the engines, whose resumption other tests cover
        assert resumed.returncode == 0, resumed.stderr
        assert json.loads(resumed.stdout)["episodes"]["scored"] == EPISODES
        assert len(provider.completions) - before == EPISODES - finished
        assert stored_once(tmp_path) == EPISODES
    assert scores(tmp_path) == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("stop", [(CTRL_C, CTRL_C), (SIGTERM, SIGINT), (SIGTERM, SIGTERM, SIGINT, SIGTERM)])
def test_impatience_does_no_harm(muses: Muses, tmp_path: Path, stop: tuple[tuple[signal.Signals, bool], ...]) -> None:
    stall = Stall()
    with Provider(reply=reply, script=stall, latency_s=0.05) as provider:
        running = Stopped(tmp_path, *job(provider, "run"))
        assert stall.reached.wait(_PATIENCE_S)
        for each in stop:
            running.send(*each)
        stopped = running.wait()
        stall.over = True
        assert stopped.returncode == 130, stopped.stderr
        assert len(stopped.stderr.splitlines()) == 1
        finished = stored_once(tmp_path)
        before = len(provider.completions)
        resumed = muses(*job(provider, "run"))
        assert resumed.returncode == 0, resumed.stderr
        assert len(provider.completions) - before == EPISODES - finished
    assert stored_once(tmp_path) == EPISODES


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.parametrize("command", [("run", "--executor=ray"), ("flow", "evaluate")])
def test_an_end_at_once_leaves_nobody_behind(tmp_path: Path, command: tuple[str, ...]) -> None:
    """After repeated signals no process is left and no pipe stays open, so a reader of the output need not wait."""
    stall = Stall()
    with Provider(reply=reply, script=stall, latency_s=0.05) as provider:
        running = Stopped(tmp_path, *job(provider, *command))
        assert stall.reached.wait(_PATIENCE_S)
        while running.alive:
            running.send(*CTRL_C)
            time.sleep(0.02)
        stopped = running.wait()
        deadline = time.monotonic() + _PATIENCE_S
        while running.left_behind and time.monotonic() < deadline:  # they have the signal and need a moment
            time.sleep(0.1)
        assert running.left_behind == []
    assert stopped.returncode == 130
    assert stopped.stderr.startswith("muses: interrupted; finished episodes are stored. Resume with: muses ")
    stored_once(tmp_path)


class Deaf:
    """A server that accepts connections and never responds."""

    def __init__(self) -> None:
        self.accepted: list[socket.socket] = []
        self.reached = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for each in (self._listener, *self.accepted):
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):  # shut down
            while True:
                self.accepted.append(self._listener.accept()[0])
                self.reached.set()


def test_a_store_that_hangs_holds_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signals end a run whose store does not respond, and the third one does not wait for a retry."""
    with Deaf() as deaf:
        for name, value in {"ENDPOINT_URL": deaf.url, "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b"}.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        running = Stopped(tmp_path, "run", "--model=scripted/oracle", "--store=s3://bucket/deaf")
        assert deaf.reached.wait(_PATIENCE_S)
        while running.alive:
            running.send(*SIGTERM)
            time.sleep(0.1)
        stopped = running.wait()
        assert len(deaf.accepted) == 1
    assert (stopped.returncode, stopped.stdout) == (130, "")
    (line,) = stopped.stderr.splitlines()
    assert line.startswith("muses: interrupted; finished episodes are stored. Resume with: muses run ")


def test_a_killed_run_is_completed(muses: Muses, tmp_path: Path, undisturbed: list[tuple[Any, ...]]) -> None:
    """After SIGKILL, the next start replays only the unfinished episodes; each is stored once."""
    stall = Stall()
    with Provider(reply=reply, script=stall, latency_s=0.05) as provider:
        running = Stopped(tmp_path, *job(provider, "run"))
        assert stall.reached.wait(_PATIENCE_S)
        running.send(*SIGKILL)
        assert running.wait().returncode == -signal.SIGKILL
        stall.over = True
        finished = stored_once(tmp_path)
        assert 0 < finished <= ANSWERED
        before = len(provider.completions)
        resumed = muses(*job(provider, "run"))
        assert resumed.returncode == 0, resumed.stderr
        assert len(provider.completions) - before == EPISODES - finished
        assert stored_once(tmp_path) == EPISODES
    assert scores(tmp_path) == undisturbed


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.parametrize("engine", ["ray", "prefect"])
def test_a_signal_while_the_engines_start(tmp_path: Path, engine: str) -> None:
    """A signal while an engine starts, which its new home folder shows, ends all processes that were started.

    Ray raises SystemExit at any point of its start; inside a destructor, Python prints it before our message.
    """
    command = ("flow", "evaluate") if engine == "prefect" else ("run", "--executor=ray")
    home = tmp_path / ".muses" / engine
    with Provider(reply=reply) as provider:
        arguments = job(provider, *command)
        running = Stopped(tmp_path, *arguments)
        while not (home.is_dir() and any(home.iterdir())):
            assert running.alive
            time.sleep(0.02)
        running.send(*SIGTERM)
        stopped = running.wait()
        assert provider.completions == []
    assert stopped.returncode == 130, stopped.stderr
    assert stopped.stderr.splitlines()[-1].startswith("muses: interrupted; ")
    assert running.left_behind == []
