"""One server process: its log, its end, and the guarantee that it never outlives its owner."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from muses_eval.workers.vllm import process_supervisor, server_process
from muses_eval.workers.vllm.server_command import command_line
from muses_eval.workers.vllm.server_process import ServerProcess, free_port

from tests.stand_in_vllm import alive, stand_in, until
from tests.workers.test_server_command import server_spec


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    until(lambda: not any(map(alive, started(tmp_path))))


def started(folder: Path) -> list[int]:
    pids = folder / "pids"
    return json.loads(pids.read_text()) if pids.exists() else []


def own(folder: Path, **args: object) -> tuple[ServerProcess, str]:
    port = free_port("127.0.0.1")
    command = command_line(server_spec(stand_in(folder), "m", **args), "127.0.0.1", port)
    return ServerProcess(command, os.environ, folder / "log"), f"http://127.0.0.1:{port}"


def pids_at(root: str, folder: Path) -> list[int]:
    def ask() -> list[int] | None:
        try:
            with urllib.request.urlopen(f"{root}/facts") as answer:
                return json.load(answer)["pids"]
        except OSError:
            return None

    pids = until(ask)
    (folder / "pids").write_text(json.dumps(pids))
    return pids


def test_a_server_ends_with_all_it_started(folder: Path) -> None:
    server, root = own(folder)
    server.start()
    pids = pids_at(root, folder)
    assert server.running
    assert all(map(alive, pids))
    asyncio.run(server.stop())
    assert not server.running
    asyncio.run(server.stop())  # a second stop is harmless


def test_a_server_that_will_not_stop_is_killed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_process, "GRACE_S", 0.2)
    server, root = own(folder, mishap="slow end")
    server.start()
    pids_at(root, folder)
    asyncio.run(server.stop())


def test_a_killed_server_leaves_nothing(folder: Path) -> None:
    server, root = own(folder)
    server.start()
    pids = pids_at(root, folder)
    os.kill(pids[0], signal.SIGKILL)
    until(lambda: not server.running)
    until(lambda: not alive(pids[1]))
    assert "the server ended with code -9" in server.log_summary()


def test_a_killed_supervisor_leaves_nothing(folder: Path) -> None:
    server, root = own(folder)
    server.start()
    pids = pids_at(root, folder)
    parent = int(Path(f"/proc/{pids[0]}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(parent, signal.SIGKILL)
    until(lambda: not alive(pids[0]))
    asyncio.run(server.stop())


@pytest.mark.parametrize("mishap", ["none", "slow end"])
def test_a_killed_owner_leaves_nothing(folder: Path, mishap: str) -> None:
    """When the owner dies, the supervisor's stdin closes and the server is ended, even if it ignores signals."""
    port = free_port("127.0.0.1")
    command = command_line(server_spec(stand_in(folder), "m", mishap=mishap), "127.0.0.1", port)
    owner = subprocess.Popen([sys.executable, "-c", _OWNER, json.dumps(command), str(folder / "log")], cwd=_ROOT)
    pids = pids_at(f"http://127.0.0.1:{port}", folder)
    owner.kill()
    owner.wait()
    until(lambda: not any(map(alive, pids)))


_ROOT = Path(__file__).parents[2]
_OWNER = """
import json, os, sys, time
from pathlib import Path
from muses_eval.workers.vllm import server_process
server_process.GRACE_S = 0.2
server_process.ServerProcess(json.loads(sys.argv[1]), os.environ, Path(sys.argv[2])).start()
time.sleep(600)
"""


def test_a_command_that_is_none(folder: Path) -> None:
    server = ServerProcess(["/nowhere/python"], os.environ, folder / "log")
    server.start()
    until(lambda: not server.running)
    assert "cannot start /nowhere/python: " in server.log_summary()
    assert process_supervisor.CANNOT_START == 127


def test_the_log_summary_is_of_the_last_start(folder: Path) -> None:
    (folder / "log").write_text("ValueError: of an earlier life\n")
    server, _ = own(folder, mishap="no start")
    server.start()
    until(lambda: not server.running)
    summary = server.log_summary()
    assert summary.startswith("  ValueError: the KV cache has no room\n")
    assert "RuntimeError: the engine did not start" in summary
    assert "earlier" not in summary
