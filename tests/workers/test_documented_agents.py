"""The agents that docs/agents.md shows work as they are printed."""

import asyncio
import random
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from muses_eval.agents import LlmReply, ToolCall, Turn, TurnInput, TurnReply
from muses_eval.pipeline.agents.agent_spec import AgentSpec
from muses_eval.pipeline.errors import ModelFailure
from muses_eval.workers.agents.bridge import Bridge
from muses_eval.workers.agents.http_agent import AgentService
from muses_eval.workers.providers.chat_api import Effects

from tests.agent_samples import CONTEXT, TURN, RecordingLlm

PAGE = (Path(__file__).parents[2] / "docs" / "agents.md").read_text(encoding="utf-8")


def example(language: str, word: str) -> str:
    """Returns the code block of a language that has a word."""
    (found,) = [text for text in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL) if word in text]
    return found


@contextmanager
def served(program: str, file: Path) -> Iterator[str]:
    """Runs a service, and yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen([program, str(file), str(port)]) as process:
        try:
            yield f"http://127.0.0.1:{port}/turn"
        finally:
            process.kill()


async def until_it_is_up(agent: AgentService) -> None:
    for _ in range(1_000):
        try:
            return await agent.probe()
        except ModelFailure:
            await asyncio.sleep(0.02)
    raise AssertionError("the service does not start")


async def two_turns(address: str, llm: RecordingLlm) -> list[str | TurnReply]:
    bridge = Bridge()
    agent = AgentService(AgentSpec(name="crew", kind="http", target=address), {}, Effects(random.Random(0)))
    try:
        context = replace(CONTEXT, endpoint=await bridge.open_episode(llm))
        await until_it_is_up(agent)
        harness = agent.harness(context, "openai/some-model", nullcontext)
        return [await harness.turn(TURN), await harness.turn(replace(TURN, inputs=(TurnInput("Bo", "s2", "grüße"),)))]
    finally:
        await agent.close()
        await bridge.close()


@pytest.mark.parametrize(("language", "program"), [("js", "node"), ("perl", "perl")])
def test_a_service_in_another_language(language: str, program: str, tmp_path: Path) -> None:
    """One calls its model through the bridge, the other replies in fields."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    file = tmp_path / ("agent.mjs" if language == "js" else "agent.pl")
    file.write_text(example(language, "9000"), encoding="utf-8")
    llm = RecordingLlm()
    with served(found, file) as address:
        replies = asyncio.run(two_turns(address, llm))
    if language == "js":
        assert replies == ["Answer in at most 80 words."] * 2
        assert [call["messages"][:-1] for call in llm.calls] == [list(TURN.messages)] * 2
    else:
        assert replies == [TurnReply(to={"Ana": "You wrote: hello"}), TurnReply(to={"Bo": "You wrote: grüße"})]


@pytest.mark.parametrize(("verdict", "sent"), [("OK", "a draft"), ("a correction", "a correction")])
def test_a_class_in_python(verdict: str, sent: str) -> None:
    """It calls the model twice and logs what it changed."""
    names: dict[str, Any] = {}
    exec(compile(example("python", "SecondLook"), "docs/agents.md", "exec"), names)
    lines: list[str] = []
    llm = RecordingLlm(LlmReply("a draft"), LlmReply(verdict))
    agent = names["SecondLook"](replace(CONTEXT, log=lines.append), llm, concern="is rude")
    assert asyncio.run(agent.turn(TURN)) == sent
    assert lines == ["turn 1: the draft was revised"] * (sent != "a draft")
    first, second = llm.calls
    assert first["messages"] == list(TURN.messages)
    assert [message["role"] for message in second["messages"][-2:]] == ["assistant", "user"]
    assert "is rude" in second["messages"][-1]["content"]
    assert second["temperature"] == 0.0


@pytest.mark.slow
def test_a_framework_with_its_own_client() -> None:
    """pydantic-ai reaches the model through the bridge: its instructions, its tool, the result of it, its history."""
    pytest.importorskip("pydantic_ai", reason="pydantic-ai is not installed")
    names: dict[str, Any] = {}
    exec(compile(example("python", "pydantic_ai"), "docs/agents.md", "exec"), names)
    asked = LlmReply("", (ToolCall("c1", "authority_of", '{"name": "Ana"}'),), "tool_calls", 5, 6)
    llm = RecordingLlm(asked, LlmReply("Ana has 9", (), "stop", 7, 8), LlmReply("bye"))

    async def run() -> list[str]:
        bridge = Bridge()
        try:
            agent = names["Framework"](replace(CONTEXT, endpoint=await bridge.open_episode(llm)), llm)
            return [await agent.turn(TURN), await agent.turn(Turn(number=2, turns_left=0, inputs=(), messages=()))]
        finally:
            await bridge.close()

    assert asyncio.run(run()) == ["Ana has 9", "bye"]
    first, second, third = llm.calls
    assert [message["role"] for message in first["messages"]] == ["system", "user"]
    assert first["messages"][0]["content"] == CONTEXT.briefing
    assert first["tools"][0]["function"]["name"] == "authority_of"
    assert (second["messages"][-1]["role"], second["messages"][-1]["content"]) == ("tool", "9")
    assert [message["role"] for message in third["messages"]].count("assistant") == 2
