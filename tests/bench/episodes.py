"""Benchmark of whole episodes: cost per episode, and time to the first stored episode.

    python -m tests.bench.episodes --episodes 200 --calls 2000

``inline``: episodes per second and CPU milliseconds per episode, by family, of the inline executor with the agent
``scripted/compliant`` and a store in a folder: everything that this project does for an episode except model calls.
``first_episode_s``: seconds from the start of the process ``muses run`` to its first stored episode.
``calls``: the client's CPU milliseconds per model call, over whole access episodes of several turns against a server in
another process that answers at once; includes connection, limit, prompts, users, scoring and writing the traces.
``planning``: seconds to plan this many episodes, and to subtract the scored ones.

The best round counts, since other load on the machine can only add time.  Prints one JSON object.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from muses_eval.flows.job.evaluate import play_all
from muses_eval.flows.job.prepare import PreparedRun, prepare_without_lock
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.datasets.dataset import Dataset, generate_dataset
from muses_eval.pipeline.families import FAMILIES
from muses_eval.pipeline.plan.plan import RunRequest, make_plan
from muses_eval.workers.play.inline_executor import InlineExecutor

ROOT = Path(__file__).parents[2]
_REFUSAL = json.dumps({"target": "all", "content": "No, that is restricted."})
_BODY = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": _REFUSAL}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 900, "completion_tokens": 20, "total_tokens": 920},
    }
).encode()


class _Answering(asyncio.Protocol):
    """A minimal HTTP/1.1 server: reads each request by its Content-Length and always sends the same bytes."""

    _response = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_BODY)
    ) + _BODY

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport, self._buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        lowered = head.lower()
        length = (
            int(lowered.partition(b"content-length:")[2].partition(b"\r\n")[0]) if b"content-length:" in lowered else 0
        )
        if len(rest) >= length:
            self._buffer = rest[length:]
            self._transport.write(self._response)


async def _serve(pipe: Connection) -> None:
    server = await asyncio.get_running_loop().create_server(_Answering, "127.0.0.1", 0, backlog=512)
    pipe.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def _run_server(pipe: Connection) -> None:
    asyncio.run(_serve(pipe))


@contextmanager
def _server() -> Iterator[str]:
    """Starts a server whose model refuses every request at once; yields its base_url."""
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_run_server, args=(sending,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{receiving.recv()}/v1"
    finally:
        process.terminate()
        process.join()


def _prepared(folder: Path, model: object, family: str, episodes: int) -> PreparedRun:
    raw = {"models": [model], "families": [family], "dataset": f"generated:{episodes}", "store": str(folder)}
    return prepare_without_lock(parse_config(raw, "bench"))


def _played(run: PreparedRun) -> tuple[float, float]:
    """Plays a prepared run inline; returns wall and CPU seconds."""

    async def job() -> None:
        async with InlineExecutor(4) as executor:
            await play_all(run, executor, lambda _: None)

    wall, cpu = time.perf_counter(), time.process_time()
    asyncio.run(job())
    return time.perf_counter() - wall, time.process_time() - cpu


def inline(family: str, episodes: int, rounds: int) -> dict[str, float]:
    """Measures the inline executor with a built-in agent."""
    walls, cpus = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            wall, cpu = _played(_prepared(Path(folder), "scripted/compliant", family, episodes))
        walls.append(wall)
        cpus.append(cpu)
    return {
        "episodes_per_s": round(episodes / min(walls), 1),
        "cpu_ms_per_episode": round(1000 * min(cpus) / episodes, 3),
    }


def calls(count: int, rounds: int) -> dict[str, float]:
    """Measures whole episodes of ten calls each over HTTP."""
    turns = FAMILIES["access"].max_turns
    episodes = max(1, count // turns)
    cpus = []
    with _server() as base_url:
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                model = {"model": "openai:bench", "base_url": base_url}
                _, cpu = _played(_prepared(Path(folder), model, "access", episodes))
                stored = len(list(Path(folder).rglob("*.parquet")))
            assert stored == -(-episodes // 32)
            cpus.append(cpu)
    return {"calls": episodes * turns, "cpu_ms_per_call": round(1000 * min(cpus) / (episodes * turns), 3)}


def first_episode() -> float:
    """Returns the seconds from the start of a process to its first stored episode."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "muses_eval", "run", "--executor", "inline", "--model", "scripted/oracle"]
        command += ["--shard-size", "1", "--store", str(Path(folder, "store"))]
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            while not any(Path(folder).rglob("shard-*.parquet")):
                if process.poll() is not None:
                    raise RuntimeError(f"muses run ended before it had stored anything: {process.communicate()[1]}")
                time.sleep(0.005)
            return time.perf_counter() - start
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate()


def planning(episodes: int) -> dict[str, float]:
    """Measures a plan of this many episodes, and the subtraction of half of them."""
    base = generate_dataset("1", 0, ("queue",))
    scenario = base.scenarios("queue")[0]
    per_model = episodes // 4
    many: dict[str, Any] = {f"q-{n}": replace(scenario, id=f"q-{n}") for n in range(per_model)}
    dataset = Dataset("bench", base.versions, {"queue": many})
    models = tuple(ModelSpec(f"m{n}", "openai", f"m{n}") for n in range(4))
    request = RunRequest("bench", models, ("queue",))
    plan, plan_s = _timed(lambda: make_plan(request, dataset, 32))
    half = {e.id for cell in plan.cells for shard in cell.shards[::2] for e in shard.episodes}
    pending, without_s = _timed(lambda: plan.without(half))
    assert pending.episode_count == plan.episode_count - len(half)
    return {"episodes": plan.episode_count, "plan_s": round(plan_s, 3), "without_half_s": round(without_s, 3)}


def _timed(job: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    result = job()
    return result, time.perf_counter() - start


def measure(episodes: int, count: int, rounds: int) -> dict[str, object]:
    return {
        "rounds": rounds,
        "inline": {family: inline(family, episodes, rounds) for family in FAMILIES},
        "first_episode_s": round(min(first_episode() for _ in range(rounds)), 3),
        "calls": calls(count, rounds),
        "planning": planning(200_000),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.episodes")
    parser.add_argument("--episodes", type=int, default=200, help="episodes a family and round (default: 200)")
    parser.add_argument("--calls", type=int, default=2_000, help="model calls a round (default: 2000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the best counts (default: 3)")
    options = parser.parse_args()
    json.dump(measure(options.episodes, options.calls, options.rounds), sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
