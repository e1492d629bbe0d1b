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
from muses_eval.agents import LlmReply, TurnInput, TurnReply
from muses_eval.pipeline.agents.agent_spec import AgentSpec
from muses_eval.pipeline.errors import ModelFailure
from muses_eval.workers.agents.bridge import Bridge
from muses_eval.workers.agents.http_agent import AgentService
from muses_eval.workers.providers.chat_api import Effects

from tests.agent_samples import CONTEXT, TURN, RecordingLlm
from tests.provider import Provider, completion
from tests.workers.test_python_agents import at, errors, first

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
def test_a_framework_with_its_own_client(tmp_path: Path) -> None:
    """pydantic-ai reaches the model through the bridge, with its tool; its calls are those of the episode."""
    pytest.importorskip("pydantic_ai", reason="pydantic-ai is not installed")
    call = {"id": "c1", "type": "function", "function": {"name": "authority_of", "arguments": '{"name": "Nobody"}'}}
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    script = [completion(None, "tool_calls", usage, tool_calls=[call]), completion("done", "stop", usage)]
    files = {"agent.py": "from framework import Framework as Agent", "framework.py": example("python", "pydantic_ai")}
    with Provider(script=script) as provider:
        episode = first(tmp_path, files, at(provider))
    assert (errors(episode), episode.messages[-1].content) == ([], "done")
    assert [(c.turn, c.step, c.prompt_tokens, c.finish_reason) for c in episode.calls] == [
        (1, 1, 10, "tool_calls"),
        (1, 2, 10, "stop"),
    ]
    assert episode.cost_usd == pytest.approx(2 * (10 * 1.0 + 5 * 2.0) / 1e6)
    replies = [event.text.strip() for event in episode.events if event.kind == "call"]
    assert replies == ['[tool call] authority_of({"name": "Nobody"})', "done"]
    one, two = (request.document for request in provider.completions)
    assert [message["role"] for message in one["messages"]] == ["system", "user"]
    assert one["tools"][0]["function"]["name"] == "authority_of"
    assert [(message["role"], message["content"]) for message in two["messages"][-2:]] == [
        ("assistant", None),
        ("tool", "0"),
    ]
