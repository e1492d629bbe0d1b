"""CPU time of the client per model call: our client, bare aiohttp, and httpx, on the same load in one run.

    python -m tests.bench.model_calls --calls 2000

The server is a separate process that answers at once with little work, so that only the client is measured.  Our client
does more than the other two: it waits for a permit, encodes the prompt, parses and checks the response and writes the
record; the other two encode, send and decode.  The clients take turns, and the best round of each counts, since other
load on the machine can only add time.  Prints one JSON object.
"""

import asyncio
import json
import multiprocessing
import random
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection

import aiohttp
import httpx
from muses_eval.pipeline.config.endpoint import Endpoint
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.episode.interfaces import Observation
from muses_eval.pipeline.episode.serialization import ChatMessage
from muses_eval.workers.providers.chat_api import ChatApiAgent, ChatApiModel, Effects, ModelConnection
from muses_eval.workers.providers.openai import OpenAIAdapter

from tests.bench.command_line import run_benchmark
from tests.concurrency_limit import ConcurrencyLimit

CONCURRENCY = 64
PROMPT = (
    ChatMessage("system", "You serve several people at once. " * 20),
    ChatMessage("user", "Alice says: please move the meeting to Tuesday. " * 10),
    ChatMessage("assistant", "I have asked Bob whether Tuesday suits him. " * 10),
    ChatMessage("user", "Bob says: Tuesday is fine after ten. " * 10),
)
_DOCUMENT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "bench",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Tuesday at half past ten it is. " * 10},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 300, "completion_tokens": 90, "total_tokens": 390},
}

Client = Callable[[str, int], Awaitable[float]]
"""Maps base_url and the number of calls to the CPU seconds of the calls over open connections."""


class _Answering(asyncio.Protocol):
    """A minimal HTTP/1.1 server: reads each request by its Content-Length and always sends the same bytes."""

    _body = json.dumps(_DOCUMENT).encode()
    _response = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_body)
    ) + _body

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport, self._buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(rest) >= length:
            self._buffer = rest[length:]
            self._transport.write(self._response)


async def _serve(pipe: Connection) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Answering, "127.0.0.1", 0, backlog=4 * CONCURRENCY)
    pipe.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def _run_server(pipe: Connection) -> None:
    asyncio.run(_serve(pipe))


async def _cpu_of(call: Callable[[], Awaitable[object]], calls: int) -> float:
    """Returns the CPU seconds of *calls* calls, ``CONCURRENCY`` at a time, after a warm-up that opens connections."""

    async def caller(count: int) -> None:
        for _ in range(count):
            await call()

    await asyncio.gather(*(caller(2) for _ in range(CONCURRENCY)))
    shares = [calls // CONCURRENCY + (number < calls % CONCURRENCY) for number in range(CONCURRENCY)]
    before = time.process_time()
    await asyncio.gather(*(caller(share) for share in shares))
    return time.process_time() - before


async def _ours(base_url: str, calls: int) -> float:
    endpoint = Endpoint((base_url,))
    spec = ModelSpec("bench", "openai", "bench", endpoint=endpoint)
    access = ModelConnection(OpenAIAdapter(), ConcurrencyLimit(CONCURRENCY), "key")
    model = ChatApiModel(spec, endpoint, access, Effects(random.Random(0)))
    agent, observation = ChatApiAgent(model, {"temperature": 0.0}, "an episode"), Observation(1, (), PROMPT)
    try:
        return await _cpu_of(lambda: agent.reply(observation), calls)
    finally:
        await model.close()


def _request() -> dict[str, object]:
    messages = [{"role": message.role, "content": message.content} for message in PROMPT]
    return {"model": "bench", "messages": messages, "temperature": 0.0}


async def _aiohttp(base_url: str, calls: int) -> float:
    headers = {"Authorization": "Bearer key"}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=CONCURRENCY)) as session:

        async def call() -> object:
            async with session.post(f"{base_url}/chat/completions", json=_request()) as response:
                return await response.json()

        return await _cpu_of(call, calls)


async def _httpx(base_url: str, calls: int) -> float:
    limits = httpx.Limits(max_connections=CONCURRENCY, max_keepalive_connections=CONCURRENCY)
    async with httpx.AsyncClient(headers={"Authorization": "Bearer key"}, limits=limits, timeout=120.0) as client:

        async def call() -> object:
            return (await client.post(f"{base_url}/chat/completions", json=_request())).json()

        return await _cpu_of(call, calls)


CLIENTS: dict[str, Client] = {"ours": _ours, "aiohttp": _aiohttp, "httpx": _httpx}


def measure(calls: int, rounds: int) -> dict[str, object]:
    """Returns the CPU milliseconds per call of each client, and the ratios of ours to the others."""
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    server = context.Process(target=_run_server, args=(sending,), daemon=True)
    server.start()
    try:
        base_url = f"http://127.0.0.1:{receiving.recv()}/v1"
        seconds: dict[str, list[float]] = {name: [] for name in CLIENTS}
        for _ in range(rounds):
            for name, client in CLIENTS.items():
                seconds[name].append(asyncio.run(_measured(client, base_url, calls)))
    finally:
        server.terminate()
        server.join()
    cpu_ms = {name: 1_000 * min(taken) / calls for name, taken in seconds.items()}
    return {
        "calls": calls,
        "rounds": rounds,
        "concurrency": CONCURRENCY,
        "cpu_ms_per_call": {name: round(value, 4) for name, value in cpu_ms.items()},
        "ours_to_aiohttp": round(cpu_ms["ours"] / cpu_ms["aiohttp"], 3),
        "ours_to_httpx": round(cpu_ms["ours"] / cpu_ms["httpx"], 3),
    }


async def _measured(client: Client, base_url: str, calls: int) -> float:
    return await client(base_url, calls)


if __name__ == "__main__":
    run_benchmark("tests.bench.model_calls", measure, 2_000, "client")
