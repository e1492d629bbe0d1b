"""CPU time of the path of an agent in Python per call, above that of the model alone.

    python -m tests.bench.agents --calls 6400

Both ways get the same observation and the same reply of a model that replies at once, so that only the path between
the dialogue and the model's client is measured: the turn, its stopwatch, the check and the copy of the messages, the
record of the call, its event.  The ways take turns, and the best round of each counts, since other load on the
machine can only add time.  Prints one JSON object.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from muses_eval.agents import Context, Llm, Turn
from muses_eval.pipeline.episode.interfaces import Agent, Observation
from muses_eval.pipeline.episode.model_call import Call, Reply
from muses_eval.pipeline.episode.scenario import Input
from muses_eval.workers.agents.event_log import EventLog
from muses_eval.workers.agents.llm import EpisodeLlm
from muses_eval.workers.agents.loop_watch import LoopWatch
from muses_eval.workers.agents.python_agent import AgentClass, PythonHarness
from muses_eval.workers.agents.session import AgentSession
from muses_eval.workers.providers.chat_request import ChatRequest

from tests.bench.command_line import run_benchmark
from tests.bench.model_calls import PROMPT

EPISODES = 64
CALLS_PER_EPISODE = 10
OBSERVATION = Observation(1, (Input("Alice", "Please move the meeting."), Input("Bob", "Tuesday?")), PROMPT)
CONTEXT = Context(episode_id="e", family="meeting", principals=(), briefing=PROMPT[0].content, max_turns=10)


class Immediate:
    """A model that replies at once."""

    _reply = Reply("Tuesday at half past ten it is. " * 10, Call("agent", "bench", 300, 90, 0.0, 0, "stop"))

    async def reply(self, observation: Observation) -> Reply:
        return self._reply

    async def chat(self, observation: Observation, request: ChatRequest) -> Reply:
        return self._reply


class Coroutine:
    """An agent that passes the prompt on."""

    def __init__(self, context: Context, llm: Llm) -> None:
        self.llm = llm

    async def turn(self, turn: Turn) -> str:
        return (await self.llm.chat(turn.messages)).text


class Function:
    """The same as an ordinary function."""

    def __init__(self, context: Context, llm: Any) -> None:
        self.llm = llm

    def turn(self, turn: Turn) -> str:
        text: str = self.llm.chat(turn.messages).text
        return text


def _session(cls: type[Any], watch: LoopWatch, calls: list[Call]) -> AgentSession:
    events = EventLog()
    llm = EpisodeLlm("bench", Immediate(), CALLS_PER_EPISODE, events, calls.append)
    harness = PythonHarness(AgentClass("bench", cls, {}), CONTEXT, llm, events, watch)
    return AgentSession("e", harness, llm, 60.0, lambda reply: reply.shared)


async def _seconds(calls: int, open_agent: Callable[[], Agent]) -> float:
    """Returns the CPU seconds of *calls* calls, in ``EPISODES`` episodes at the same time."""

    async def episode() -> None:
        agent = open_agent()
        for _ in range(CALLS_PER_EPISODE):
            await agent.reply(OBSERVATION)
        if isinstance(agent, AgentSession):
            await agent.close()

    before = time.process_time()
    for _ in range(calls // (EPISODES * CALLS_PER_EPISODE)):
        await asyncio.gather(*(episode() for _ in range(EPISODES)))
    return time.process_time() - before


async def _round(calls: int) -> dict[str, float]:
    watch, noted = LoopWatch(), list[Call]()
    return {
        "alone": await _seconds(calls, Immediate),
        "coroutine": await _seconds(calls, lambda: _session(Coroutine, watch, noted)),
        "function": await _seconds(calls, lambda: _session(Function, watch, noted)),
    }


def measure(calls: int, rounds: int) -> dict[str, object]:
    """Returns the CPU milliseconds per call of an agent above those of the model alone."""
    calls -= calls % (EPISODES * CALLS_PER_EPISODE)
    taken = [asyncio.run(_round(calls)) for _ in range(rounds)]
    cpu_ms = {name: 1_000 * min(seconds[name] for seconds in taken) / calls for name in taken[0]}
    above = {name: round(cpu_ms[name] - cpu_ms["alone"], 4) for name in ("coroutine", "function")}
    return {"calls": calls, "rounds": rounds, "episodes": EPISODES, "cpu_ms_per_call": above}


if __name__ == "__main__":
    run_benchmark("tests.bench.agents", measure, 6_400, "way")
