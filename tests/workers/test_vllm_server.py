"""One owned server: what it is started with, what it says at its end, and that it never outlives its owner."""

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
from muses_eval.pipeline.errors import ConfigError
from muses_eval.workers.vllm import process_supervisor, server_process
from muses_eval.workers.vllm.server_process import (
    EngineBuild,
    OwnedServer,
    ServerPlan,
    command_line,
    environment,
    find_engine,
    free_port,
    last_words,
    share_of_cores,
)

from tests.stand_in_vllm import alive, stand_in, until


def plan(python: str | None = "py", model: str = "org/m", tensor_parallel: int = 1, **args: object) -> ServerPlan:
    return ServerPlan(python, model, json.dumps(args), tensor_parallel)


# What is started


def test_a_command_line() -> None:
    """The user's arguments as vLLM writes them; ours are not theirs to lose."""
    wanted = plan(
        tensor_parallel=2,
        max_model_len=4096,
        enforce_eager=True,
        enable_prefix_caching=False,
        hf_overrides={"a": 1},
        middleware=["x", "y"],
        disable_uvicorn_access_log=False,
    )
    assert command_line(wanted, "127.0.0.1", 8000) == [
        *("py", "-m", "vllm.entrypoints.openai.api_server"),
        *("--host", "127.0.0.1", "--port", "8000", "--model", "org/m", "--served-model-name", "org/m"),
        *("--tensor-parallel-size", "2"),
        *("--enable-prompt-tokens-details", "--enable-server-load-tracking", "--no-disable-uvicorn-access-log"),
        *("--max-model-len", "4096", "--enforce-eager", "--no-enable-prefix-caching"),
        *("--hf-overrides", '{"a": 1}', "--middleware", "x", "y"),
    ]
    assert command_line(plan(None), "h", 1)[0] == sys.executable


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("port", "chosen by the fleet"),
        ("tensor_parallel_size", "engine.tensor_parallel"),
        ("api_key", "have none"),
        ("max-model-len", "write max_model_len"),
        ("--seed", "write seed"),
    ],
)
def test_arguments_that_are_not_the_users(name: str, advice: str) -> None:
    with pytest.raises(ConfigError, match=rf"engine\.args: {name}.*{advice}"):
        command_line(plan(**{name: 1}), "h", 1)


