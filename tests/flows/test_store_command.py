"""``muses store``, and runs on a store: two drivers, sealed runs, full disks and lost servers."""

import json
import os
import pty
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import pytest
from muses_eval.storage.objects.object_keys import lock_key
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.query.duckdb_connection import connect
from muses_eval.storage.runs.process_identity import ProcessIdentity
from muses_eval.storage.runs.run_lock import LockRecord

from tests.conftest import Muses
from tests.provider import Provider, Response, failed, slow
from tests.s3_server import s3_server

PLAY = ("run", "--model=scripted/oracle", "--family=queue", "--family=access", "--store=out", "--json")
_PATIENCE_S = 120.0


def play(muses: Muses, *more: str) -> dict[str, Any]:
    done = muses(*PLAY, "--dataset=generated:4", *more)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def store_json(muses: Muses, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = muses("store", *arguments, "--store=out", "--json")
    assert done.returncode == code, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_a_runs_life(muses: Muses, tmp_path: Path) -> None:
    """A run is played, listed, verified, sealed, resumed, checked for garbage, and pruned."""
    before = play(muses, "--run-id=nightly-1")
    play(muses, "--run-id=other")
    listed = store_json(muses, "ls")["runs"]
    states = [(run["run_id"], run["state"], run["planned"], run["scored"]) for run in listed]
    assert states == [("nightly-1", "open", 8, 8), ("other", "open", 8, 8)]
    sealed = store_json(muses, "seal", "nightly-1")
    assert (sealed["episodes"], sealed["objects"]) == (8, 1)
    assert store_json(muses, "seal", "nightly-1")["removed"] == 0
    verified = store_json(muses, "verify")
    assert verified["ok"] is True
    assert [(run["state"], run["stored"], run["findings"]) for run in verified["runs"]] == [
        ("sealed", 8, []),
        ("open", 8, []),
    ]
    kinds = {(each["run_id"], each["kind"]) for each in store_json(muses, "du")["usage"]}
    assert kinds >= {("nightly-1", "sealed"), ("nightly-1", "manifest"), ("other", "shard")}
    assert ("nightly-1", "shard") not in kinds
    again = play(muses, "--run-id=nightly-1")  # nothing is pending, so the run stays sealed
    assert again["leaderboard"] == before["leaderboard"]
    assert store_json(muses, "gc")["garbage"] == []
    looked = store_json(muses, "prune", "--name=nightly-*", "--dry-run")
    assert ([run["run_id"] for run in looked["runs"]], looked["deleted"]) == (["nightly-1"], False)
    refused = muses("store", "prune", "--name=nightly-*", "--store=out")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "1 run of" in refused.stderr
    assert "(nightly-1) would be deleted, and nothing was; to delete, add --yes" in refused.stderr
    pruned = store_json(muses, "prune", "--name=nightly-*", "--yes")
    assert [run["run_id"] for run in pruned["runs"]] == ["nightly-1"]
    assert [run["run_id"] for run in store_json(muses, "ls")["runs"]] == ["other"]
    assert store_json(muses, "prune", "--older-than=1h")["runs"] == []
    for command in ("ls", "du", "verify", "gc", "prune --name=x"):
        assert muses("store", *command.split(), "--store=out").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("prune",), "which runs? Give --older-than 90d, --name 'nightly-*', or both"),
        (("prune", "--older-than=90"), "--older-than '90': expected a number and a unit (s, m, h, d, w)"),
        (("gc", "--grace=-1h"), "--grace '-1h': expected a number and a unit"),
        (("verify", "nope"), "there is no run in the store"),
        (("seal", "nope"), "there is no run in the store"),
        (("seal", "no/pe"), "run id 'no/pe': expected letters"),
    ],
)
def test_bad_usage(muses: Muses, arguments: tuple[str, ...], expected: str) -> None:
    """Bad usage is reported in one line that says what to write instead."""
    done = muses("store", *arguments, "--store=out")
    assert (done.returncode, done.stdout) == (2, "")
    assert expected in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_damaged_shard_is_found_and_played_again(muses: Muses, tmp_path: Path) -> None:
    """``verify`` reports a damaged shard and exits with 2; the next start replays it; ``seal`` needs its removal."""
    play(muses, "--run-id=r", "--shard-size=2")
    shard = min((tmp_path / "out" / "traces").rglob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-20])
    (run,) = store_json(muses, "verify", "r", code=2)["runs"]
    assert [finding["trouble"] for finding in run["findings"]] == ["damaged"]
    assert run["stored"] == 6
    text = muses("store", "verify", "r", "--store=out")
    assert "delete them, and `muses run` plays their episodes again" in text.stdout
    refused = muses("store", "seal", "r", "--store=out")
    assert (refused.returncode, "Nothing was sealed" in refused.stderr) == (2, True)
    assert play(muses, "--run-id=r", "--shard-size=2")["episodes"]["scored"] == 8
    shard.unlink()
    assert play(muses, "--run-id=r", "--shard-size=2")["episodes"]["scored"] == 8
    assert store_json(muses, "seal", "r")["episodes"] == 8


