"""Memory per episode in flight, with thousands of them in flight on one worker.

    python -m tests.bench.in_flight --episodes 10000

A run of access episodes on the inline executor: every episode takes four turns, and a server in another process holds
back the response to each fifth call until all episodes wait for theirs.  The worker's resident memory at that time is
compared with its resident memory before the first episode, when plan, scenarios and code were loaded.

``kb_per_episode``: growth in kB (1000 bytes) per episode.  ``transcript_kb``: size of one copy of the conversation so
far, as in the prompt of the held call.  ``over_transcript_kb``: growth minus that copy.  Prints one JSON object.
"""

import argparse
import asyncio
import gc
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from muses_eval.flows.job.evaluate import OnShard, RunObserver, evaluate
from muses_eval.flows.job.prepare import PreparedRun
from muses_eval.flows.settings import read_settings
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.workers.rehearsal.openai_format import chat_completion, model_list, openai_usage
from muses_eval.workers.rehearsal.server import LoopbackServer, ReceivedRequest, Send

HELD_TURN = 5
SHARD = 100
_OPEN_FILES = 1_000
"""Number of open files allowed in addition to one connection per episode."""
_REFUSAL = json.dumps({"target": "all", "content": "No, that document is restricted; I can help with all else."})
_DONE = json.dumps({"goal_achieved": True, "final_report": "All that could be given was given."})


class _Holding:
    """A model that refuses at once, but holds each episode's fifth call until those of all episodes have arrived."""

    def __init__(self, episodes: int, pipe: Connection) -> None:
        self._episodes, self._pipe, self._texts = episodes, pipe, list[int]()
        self._all_here, self._let_go = threading.Event(), asyncio.Event()

    async def handle(self, received: ReceivedRequest, send: Send) -> None:
        if received.method == "GET":
            await send(model_list("bench"))
            return
        self._loop = asyncio.get_running_loop()
        messages = received.document["messages"]
        reply = _REFUSAL
        if sum(message["role"] == "assistant" for message in messages) >= HELD_TURN - 1:
            self._texts.append(sum(len(message["content"].encode()) for message in messages))
            if len(self._texts) == self._episodes:
                self._all_here.set()
            await self._let_go.wait()
            reply = _DONE
        await send(chat_completion(reply, "stop", openai_usage(1_000, 20, 0)))

    def serve(self) -> None:
        with LoopbackServer(self.handle) as server:
            self._pipe.send(f"{server.url}/v1")
            self._all_here.wait()
            self._pipe.send(sum(self._texts))
            self._pipe.recv()
            self._loop.call_soon_threadsafe(self._let_go.set)
            self._pipe.recv()


def _run_server(episodes: int, pipe: Connection) -> None:
    _allow_files(episodes)
    _Holding(episodes, pipe).serve()


@contextmanager
def _server(episodes: int) -> Iterator[tuple[str, Connection]]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_run_server, args=(episodes, there), daemon=True)
    process.start()
    try:
        yield here.recv(), here
    finally:
        process.terminate()
        process.join()


def _allow_files(episodes: int) -> None:
    """Raises the limit of open files, since every call in flight has its own connection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = episodes + _OPEN_FILES
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


def _resident() -> int:
    """Returns the resident memory of this process in bytes."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure(episodes: int) -> dict[str, object]:
    _allow_files(episodes)
    before = held = texts = 0
    with _server(episodes) as (base_url, pipe), tempfile.TemporaryDirectory() as folder:

        def watch() -> None:
            nonlocal held, texts
            texts = pipe.recv()
            held = _resident()
            pipe.send("go on")

        def open_run(_: PreparedRun) -> OnShard:
            nonlocal before
            before = _resident()
            return lambda _: None

        model = {"model": "openai:bench", "base_url": base_url, "max_concurrency": episodes, "timeout_s": 3600}
        raw = {
            "models": [model],
            "families": ["access"],
            "dataset": f"generated:{episodes}",
            "store": f"{folder}/store",
            "execution": {"shard_size": SHARD, "shards_per_worker": -(-episodes // SHARD)},
        }
        watching = threading.Thread(target=watch, daemon=True)
        watching.start()
        settings = read_settings({"MUSES_HOME": f"{folder}/home"})
        report = asyncio.run(evaluate(parse_config(raw, "bench"), settings, RunObserver(open_run)))
        watching.join()
    assert report.outcomes["scored"] == episodes, report.problems
    growth, transcript = (held - before) / episodes / 1000, texts / episodes / 1000
    return {
        "episodes_in_flight": episodes,
        "turn": HELD_TURN,
        "resident_before_mb": round(before / 1e6),
        "resident_in_flight_mb": round(held / 1e6),
        "kb_per_episode": round(growth, 1),
        "transcript_kb": round(transcript, 1),
        "over_transcript_kb": round(growth - transcript, 1),
        "target_kb": 50,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.in_flight")
    parser.add_argument("--episodes", type=int, default=10_000, help="in flight at one time (default: 10000)")
    json.dump(measure(parser.parse_args().episodes), sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