def test_an_environment(tmp_path: Path) -> None:
    """The server keeps its GPUs, and none of what Ray sets for its own workers."""
    rays = {"RAY_JOB_ID": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": "/ours", "CUDA_VISIBLE_DEVICES": "3", "HOME": "/h"}
    seen = environment(plan(), rays)
    assert seen == {
        "CUDA_VISIBLE_DEVICES": "3",
        "HOME": "/h",
        "VLLM_NO_USAGE_STATS": "1",
        "PYTHONUNBUFFERED": "1",
    }
    on_cpu = environment(ServerPlan("py", str(tmp_path), "{}", cores=(2, 3)), rays)
    assert on_cpu["VLLM_CPU_OMP_THREADS_BIND"] == "2,3"
    assert on_cpu["HF_HUB_OFFLINE"] == "1"
    assert "CUDA_VISIBLE_DEVICES" not in on_cpu
    own = environment(ServerPlan("py", "m", "{}", cores=(2,)), {"VLLM_CPU_OMP_THREADS_BIND": "all"})
    assert own["VLLM_CPU_OMP_THREADS_BIND"] == "all"


def test_cores_are_shared_out() -> None:
    """None belongs to two replicas, and none to nobody, while there are enough of them."""
    assert [share_of_cores([0, 1], slot, 2) for slot in range(2)] == [(0,), (1,)]
    assert [share_of_cores(range(5), slot, 2) for slot in range(2)] == [(0, 1), (2, 3, 4)]
    assert share_of_cores([4, 5, 6], 0, 1) == (4, 5, 6)
    assert [share_of_cores([0, 1], slot, 3) for slot in range(3)] == [(0,), (1,), (0,)]


# Which vLLM there is


def test_the_build_of_an_interpreter(tmp_path: Path) -> None:
    assert find_engine(plan(stand_in(tmp_path))) == EngineBuild("0.0.1", cpu=True)
    assert find_engine(plan(stand_in(tmp_path, "vllm"))) == EngineBuild("0.0.1", cpu=False)


def test_an_interpreter_without_vllm(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no vLLM in .*python-none on .*: it has no package vllm; install it there"):
        find_engine(plan(stand_in(tmp_path, "none")))


def test_no_such_interpreter() -> None:
    with pytest.raises(
        ConfigError, match=r"engine\.python: cannot run /nowhere/python on .*No such file.*; write the path"
    ):
        find_engine(plan("/nowhere/python"))


def test_no_such_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"vllm:/nowhere/model: there is no such folder on "):
        find_engine(plan(stand_in(tmp_path), "/nowhere/model"))


# What it said last


def test_last_words_name_the_cause() -> None:
    """The end of a traceback tells little; the error that stands far above tells all, and stands once."""
    text = "\n".join(
        [
            "\x1b[36m(EngineCore pid=7)\x1b[0m ERROR ValueError: no room for the KV cache",
            "ERROR ValueError: no room for the KV cache",
            *(f"  frame {number}" for number in range(50)),
            "",
            "RuntimeError: the engine did not start",
        ]
    )
    lines = last_words(text).splitlines()
    assert lines[:2] == ["  ValueError: no room for the KV cache", "  ..."]
    assert lines[-1] == "  RuntimeError: the engine did not start"
    assert len(lines) == 14
    assert last_words("one\ntwo") == "  one\n  two"
    assert last_words("") == ""


# Its life and its end


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    until(lambda: not any(map(alive, started(tmp_path))))


def started(folder: Path) -> list[int]:
    pids = folder / "pids"
    return json.loads(pids.read_text()) if pids.exists() else []


def own(folder: Path, **args: object) -> tuple[OwnedServer, str]:
    port = free_port("127.0.0.1")
    command = command_line(plan(stand_in(folder), "m", **args), "127.0.0.1", port)
    return OwnedServer(command, os.environ, folder / "log"), f"http://127.0.0.1:{port}"


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
    asyncio.run(server.stop())  # twice is once


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
    assert "the server ended with code -9" in server.last_words()


def test_a_killed_guardian_leaves_nothing(folder: Path) -> None:
    server, root = own(folder)
    server.start()
    pids = pids_at(root, folder)
    parent = int(Path(f"/proc/{pids[0]}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(parent, signal.SIGKILL)
    until(lambda: not alive(pids[0]))
    asyncio.run(server.stop())


@pytest.mark.parametrize("mishap", ["none", "slow end"])
def test_a_killed_owner_leaves_nothing(folder: Path, mishap: str) -> None:
    """However a process goes, the other end of the guardian's stdin goes with it; nor can the server refuse."""
    port = free_port("127.0.0.1")
    command = command_line(plan(stand_in(folder), "m", mishap=mishap), "127.0.0.1", port)
    owner = subprocess.Popen([sys.executable, "-c", _OWNER, json.dumps(command), str(folder / "log")], cwd=_ROOT)
    pids = pids_at(f"http://127.0.0.1:{port}", folder)
    owner.kill()
    owner.wait()
    until(lambda: not any(map(alive, pids)))


_ROOT = Path(__file__).parents[2]
_OWNER = """
import json, os, sys, time
from pathlib import Path
from muses_eval.workers.vllm import server_process as server_process
server_process.GRACE_S = 0.2
server_process.OwnedServer(json.loads(sys.argv[1]), os.environ, Path(sys.argv[2])).start()
time.sleep(600)
"""


def test_a_command_that_is_none(folder: Path) -> None:
    server = OwnedServer(["/nowhere/python"], os.environ, folder / "log")
    server.start()
    until(lambda: not server.running)
    assert "cannot start /nowhere/python: " in server.last_words()
    assert process_supervisor.CANNOT_START == 127


def test_last_words_are_of_the_last_start(folder: Path) -> None:
    (folder / "log").write_text("ValueError: of an earlier life\n")
    server, _ = own(folder, mishap="no start")
    server.start()
    until(lambda: not server.running)
    words = server.last_words()
    assert words.startswith("  ValueError: the KV cache has no room\n")
    assert "RuntimeError: the engine did not start" in words
    assert "earlier" not in words