def test_a_sealed_run_that_owes_episodes_goes_on(muses: Muses, tmp_path: Path) -> None:
    """The next start reopens a sealed run and plays its pending episodes; sealed again, it has each episode once."""
    with Provider(reply=lambda _: "{}", script=[failed(400)] * 3) as provider:
        arguments = ("run", "--model=openai:m", "--base-url", provider.base_url, "--dataset=generated:8")
        arguments = (*arguments, "--max-unusable=1", "--family=queue", "--run-id=r", "--store=out", "--json")
        assert muses(*arguments).returncode == 3
        assert store_json(muses, "seal", "r")["episodes"] == 8
        resumed = muses(*arguments)
        assert resumed.returncode == 0, resumed.stderr
        assert json.loads(resumed.stdout)["episodes"]["scored"] == 8
        assert len(provider.completions) == 8 + 3
    (line,) = store_json(muses, "ls")["runs"]
    assert (line["state"], line["scored"]) == ("open", 8)
    assert store_json(muses, "seal", "r")["episodes"] == 8
    with connect(str(tmp_path / "out")) as connection:
        counts = connection.execute("SELECT count(*), count(DISTINCT episode_id) FROM traces").fetchone()
    assert counts == (8, 8)


class Stall:
    """A provider's script: every request waits, until ``over`` is set for new requests."""

    def __init__(self) -> None:
        self.asked, self.over = threading.Event(), False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Response | None:
        self.asked.set()
        return None if self.over else slow(3600)


