"""The command line and the environment of a vLLM server."""

import json
import sys
from pathlib import Path

import pytest
from muses_eval.pipeline.errors import ConfigError
from muses_eval.workers.vllm.server_command import ServerSpec, command_line, cores_of_replica, environment


def server_spec(python: str | None = "py", model: str = "org/m", parallel: int = 1, **args: object) -> ServerSpec:
    return ServerSpec(python, model, json.dumps(args), parallel)


def test_a_command_line() -> None:
    """The user's arguments are passed as vLLM spells them, after those that the fleet sets."""
    wanted = server_spec(
        parallel=2,
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
    assert command_line(server_spec(None), "h", 1)[0] == sys.executable


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
        command_line(server_spec(**{name: 1}), "h", 1)


def test_an_environment(tmp_path: Path) -> None:
    """The server keeps its GPU variables and loses all that Ray sets for its own workers."""
    rays = {"RAY_JOB_ID": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": "/ours", "CUDA_VISIBLE_DEVICES": "3", "HOME": "/h"}
    seen = environment(server_spec(), rays)
    assert seen == {
        "CUDA_VISIBLE_DEVICES": "3",
        "HOME": "/h",
        "VLLM_NO_USAGE_STATS": "1",
        "PYTHONUNBUFFERED": "1",
    }
    on_cpu = environment(ServerSpec("py", str(tmp_path), "{}", cores=(2, 3)), rays)
    assert on_cpu["VLLM_CPU_OMP_THREADS_BIND"] == "2,3"
    assert on_cpu["HF_HUB_OFFLINE"] == "1"
    assert "CUDA_VISIBLE_DEVICES" not in on_cpu
    own = environment(ServerSpec("py", "m", "{}", cores=(2,)), {"VLLM_CPU_OMP_THREADS_BIND": "all"})
    assert own["VLLM_CPU_OMP_THREADS_BIND"] == "all"


def test_cores_are_shared_out() -> None:
    """When there are enough cores, each belongs to exactly one replica."""
    assert [cores_of_replica([0, 1], slot, 2) for slot in range(2)] == [(0,), (1,)]
    assert [cores_of_replica(range(5), slot, 2) for slot in range(2)] == [(0, 1), (2, 3, 4)]
    assert cores_of_replica([4, 5, 6], 0, 1) == (4, 5, 6)
    assert [cores_of_replica([0, 1], slot, 3) for slot in range(3)] == [(0,), (1,), (0,)]
