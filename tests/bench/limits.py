"""Benchmark of rate limits: the share of a provider's limit that a run uses, and the share of refused requests.

    python -m tests.bench.limits --seconds 60 --learn 60

Runs of one-call episodes through the real client and the real coordinator, against the rehearsal's provider in another
process, which enforces a hard limit in a sliding window.  Four cases: the request limit is ``declared``; it is
``unknown`` and no header states it; it is declared and shared by ``four_workers``, each a process of a Ray cluster that
the benchmark starts and stops; a limit of ``tokens`` is declared.

``used``: accepted requests (or tokens) in consecutive whole windows, as a share of the limit.  ``refused``: share of
requests that got 429.  With an unknown limit, both count only from ``--learn`` seconds on.  Windows near the end, for
which too few episodes are left, are excluded.  A window shorter than a minute is the harder test: a request that
arrives some milliseconds late or early is a larger share of it.  ``largest``: the most requests (or tokens) that
arrived within any window, refused or not, as a share of the limit; more than 1 is too much.  Prints one JSON object.
"""

import argparse
import asyncio
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from muses_eval.flows.job.evaluate import evaluate
from muses_eval.flows.settings import read_settings, set_environment_defaults
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.workers.rehearsal.fault_profile import Distribution, FaultProfile, HardLimits, Latency
from muses_eval.workers.rehearsal.request_log import LoggedRequest, largest_window_sum

from tests.bench.served import served

LATENCY = Latency(base=Distribution(least=0.1, most=0.3))
SHARDS_AT_ONCE, SHARD_SIZE = 8, 20
SPARE = SHARDS_AT_ONCE * SHARD_SIZE
"""Number of episodes that one worker plays at a time."""
_SCENARIOS = 200
_TOKENS_A_CALL = 1_500
"""Approximate number of tokens per call of the family queue, to choose the number of calls for the duration."""

Amount = Callable[[LoggedRequest], int]


def one(_: LoggedRequest) -> int:
    return 1


def tokens(entry: LoggedRequest) -> int:
    return entry.tokens


