"""CPU time of the bridge per model call of an agent that brings its own client.

    python -m tests.bench.bridge --calls 4000

The clients run in a process of their own, so that only the worker's side is measured: reading the request, finding the
episode, reading the JSON, and writing the response.  The model replies at once, and the same calls without the bridge
are subtracted.  Each way takes its turn several times, and the cheapest round counts, since other load on the machine
can only add time.  Prints one JSON object.
"""

import asyncio
import multiprocessing
import time
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
from muses_eval.agents import LlmReply, ModelEndpoint
from muses_eval.workers.agents.bridge import Bridge

from tests.bench.command_line import run_benchmark

EPISODES = 64
MESSAGES = [
    {"role": "system", "content": "You serve several people at once. " * 20},
    {"role": "user", "content": "Alice says: please move the meeting to Tuesday. " * 10},
    {"role": "assistant", "content": "I have asked Bob whether Tuesday suits him. " * 10},
    {"role": "user", "content": "Bob says: Tuesday is fine after ten. " * 10},
]


class Immediate:
    """A model that replies at once."""

    model = "bench"
    _reply = LlmReply("Tuesday at half past ten it is. " * 10, (), "stop", 300, 90)

    async def chat(
        self, messages: Sequence[Mapping[str, Any]], *, tools: Sequence[Mapping[str, Any]] = (), **sampling: Any
    ) -> LlmReply:
        return self._reply


async def _call(endpoints: Sequence[ModelEndpoint], calls: int, *, stream: bool) -> None:
    """Makes the same number of calls in every episode, one after the other, and all episodes at the same time."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=EPISODES)) as session:

        async def episode(endpoint: ModelEndpoint) -> None:
            headers = {"Authorization": f"Bearer {endpoint.api_key}"}
            body = {"model": endpoint.model, "messages": MESSAGES, "temperature": 0.0, "stream": stream}
            for _ in range(calls // EPISODES):
                async with session.post(f"{endpoint.base_url}/chat/completions", json=body, headers=headers) as answer:
                    answer.raise_for_status()
                    await answer.read()

        await asyncio.gather(*map(episode, endpoints))


def _clients(endpoints: Sequence[ModelEndpoint], calls: int, stream: bool) -> None:
    asyncio.run(_call(endpoints, calls, stream=stream))


async def _through_bridge(calls: int, *, stream: bool) -> float:
    """Returns the CPU seconds of this process."""
    bridge = Bridge()
    endpoints = [await bridge.open_episode(Immediate()) for _ in range(EPISODES)]
    clients = multiprocessing.get_context("spawn").Process(target=_clients, args=(endpoints, calls, stream))
    clients.start()
    before = time.process_time()
    await asyncio.to_thread(clients.join)
    seconds = time.process_time() - before
    await bridge.close()
    if clients.exitcode:
        raise SystemExit("a call failed")
    return seconds


async def _direct(calls: int) -> float:
    llm = Immediate()
    before = time.process_time()
    for _ in range(calls):
        await llm.chat(MESSAGES, temperature=0.0)
    return time.process_time() - before


def measure(calls: int, rounds: int) -> dict[str, object]:
    """Returns the CPU milliseconds per call, whole and as a stream, without those of the model itself."""
    calls -= calls % EPISODES
    seconds: dict[str, list[float]] = {"direct": [], "whole": [], "stream": []}
    for _ in range(rounds):
        seconds["direct"].append(asyncio.run(_direct(calls)))
        seconds["whole"].append(asyncio.run(_through_bridge(calls, stream=False)))
        seconds["stream"].append(asyncio.run(_through_bridge(calls, stream=True)))
    cpu_ms = {name: 1_000 * min(taken) / calls for name, taken in seconds.items()}
    above = {name: round(cpu_ms[name] - cpu_ms["direct"], 4) for name in ("whole", "stream")}
    return {"calls": calls, "rounds": rounds, "episodes": EPISODES, "cpu_ms_per_call": above}


if __name__ == "__main__":
    run_benchmark("tests.bench.bridge", measure, 4_000, "way")
