"""The command line and the environment of a vLLM server."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from muses_eval.pipeline.errors import ConfigError

_RESERVED = {
    "model": "the name after vllm:",
    "served_model_name": "the name after vllm:",
    "tensor_parallel_size": "engine.tensor_parallel",
    "host": "chosen by the fleet",
    "port": "chosen by the fleet",
    "uds": "chosen by the fleet",
    "api_key": "servers of a fleet have none",
}
"""Arguments that users cannot set -> where they come from."""
_DEFAULTS = {
    "enable_prompt_tokens_details": True,  # records how much of a prompt was cached
    "enable_server_load_tracking": True,  # the health check recognises a hung engine by its open requests
    "disable_uvicorn_access_log": True,
}
_NOT_INHERITED = ("RAY_", "OMP_", "GOMP_", "KMP_", "PYTHONPATH", "PYTHONHOME")
"""Variables of a Ray worker: they would limit the server's threads, or make its interpreter import our packages."""


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """Everything that one server is started with, except for its address."""

    python: str | None
    """The interpreter that has vLLM; None: the interpreter of this process."""
    model: str
    args: str
    """vLLM's own arguments as a JSON object."""
    tensor_parallel: int = 1
    cores: tuple[int, ...] = ()
    """Cores that a server of a CPU build computes on; empty on a GPU build."""


def engine_arguments(text: str) -> dict[str, Any]:
    """Parses the user's vLLM arguments.  Raises ConfigError for an argument that users cannot set."""
    args: dict[str, Any] = json.loads(text)
    for name in args:
        if "-" in name:
            raise ConfigError(f"engine.args: {name}: write {name.lstrip('-').replace('-', '_')}")
        if name in _RESERVED:
            raise ConfigError(f"engine.args: {name} is not set there; it is {_RESERVED[name]}")
    return args


def command_line(server: ServerSpec, host: str, port: int) -> list[str]:
    program = [server.python or sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    return [*program, "--host", host, "--port", str(port), *serving_arguments(server)]


def serving_arguments(server: ServerSpec) -> list[str]:
    """Returns all arguments that determine how a model is served: the user's and our own."""
    ours: dict[str, Any] = {"model": server.model, "served_model_name": server.model}
    parallel = {"tensor_parallel_size": server.tensor_parallel} if server.tensor_parallel > 1 else {}
    flags = {**ours, **parallel, **_DEFAULTS, **engine_arguments(server.args)}
    return [part for name, value in flags.items() for part in _flag(name.replace("_", "-"), value)]


def _flag(name: str, value: object) -> list[str]:
    match value:
        case True:
            return [f"--{name}"]
        case False:
            return [f"--no-{name}"]
        case dict():
            return [f"--{name}", json.dumps(value)]
        case list():
            return [f"--{name}", *map(str, value)]
        case _:
            return [f"--{name}", str(value)]


def environment(server: ServerSpec, environ: Mapping[str, str]) -> dict[str, str]:
    """Returns the server's environment: the Ray worker's *environ*, with its GPUs, without what is meant for Ray."""
    kept = {name: value for name, value in environ.items() if not name.startswith(_NOT_INHERITED)}
    kept |= {"VLLM_NO_USAGE_STATS": "1", "PYTHONUNBUFFERED": "1"}
    if Path(server.model).is_dir():
        kept["HF_HUB_OFFLINE"] = "1"
    if server.cores:
        kept.pop("CUDA_VISIBLE_DEVICES", None)
        kept.setdefault("VLLM_CPU_OMP_THREADS_BIND", ",".join(map(str, server.cores)))
    return kept


def cores_of_replica(cores: Sequence[int], index: int, replicas: int) -> tuple[int, ...]:
    """Returns the cores of one of several replicas on a machine; no core is shared while there are enough of them."""
    if replicas >= len(cores):
        return (cores[index % len(cores)],)
    return tuple(cores[index * len(cores) // replicas : (index + 1) * len(cores) // replicas])