def measured(  # noqa: PLR0917 - a limit and the window to evaluate
    entries: Sequence[LoggedRequest], limit: int, window_s: float, from_s: float, amount: Amount, spare: int = SPARE
) -> dict[str, Any]:
    """Returns the shares of *limit*, which is per window, that a run used from *from_s* on.

    The last *spare* calls are excluded, since the run may not have had enough of them left to reach the limit.
    """
    let_in = [entry for entry in entries if entry.outcome != "refused"]
    busy_s = let_in[-spare].at_s - from_s
    starts = [from_s + number * window_s for number in range(int(busy_s // window_s))]
    used = [sum(amount(e) for e in let_in if start <= e.at_s < start + window_s) / limit for start in starts]
    late = [entry for entry in entries if entry.at_s >= from_s]
    refused = sum(entry.outcome == "refused" for entry in late)
    return {
        "windows": len(used),
        "used": round(sum(used) / len(used), 4) if used else None,
        "used_by_window": [round(share, 4) for share in used],
        "refused": round(refused / len(late), 5) if late else None,
        "refused_in_all": sum(entry.outcome == "refused" for entry in entries),
        "asked": len(entries),
        "largest": round(largest_window_sum([(e.at_s, amount(e)) for e in entries], window_s) / limit, 4),
        "seconds": round(entries[-1].at_s, 1),
    }


def play(base_url: str, calls: int, model: Mapping[str, object], execution: Mapping[str, object]) -> None:
    """Plays a run of one-call episodes."""
    with tempfile.TemporaryDirectory(prefix="muses-") as folder:
        raw = {
            "models": [{"model": "openai:bench", "base_url": base_url, "timeout_s": 600, **model}],
            "families": ["queue"],
            "dataset": f"generated:{_SCENARIOS}",
            "epochs": max(1, calls // _SCENARIOS),
            "store": f"{folder}/store",
            "execution": {"shards_per_worker": SHARDS_AT_ONCE, "shard_size": SHARD_SIZE, **execution},
        }
        settings = read_settings({"MUSES_HOME": f"{folder}/home"})
        set_environment_defaults(settings)
        report = asyncio.run(evaluate(parse_config(raw, "bench"), settings))
    assert report.complete, report.problems


def case(  # noqa: PLR0917 - one measurement in all its parts
    per_minute: int,
    window_s: float,
    seconds: float,
    model: Mapping[str, object],
    execution: Mapping[str, object],
    from_s: float = 0.0,
    workers: int = 1,
) -> dict[str, Any]:
    """Measures a limit of requests."""
    limits = HardLimits(requests_per_minute=per_minute, window_s=window_s, headers=False)
    with served(FaultProfile(latency=LATENCY, limits=limits)) as provider:
        play(provider.base_url, round(per_minute * (seconds + from_s) / 60), model, execution)
        entries = provider.entries()
    return measured(entries, round(per_minute * window_s / 60), window_s, from_s, one, workers * SPARE)


def of_tokens(per_minute: int, window_s: float, seconds: float) -> dict[str, Any]:
    """Measures a declared limit of tokens."""
    limits = HardLimits(tokens_per_minute=per_minute, window_s=window_s, headers=False)
    with served(FaultProfile(latency=LATENCY, limits=limits)) as provider:
        calls = round(per_minute * seconds / 60 / _TOKENS_A_CALL)
        play(provider.base_url, calls, {"tokens_per_minute": per_minute}, {})
        entries = provider.entries()
    return measured(entries, round(per_minute * window_s / 60), window_s, 0.0, tokens)


@contextmanager
def cluster(cpus: int) -> Iterator[str]:
    """Starts a Ray cluster of one node that declares *cpus* CPUs, and stops it at the end; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}
    with tempfile.TemporaryDirectory(prefix="muses-", ignore_cleanup_errors=True) as folder:
        command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", f"--port={port}"]
        command += [f"--temp-dir={folder}/ray", f"--num-cpus={cpus}", "--include-dashboard=false"]
        command += ["--node-ip-address=127.0.0.1", "--disable-usage-stats"]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        assert process.stdout is not None
        try:
            said = ""
            while "Ray runtime started" not in said:
                line = process.stdout.readline()
                if not line:
                    raise RuntimeError(f"no Ray cluster: {said}")
                said += line
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def measure(per_minute: int, window_s: float, seconds: float, learn_s: float, cases: Sequence[str]) -> dict[str, Any]:
    declared = {"requests_per_minute": per_minute}
    found: dict[str, Any] = {"per_minute": per_minute, "window_s": window_s}
    if "declared" in cases:
        found["declared"] = case(per_minute, window_s, seconds, declared, {})
    if "unknown" in cases:
        found["unknown"] = case(per_minute, window_s, seconds, {"max_retries": 20}, {}, learn_s)
    if "tokens" in cases:
        found["tokens"] = of_tokens(100 * per_minute, window_s, seconds)
    if "four_workers" in cases:
        with cluster(4) as address:
            execution = {"executor": "ray", "ray_address": address, "workers": 4}
            found["four_workers"] = case(per_minute, window_s, seconds, declared, execution, workers=4)
    return found


CASES = ("declared", "unknown", "tokens", "four_workers")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.limits")
    parser.add_argument("--per-minute", type=int, default=6_000, help="the provider's limit (default: 6000)")
    parser.add_argument("--window", type=float, default=10.0, help="its window in seconds (default: 10)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each case (default: 60)")
    parser.add_argument(
        "--learn", type=float, default=60.0, help="seconds before an unknown limit counts (default: 60)"
    )
    parser.add_argument("--case", choices=CASES, action="append", help="may be repeated; default: all")
    options = parser.parse_args()
    found = measure(options.per_minute, options.window, options.seconds, options.learn, options.case or CASES)
    json.dump(found, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
