"""Tokens per second during episodes, compared with vLLM's own benchmark client on the same server.

    python -m tests.bench.vllm_throughput --rounds 3

Two clients of one server take turns: episodes of the family queue with everything included (prompts, limit, scoring,
traces), and ``vllm bench serve`` with the prompts of these episodes as the server's template renders them.  Both
request the same number of tokens with the same concurrency.  A warm-up round of each puts all prompts into the server's
prefix cache.  The best round counts, since other load on the machine can only slow a round down.

``make test-vllm`` installs the requirements; VLLM_TEST_PYTHON, VLLM_TEST_MODEL and VLLM_TEST_ARGS name another vLLM, as
for tests/vllm.  Prints one JSON object.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from muses_eval.flows.job.evaluate import play_all
from muses_eval.flows.job.prepare import prepare_without_lock
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.workers.play.inline_executor import InlineExecutor
from muses_eval.workers.vllm.engine_build import find_engine
from muses_eval.workers.vllm.health_check import check_health
from muses_eval.workers.vllm.server_command import ServerSpec, command_line, environment
from muses_eval.workers.vllm.server_process import ServerProcess, free_port

from tests.provider import Provider
from tests.stand_in_vllm import until
from tests.vllm.engine import ARGS, MODEL, PYTHON

READY_S = 900.0
_BENCH = """
import argparse
from vllm.benchmarks import serve
parser = argparse.ArgumentParser()
serve.add_cli_args(parser)
serve.main(parser.parse_args())
"""
"""Does the same as ``vllm bench serve``, a command that fails to find the version of the CPU build."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Starts a server, waits until it is ready and yields its root URL."""
    spec = ServerSpec(PYTHON, MODEL, json.dumps(ARGS), cores=_cores())
    port = free_port("127.0.0.1")
    server = ServerProcess(command_line(spec, "127.0.0.1", port), environment(spec, os.environ), folder / "server.log")
    root = f"http://127.0.0.1:{port}"
    server.start()
    try:
        until(lambda: check_health(root, 5.0) or not server.running, READY_S)
        if not server.running:
            sys.exit(server.log_summary())
        yield root
    finally:
        asyncio.run(server.stop())


def _cores() -> tuple[int, ...]:
    on_cpu = find_engine(ServerSpec(PYTHON, MODEL, "{}")).cpu
    return tuple(sorted(os.sched_getaffinity(0))) if on_cpu else ()


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def play(base_url: str, model: str, load: argparse.Namespace) -> float:
    """Plays the episodes; returns the seconds from the start of the first shard until all traces are stored."""
    with _folder() as store:
        config = {
            "dataset": {"size": load.episodes, "most_users": 3},
            "families": ["queue"],
            "store": str(store),
            "execution": {"shard_size": max(1, load.concurrency // 4), "shards_per_worker": 8},
            "models": [
                {
                    "model": f"openai:{model}",
                    "base_url": base_url,
                    "timeout_s": 3600,
                    "max_retries": 0,
                    "max_concurrency": load.concurrency,
                    "sampling": {"max_tokens": load.tokens, "extra_body": {"ignore_eos": True}},
                }
            ],
        }
        run = prepare_without_lock(parse_config(config, "bench"))

        async def job() -> float:
            async with InlineExecutor(8) as executor:
                start = time.perf_counter()
                summaries = await play_all(run, executor, lambda _: None)
                assert sum(summary.outcomes.get("scored", 0) for summary in summaries) == load.episodes
                return time.perf_counter() - start

        return asyncio.run(job())


def prompts_of(root: str, load: argparse.Namespace) -> list[str]:
    """Returns the prompts that the server renders from the episodes' chats, as text with the same tokens."""
    with Provider() as provider:
        play(provider.base_url, MODEL, load)
        chats = [received.document["messages"] for received in provider.completions]
    rendered = [_ask(f"{root}/tokenize", messages=messages)["tokens"] for messages in chats]
    return [_ask(f"{root}/detokenize", tokens=tokens)["prompt"] for tokens in rendered]


def _ask(url: str, **fields: object) -> dict:
    body = json.dumps({"model": MODEL, **fields}).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": "application/json"})) as answer:
        return json.load(answer)


def benchmark(root: str, prompts: Path, load: argparse.Namespace) -> dict:
    """Returns the report of vLLM's own client."""
    with _folder() as results:
        subprocess.run(
            [
                *(PYTHON, "-c", _BENCH, "--backend", "openai", "--base-url", root, "--model", MODEL),
                *("--dataset-name", "custom", "--dataset-path", str(prompts), "--skip-chat-template"),
                *("--num-prompts", str(load.episodes), "--max-concurrency", str(load.concurrency)),
                *("--custom-output-len", str(load.tokens), "--ignore-eos", "--disable-tqdm", "--disable-shuffle"),
                *("--save-result", "--result-dir", str(results), "--result-filename", "result.json"),
            ],
            check=True,
            stdout=sys.stderr,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )
        return json.loads((results / "result.json").read_text())


def compare(load: argparse.Namespace) -> dict:
    total = load.episodes * load.tokens
    ours, theirs = [], []
    with _folder() as folder, served(folder) as root:
        prompts = prompts_of(root, load)
        listing = folder / "prompts.jsonl"
        listing.write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts))
        for number in range(load.rounds + 1):
            seconds = play(f"{root}/v1", MODEL, load)
            result = benchmark(root, listing, load)
            if number:
                ours.append(total / seconds)
                theirs.append(result["total_output_tokens"] / result["duration"])
    return {
        "vllm": find_engine(ServerSpec(PYTHON, MODEL, "{}")).version,
        "args": ARGS,
        "episodes": load.episodes,
        "concurrency": load.concurrency,
        "completion_tokens": load.tokens,
        "prompt_tokens": round(result["total_input_tokens"] / load.episodes),
        "tokens_per_s": {"episodes": round(max(ours), 1), "vllm bench serve": round(max(theirs), 1)},
        "rounds": {"episodes": [round(x, 1) for x in ours], "vllm bench serve": [round(x, 1) for x in theirs]},
        "ratio": round(max(ours) / max(theirs), 3),
        "median_ratio": round(statistics.median(ours) / statistics.median(theirs), 3),
        "target": 0.95,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=32, help="their prompts should fit into the KV cache")
    parser.add_argument("--tokens", type=int, default=64, help="of every completion")
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    print(json.dumps(compare(parser.parse_args()), indent=2))  # noqa: T201