@contextmanager
def playing(folder: Path, *arguments: str) -> "Iterator[subprocess.Popen[str]]":
    """Runs a driver in another process and kills it at the end."""
    with subprocess.Popen(
        [sys.executable, "-m", "muses_eval", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def waiting(provider: Provider) -> tuple[str, ...]:
    """Returns the arguments of a run whose model does not respond."""
    model = (
        "--model=openai:m",
        "--base-url",
        provider.base_url,
        "--dataset=generated:2",
        "--family=queue",
        "--max-unusable=1",
    )
    return ("run", *model, "--run-id=r", "--store=out", "--json", "--quiet")


def test_the_second_driver_says_so_and_leaves(muses: Muses, tmp_path: Path) -> None:
    """A second driver names the holder and exits with 2, as do ``seal`` and ``rescore``; afterwards the run is free."""
    stall = Stall()
    with Provider(reply=lambda _: "{}", script=stall) as provider, playing(tmp_path, *waiting(provider)) as first:
        assert stall.asked.wait(_PATIENCE_S)
        for other in (waiting(provider), ("store", "seal", "r", "--store=out"), ("rescore", "r", "--store=out")):
            second = muses(*other)
            assert (second.returncode, second.stdout) == (2, "")
            holder = f"the run 'r' is held by `muses run` on {os.uname().nodename} (process {first.pid}"
            assert holder in second.stderr
        asked = len(provider.completions)
        assert asked == 2  # the second driver lists the models but plays nothing
        stall.over = True
        first.terminate()
        assert first.wait(_PATIENCE_S) == 130
        assert muses(*waiting(provider)).returncode == 0
        assert len(provider.completions) == asked + 2


def test_a_killed_driver_keeps_nobody_out(muses: Muses, tmp_path: Path) -> None:
    """The lock of a killed driver does not block a new one, since its process has ended."""
    stall = Stall()
    with Provider(reply=lambda _: "{}", script=stall) as provider:
        with playing(tmp_path, *waiting(provider)) as first:
            assert stall.asked.wait(_PATIENCE_S)
            first.kill()
        assert json.loads((tmp_path / "out" / lock_key("r")).read_text())["owner"]
        stall.over = True
        assert muses(*waiting(provider)).returncode == 0


def test_a_driver_that_has_lost_its_run_stops(tmp_path: Path) -> None:
    """A driver that another process has replaced stops with an error."""
    stall = Stall()
    with Provider(reply=lambda _: "{}", script=stall) as provider, playing(tmp_path, *waiting(provider)) as running:
        assert stall.asked.wait(_PATIENCE_S)
        store = open_store(str(tmp_path / "out"))
        other = LockRecord(
            owner="them", work="muses run", process=ProcessIdentity("elsewhere", 1, None, None), since="", beat=0
        )
        while not store.replace(lock_key("r"), other.to_json(), store.read(lock_key("r")).tag):
            pass
        stdout, stderr = running.communicate(timeout=_PATIENCE_S)
        assert (running.returncode, stdout) == (2, "")
        (line,) = stderr.splitlines()
        assert "another process has taken over the run 'r'" in line


def test_a_full_disk(muses: Muses, tmp_path: Path) -> None:
    """A full disk stops the run with advice; with free space, the same command completes it, each episode once."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(disk)], check=False, capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("only the superuser may mount a small disk")
    try:
        arguments = ("run", "--model=scripted/random", "--dataset=generated:100", f"--store={disk}/out", "--json")
        arguments = (*arguments, "--shard-size=16", "--quiet")
        stopped = muses(*arguments)
        assert (stopped.returncode, stopped.stdout) == (2, "")
        (line,) = stopped.stderr.splitlines()
        assert "No space left on device" in line
        assert "free disk space and start the same command again" in line
        with connect(f"{disk}/out") as connection:
            counts = connection.execute("SELECT count(*), count(DISTINCT episode_id) FROM traces").fetchone()
        assert counts
        assert 0 < counts[0] == counts[1] < 400
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        done = muses(*arguments)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["episodes"]["scored"] == 400
        with connect(f"{disk}/out") as connection:
            counts = connection.execute("SELECT count(*), count(DISTINCT episode_id) FROM traces").fetchone()
        assert counts == (400, 400)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.own_process
def test_a_server_that_is_stopped_in_the_middle(muses: Muses) -> None:
    """A lost S3 server ends the run with an error; when it is back, the same command completes it without repeats."""
    with s3_server() as server:
        server.create_bucket("evals")
        asked = threading.Semaphore(0)

        def reply(_: object) -> str:
            asked.release()
            return "{}"

        with Provider(reply=reply, latency_s=0.05) as provider:
            arguments = ("run", "--model=openai:m", "--base-url", provider.base_url, "--dataset=generated:200")
            arguments = (*arguments, "--family=queue", "--shard-size=2", "--store=s3://evals/x", "--run-id=r", "--json")
            arguments = (*arguments, "--max-unusable=1")
            found: list[subprocess.CompletedProcess[str]] = []
            running = threading.Thread(target=lambda: found.append(muses(*arguments, **server.environment)))
            running.start()
            for _ in range(40):
                assert asked.acquire(timeout=_PATIENCE_S)
            server.stop()
            running.join()
            (stopped,) = found
            assert stopped.returncode == 2, stopped.stderr
            assert "cannot reach the server" in stopped.stderr
            assert "check AWS_ENDPOINT_URL and that the server runs" in stopped.stderr
            server.start()
            verified = muses("store", "verify", "r", "--store=s3://evals/x", "--json", **server.environment)
            assert verified.returncode == 0, verified.stdout
            stored = json.loads(verified.stdout)["runs"][0]["stored"]
            assert 0 < stored < 200
            before = len(provider.completions)
            resumed = muses(*arguments, **server.environment)
            assert resumed.returncode == 0, resumed.stderr
            assert json.loads(resumed.stdout)["episodes"]["scored"] == 200
            assert len(provider.completions) - before == 200 - stored
        query = "select count(*) as n, count(distinct episode_id) as ids from traces"
        answer = muses("sql", query, "--store=s3://evals/x", "--format=json", **server.environment)
        assert json.loads(answer.stdout) == [{"n": 200, "ids": 200}]


@pytest.mark.parametrize(("answer", "left"), [("n", 1), ("", 1), ("y", 0)])
def test_a_deletion_is_asked_for_on_a_terminal(answer: str, left: int, tmp_path: Path) -> None:
    lost = tmp_path / "out" / ".put-0123456789abcdef"
    lost.parent.mkdir()
    lost.write_bytes(b"of a killed writer")
    os.utime(lost, (0, 0))
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "muses_eval", "store", "gc", "--store=out"]
    process = subprocess.Popen(command, cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs)
    os.write(ours, f"{answer}\n".encode())
    process.wait(timeout=60)
    os.close(theirs)
    with os.fdopen(ours, "rb", buffering=0) as terminal, suppress(OSError):  # its end is an error
        said = b""
        while more := terminal.read(10_000):
            said += more
    assert b"Delete 1 unreferenced object" in said
    assert (process.returncode, len(list(lost.parent.iterdir()))) == (2 * left, left)
