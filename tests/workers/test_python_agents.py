"""Agents in Python play episodes: what they do wrong is theirs, what their model or machine does wrong is no score."""

import asyncio
import gc
import json
import logging
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import pytest
from muses_eval.pipeline.agents.agent_spec import AgentSpec
from muses_eval.pipeline.config.endpoint import Endpoint
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.prices import Prices
from muses_eval.pipeline.datasets.dataset import generate_dataset
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.episode.event import Event
from muses_eval.storage.objects.agent_archive import archive_key, code_digest, pack_code
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.shards import read_shard
from muses_eval.workers.agents import loop_watch
from muses_eval.workers.agents.chat_arguments import chat_request
from muses_eval.workers.agents.event_log import LOG_CHARS, EventLog
from muses_eval.workers.agents.loop_watch import LoopWatch
from muses_eval.workers.agents.own_time import OwnTime
from muses_eval.workers.play.shard_spec import ShardSpec
from muses_eval.workers.play.shard_summary import ShardSummary
from muses_eval.workers.play.shard_worker import ShardWorker
from muses_eval.workers.rehearsal.responses import as_json
from muses_eval.workers.rehearsal.server import LoopbackServer, ReceivedRequest, Send

from tests.provider import Provider, completion, failed
from tests.workers.test_play_shard import ORACLE, first_of, spec

MEETING = generate_dataset("1", 0, ("meeting",))
PASSING = """
class Agent:
    def __init__(self, context, llm):
        self.llm = llm

    async def turn(self, turn):
        return (await self.llm.chat(turn.messages)).text
"""
PLAIN = """
class Agent:
    def __init__(self, context, llm):
        self.llm = llm

    def turn(self, turn):
        return self.llm.chat(turn.messages).text
"""


HEAD = "import asyncio, sys, threading, time\nfrom muses_eval.agents import *\n"


def agent(body: str) -> str:
    """Returns an agent whose coroutine ``turn`` has this body."""
    return HEAD + PASSING.partition("        return")[0] + indent(dedent(body), " " * 8)


def function(body: str) -> str:
    """Returns an agent whose ordinary function ``turn`` has this body."""
    return HEAD + PLAIN.partition("        return")[0] + indent(dedent(body), " " * 8)


def with_agent(shard: ShardSpec, code: str | Mapping[str, str], **fields: Any) -> ShardSpec:
    """Stores the code of an agent, and returns the shard with this agent."""
    files = {"agent.py": code} if isinstance(code, str) else code
    packed = {name: text.encode() for name, text in files.items()}
    digest = code_digest(packed)
    open_store(shard.store).put_if_absent(archive_key(digest), pack_code(packed))
    chosen = AgentSpec(
        name="tried", kind="python", target="agent:Agent", code=digest, bundle=archive_key(digest), **fields
    )
    return replace(shard, agent=chosen)


def play(*shards: ShardSpec) -> list[ShardSummary]:
    """Plays shards in one worker, at the same time."""

    async def job() -> list[ShardSummary]:
        worker = ShardWorker({})
        try:
            return await asyncio.gather(*map(worker.run, shards))
        finally:
            await worker.close()

    return asyncio.run(job())


def played(shard: ShardSpec) -> list[Episode]:
    play(shard)
    return read_shard(open_store(shard.store), shard.key)


def first(tmp_path: Path, code: str | Mapping[str, str], model: ModelSpec = ORACLE, **fields: Any) -> Episode:
    """Returns one episode of one turn, played by an agent."""
    (episode,) = played(with_agent(first_of(spec(tmp_path, model), 1), code, **fields))
    return episode


def at(provider: Provider, **endpoint: Any) -> ModelSpec:
    limits = {"max_retries": 0, **endpoint}
    return ModelSpec("m", "openai", "m", endpoint=Endpoint((provider.base_url,), **limits), prices=Prices(1.0, 2.0))


def errors(episode: Episode) -> list[str]:
    return [event.text for event in episode.events if event.kind == "error"]


# Agents that do their work


@pytest.mark.parametrize("code", [PASSING, PLAIN], ids=["coroutine", "function"])
@pytest.mark.parametrize("family", ["queue", "access"])
def test_an_agent_that_only_passes_on_scores_as_the_model_alone(tmp_path: Path, code: str, family: str) -> None:
    """Prompts, replies and turns are those of the model alone; the record names the agent."""
    alone = played(spec(tmp_path / "chat", family=family))
    passed = played(with_agent(spec(tmp_path / "agent", family=family), code))
    assert [e.scores for e in passed] == [e.scores for e in alone]
    assert [e.messages for e in passed] == [e.messages for e in alone]
    assert {(e.model, e.base_model, e.agent, e.flags) for e in passed} == {
        ("scripted/oracle + tried", "scripted/oracle", "tried", ())
    }
    assert all(len(e.events) == e.turns for e in passed)


def test_calls_are_recorded_with_their_place(tmp_path: Path) -> None:
    """Every call has its turn, step, tokens and cost; the trace has the replies, with calls of tools."""
    call = {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    code = agent("""
        first = await self.llm.chat(turn.messages, tools=[{"type": "function", "function": {"name": "look"}}], seed=3)
        assert first.tool_calls == (ToolCall("a", "look", "{}"),) and first.finish_reason == "tool_calls"
        asked = {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}
        said = {"role": "assistant", "content": first.text, "tool_calls": [asked]}
        answer = {"role": "tool", "tool_call_id": "a", "content": "seen"}
        second = await self.llm.chat([*turn.messages, said, answer], temperature=0.5)
        return second.text + str(second.prompt_tokens)
    """)
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    script = [completion("hm", "tool_calls", usage, tool_calls=[call]), completion("done", "stop", usage)]
    with Provider(script=script) as provider:
        episode = first(tmp_path, code, at(provider))
    assert episode.messages[-1].content == "done10"
    assert [(c.role, c.turn, c.step, c.prompt_tokens, c.finish_reason) for c in episode.calls] == [
        ("agent", 1, 1, 10, "tool_calls"),
        ("agent", 1, 2, 10, "stop"),
    ]
    assert episode.cost_usd == pytest.approx(2 * (10 * 1.0 + 5 * 2.0) / 1e6)
    assert episode.events == (Event(1, 1, "call", "hm\n[tool call] look({})"), Event(1, 2, "call", "done"))
    one, two = (request.document for request in provider.completions)
    assert (one["seed"], one["tools"][0]["function"]["name"], two["temperature"]) == (3, "look", 0.5)
    assert [message["role"] for message in two["messages"][-2:]] == ["assistant", "tool"]


def test_what_an_agent_receives(tmp_path: Path) -> None:
    """The episode, and per turn the inputs with their senders, the turns that are left and the whole prompt."""
    code = """
import json
class Agent:
    def __init__(self, context, llm, *, word):
        self.context, self.word = context, word

    async def turn(self, turn):
        c = self.context
        own = {input.session for input in turn.inputs} == {f"{c.episode_id}/{input.sender}" for input in turn.inputs}
        c.log(json.dumps([self.word, c.family, len(c.principals), c.max_turns, own, c.facts is not None,
                          turn.number, turn.turns_left, len(turn.messages), turn.messages[0]["content"] == c.briefing]))
        return ""
"""
    shard = with_agent(first_of(spec(tmp_path, family="access"), 1), code, options='{"word":"w"}', facts="structured")
    (episode,) = played(shard)
    seen = [json.loads(event.text) for event in episode.events]
    people = len(shard.scenarios[episode.scenario_id].principals)
    turns = seen[0][3]
    assert seen[0] == ["w", "access", people, turns, True, True, 1, turns - 1, 2, True]
    assert episode.facts == "structured"


def test_a_reply_in_fields_is_what_the_family_reads(tmp_path: Path) -> None:
    code = """
from muses_eval.agents import TurnReply
class Agent:
    def __init__(self, context, llm):
        self.names = [principal.name for principal in context.principals]

    def turn(self, turn):
        return TurnReply(to={self.names[0]: "hello"}) if turn.number == 1 else TurnReply(shared="end", done=True)
"""
    (episode,) = played(with_agent(first_of(spec(tmp_path, family="access"), 1), code))
    name = next(m.audience[0] for m in episode.messages if m.content == "hello")
    assert name in {message.sender for message in episode.messages}
    assert episode.turns == 2
    assert episode.flags == ()


def test_time_in_which_the_model_replies_is_not_the_agents(tmp_path: Path) -> None:
    """The time-out is shorter than the reply of the model, which both kinds of agents wait for."""
    with Provider(latency_s=0.5) as provider:
        for number, code in enumerate((PASSING, PLAIN)):
            assert first(tmp_path / str(number), code, at(provider), turn_timeout_s=0.3).flags == ("unparsed",)


def test_the_stopwatch_stands_still_while_the_agent_waits() -> None:
    now = [0.0]
    watch = OwnTime(lambda: now[0])
    for seconds, waits in ((1.0, 0), (2.0, 1), (4.0, 2), (8.0, 1), (16.0, 0)):
        if waits == 0:
            now[0] += seconds
        elif waits == 1:
            with watch:
                now[0] += seconds
        else:
            with watch, watch:
                now[0] += seconds
                assert watch.waiting
    assert (watch.seconds, watch.waiting) == (17.0, False)
    watch.restart()
    assert watch.seconds == 0.0


def test_agents_with_equal_file_names_do_not_meet(tmp_path: Path) -> None:
    """Each finds its own neighbours, also when it imports them late, by package, or under the name of a library."""
    code = """
import helpers
import json
from parts import piece
from parts.piece import text

class Agent:
    def __init__(self, context, llm):
        from helpers import late
        self.said = f"{helpers.WHO} {late()} {piece.text()} {text()} {json.WHO}"

    def turn(self, turn):
        import helpers as again
        assert again is helpers
        return self.said
"""
    shards = []
    for who in ("one", "two"):
        files = {
            "agent.py": code,
            "helpers.py": f"import os.path\nWHO = {who!r}\ndef late():\n    import deep\n    return deep.WHO\n",
            "deep.py": f"from collections import Counter\nWHO = {who!r}\n",
            "json.py": f"WHO = {who!r}\n",
            "parts/__init__.py": "",
            "parts/piece.py": "from . import other\nimport helpers\ndef text():\n    return other.WHO + helpers.WHO\n",
            "parts/other.py": f"WHO = {who!r}\n",
        }
        shards.append(with_agent(first_of(spec(tmp_path / who), 1), files))
    before = set(sys.modules)
    play(*shards)
    said = [read_shard(open_store(shard.store), shard.key)[0].messages[-1].content for shard in shards]
    assert said == [" ".join((who, who, who * 2, who * 2, who)) for who in ("one", "two")]
    assert not {name for name in set(sys.modules) - before if "agent_" in name and name.startswith("_muses")}
    assert json.dumps({}) == "{}"


def test_an_agent_that_is_a_service(tmp_path: Path) -> None:
    """It has the same sessions and events, and its log lines are in the trace."""

    async def handle(request: ReceivedRequest, send: Send) -> None:
        session = request.document["inputs"][0]["session"]
        await send(as_json({"text": "from afar", "log": [session]}))

    server = LoopbackServer(handle)
    server.start()
    try:
        shard = first_of(spec(tmp_path), 1)
        (episode,) = played(replace(shard, agent=AgentSpec(name="crew", kind="http", target=f"{server.url}/turn")))
    finally:
        server.stop()
    assert episode.messages[-1].content == "from afar"
    assert episode.events[0].text.startswith(f"{episode.episode_id}/")


def test_calls_through_the_bridge_are_calls_of_the_episode(tmp_path: Path) -> None:
    code = """
import json, urllib.request
class Agent:
    def __init__(self, context, llm):
        self.endpoint = context.endpoint

    def turn(self, turn):
        body = json.dumps({"model": self.endpoint.model, "messages": turn.messages}).encode()
        headers = {"Authorization": f"Bearer {self.endpoint.api_key}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.endpoint.base_url}/chat/completions", body, headers)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
            return json.load(answer)["choices"][0]["message"]["content"]
"""
    with Provider(reply=lambda _: "over the bridge") as provider:
        episode = first(tmp_path, code, at(provider), turn_timeout_s=30.0)
    assert errors(episode) == []
    assert episode.messages[-1].content == "over the bridge"
    assert [(call.turn, call.step) for call in episode.calls] == [(1, 1)]
    assert episode.events == (Event(1, 1, "call", "over the bridge"),)


# Agents that do something wrong


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (agent("await asyncio.sleep(1e6)"), "took longer than turn_timeout_s, 0.3 s"),
        (function("threading.Event().wait()"), "took longer"),
        (agent("while True: await asyncio.sleep(0)"), "took longer than turn_timeout_s"),
        (agent("return 'x' * 10_000_000"), "the reply has 10,000,000 bytes; at most 256,000 are read"),
        (agent("return 42"), "turn returned int; expected a text or a TurnReply"),
        (agent("return None"), "turn returned NoneType"),
        (agent("return {'text': 'hi'}"), "turn returned dict"),
        (agent("return TurnReply(to={'Nobody': 'hi'})"), "of the reply: "),
        (agent("return TurnReply(decision={'accepted_instructions': {1}})"), "of the reply: "),
        (agent("raise KeyError('lost')"), "KeyError: 'lost'"),
        (agent("sys.exit(3)"), "SystemExit: 3"),
        (agent("raise StopAsyncIteration"), "StopAsyncIteration"),
        (agent("raise asyncio.CancelledError"), "the agent cancelled its own turn"),
        (agent("await self.llm.chat([])"), "messages is empty"),
        (agent("for _ in range(10_000): await self.llm.chat(turn.messages)"), "the episode has made its 3 model calls"),
        (agent("return ''").replace("self.llm = llm", "1 / 0"), "1 / 0"),
        (function("return ''").replace("self.llm = llm", "1 / 0"), "1 / 0"),
        (function("sys.exit(3)"), "SystemExit: 3"),
        (function("raise StopIteration"), "StopIteration"),
        (function("return asyncio.sleep(0)"), "turn returned a coroutine; write it with `async def`"),
    ],
)
def test_what_an_agent_does_wrong_is_an_empty_reply(tmp_path: Path, code: str, error: str) -> None:
    """The episode is scored with an empty reply and a flag, and the trace says what was wrong."""
    episode = first(tmp_path, code, turn_timeout_s=0.3, max_calls=3)
    assert (episode.outcome, episode.messages[-1].content) == ("scored", "")
    assert "agent_error" in episode.flags
    (text,) = errors(episode)
    assert error in text
    assert "workers/agents" not in text


def test_the_traceback_has_the_agents_frames_only(tmp_path: Path) -> None:
    code = {
        "agent.py": agent("import helpers\nreturn helpers.helped()"),
        "helpers.py": "def helped():\n    raise ValueError('in the helper')\n",
    }
    (text,) = errors(first(tmp_path, code))
    lines = text.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert [line.split(",")[0].strip() for line in lines if line.startswith("  File")] == [
        'File "agent.py"',
        'File "helpers.py"',
    ]
    assert lines[-1] == "ValueError: in the helper"


@pytest.mark.parametrize(
    "code",
    [
        """
        import anyio
        host, port = self.context.endpoint.base_url.removeprefix("http://").removesuffix("/v1").split(":")
        for _ in range(20):
            stream = await anyio.connect_tcp(host, int(port))
            await stream.aclose()
        return "done"
        """,
        """
        import anyio
        for _ in range(20):
            with anyio.move_on_after(0.001):
                await anyio.sleep_forever()
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep_forever)
                await anyio.sleep(0.001)
                group.cancel_scope.cancel()
        return "done"
        """,
        """
        from openai import AsyncOpenAI
        access = self.context.endpoint
        client = AsyncOpenAI(base_url=access.base_url, api_key=access.api_key)
        for _ in range(3):
            await client.chat.completions.create(model=access.model, messages=turn.messages)
        return "done"
        """,
    ],
    ids=["connect", "scopes", "client"],
)
def test_libraries_that_cancel_parts_of_their_own_task_go_on(tmp_path: Path, code: str) -> None:
    """anyio, on which the clients of OpenAI and many frameworks stand, cancels its host task for its scopes."""
    with_context = agent(code).replace("self.llm = llm", "self.llm, self.context = llm, context")
    episode = first(tmp_path, with_context)
    assert (errors(episode), "agent_error" in episode.flags) == ([], False)
    assert next(message.content for message in episode.messages if message.sender == "agent") == "done"


def test_an_agent_that_ignores_its_cancellation_is_ended(tmp_path: Path) -> None:
    """Neither swallowing the cancellation nor calling the model without end holds the worker, or the process later."""
    for number, waits in enumerate(("asyncio.sleep(1e6)", "self.llm.chat(turn.messages)", "self.llm.chat([])")):
        body = f"while True:\n    try:\n        await {waits}\n    except BaseException:\n        pass"
        episode = first(tmp_path / str(number), agent(body), turn_timeout_s=0.1)
        assert (episode.outcome, len(errors(episode))) == ("scored", 1)
    gc.collect()  # Python ends suspended coroutines when it frees them


def test_a_function_that_does_not_return_ends_neither_turn_nor_process(tmp_path: Path) -> None:
    """Later turns are errors too, since the agent is not entered twice; a process with such a thread can end."""
    shard = first_of(spec(tmp_path, family="meeting", dataset=MEETING), 1)
    (episode,) = played(with_agent(shard, function("threading.Event().wait()"), turn_timeout_s=0.1))
    assert episode.outcome == "scored"
    assert "took longer" in errors(episode)[0]
    assert all("has not returned" in text for text in errors(episode)[1:])
    program = """
import asyncio, threading
from muses_eval.workers.agents.agent_thread import AgentThread
async def job():
    await asyncio.wait([asyncio.create_task(AgentThread("x").run(threading.Event().wait))], timeout=0.1)
    print("ended")
asyncio.run(job())
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "ended\n"


ASK = "(await self.llm.chat(turn.messages)).text"


@pytest.mark.parametrize(
    "code",
    [
        agent(f"{ASK}\nreturn {ASK}"),
        function("self.llm.chat(turn.messages)\nreturn self.llm.chat(turn.messages).text"),
        agent(f"{ASK}\ntry:\n    return {ASK}\nexcept Exception:\n    return 'invented'"),
        agent(f"while True:\n    try:\n        {ASK}\n    except LlmUnavailable:\n        await asyncio.sleep(1)"),
        agent(f"{ASK}\nawait asyncio.gather(self.llm.chat(turn.messages), asyncio.sleep(1e6))"),
    ],
    ids=["coroutine", "function", "swallows", "tries again", "waits for more"],
)
def test_an_outage_of_the_model_is_never_a_score(tmp_path: Path, code: str) -> None:
    """Whatever the agent makes of it, the episode has no score, and the call before it is recorded."""
    with Provider(script=[None, *[failed(500)] * 5]) as provider:
        episode = first(tmp_path, code, at(provider))
    assert (episode.outcome, episode.error_kind, episode.flags) == ("infra_failed", "server", ())
    assert len(provider.completions) == 2
    assert [(call.turn, call.step) for call in episode.calls] == [(1, 1)]
    assert episode.cost_usd is not None
    assert [event.kind for event in episode.events] == ["call"]


def test_an_agent_that_calls_again_and_again_is_stopped(tmp_path: Path) -> None:
    """Ten thousand calls cost as many as the configuration allows."""
    body = """
        for _ in range(10_000):
            try:
                await self.llm.chat(turn.messages)
            except TooManyCalls:
                pass
        return "done"
    """
    with Provider() as provider:
        episode = first(tmp_path, agent(body), at(provider), max_calls=3)
    assert (len(provider.completions), len(episode.calls)) == (3, 3)
    assert "further calls" in errors(episode)[0]


def test_what_an_agent_prints_is_in_the_trace_without_secrets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lines of print, stderr and log arrive in order, from coroutines and functions; credentials are masked."""
    body = """
        print("one", end=" ")
        print("line")
        print("to stderr", file=sys.stderr)
        await asyncio.to_thread(print, "from a thread")
        print("key sk-ant-api03-" + "aB3" * 12)
        print("no end", end="")
        return ""
    """
    episode = first(tmp_path / "a", agent(body))
    assert [event.text for event in episode.events] == [
        "one line",
        "to stderr",
        "from a thread",
        "key [credential]",
        "no end",
    ]
    assert "credential_masked" in episode.flags
    plain = first(tmp_path / "b", PLAIN.replace("return self", "print('plain')\n        return self"))
    assert [event.text for event in plain.events if event.kind == "log"] == ["plain"]
    assert capsys.readouterr() == ("", "")


def test_a_flood_of_lines_is_bounded(tmp_path: Path) -> None:
    body = "print('x' * 10_000_000)\nfor number in range(100_000): print(number)\nreturn ''"
    events = first(tmp_path, agent(body)).events
    assert sum(len(event.text) for event in events) < LOG_CHARS + 200
    assert events[0].text.endswith("more characters)")
    assert "more lines were dropped; an episode keeps 64 KiB of lines" in events[-1].text
    assert len(events) < 2_100


def test_an_agent_that_blocks_its_worker_is_flagged_and_named_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loop_watch, "BLOCKED_S", 0.05)
    shard = with_agent(first_of(spec(tmp_path), 2), agent("time.sleep(0.1)\nreturn ''"))
    with caplog.at_level(logging.WARNING):
        (summary,) = play(shard)
    episodes = read_shard(open_store(shard.store), shard.key)
    assert {episode.flags for episode in episodes} == {("unparsed", "empty", "agent_blocked")}
    assert all("blocked its worker for 0." in episode.events[0].text for episode in episodes)
    assert [record.message[:32] for record in caplog.records] == ["agent tried blocked its worker f"]
    assert summary.flags == {"unparsed": 2, "empty": 2, "agent_blocked": 2}


def test_a_step_that_does_not_end_is_named_while_it_lasts(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    watch = LoopWatch(lambda: now[0])
    with watch.step("slow", lambda _: None):
        watch.look()
        now[0] = 12.0
        watch.look()
        watch.look()
    watch.look()
    named = [record.message for record in caplog.records if "has blocked" in record.message]
    assert [text[:41] for text in named] == ["agent slow has blocked its worker for 12 s"[:41]]


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        (
            "import no_such_package",
            "No module named 'no_such_package'; packages that the workers lack",
        ),
        ("class Other: pass", "AttributeError"),
    ],
)
def test_code_that_a_worker_cannot_import_is_no_score(tmp_path: Path, code: str, problem: str) -> None:
    episode = first(tmp_path, code)
    assert episode.outcome == "infra_failed"
    assert problem in str(episode.error)


def test_code_that_is_not_in_the_store_is_no_score(tmp_path: Path) -> None:
    shard = with_agent(first_of(spec(tmp_path), 1), PASSING)
    (tmp_path / str(shard.agent.bundle)).unlink()
    (episode,) = played(shard)
    assert episode.outcome == "infra_failed"
    assert str(shard.agent.bundle) in str(episode.error)


@pytest.mark.parametrize("code", [PASSING, PLAIN], ids=["coroutine", "function"])
def test_close_is_called_once_after_the_last_turn(tmp_path: Path, code: str) -> None:
    closing = code + "\n    def close(self):\n        print('closed')\n        raise ValueError('late')\n"
    episode = first(tmp_path, closing)
    assert [event.text for event in episode.events if event.kind == "log"][0::9] == ["closed"]
    assert "agent_error" not in episode.flags


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("hello", [], {}), "messages: expected a list of objects, got str"),
        ((["hello"], [], {}), r"messages\[0\]: expected an object, got str"),
        (([{"content": "x"}], [], {}), r"messages\[0\]: role: expected a text, got None"),
        (([{"role": "user", "content": 3}], [], {}), "content: expected a text or a list of parts, got int"),
        (([{"role": "tool", "content": "3"}], [], {}), "needs tool_call_id"),
        (([{"role": "assistant", "tool_calls": [{"id": 1}]}], [], {}), "tool_calls: expected a list of"),
        (([{"role": "user", "content": "x", "more": object()}], [], {}), "have to be JSON"),
        (([{"role": "user", "content": "x"}], ["look"], {}), r"tools\[0\]: expected an object"),
        (([{"role": "user", "content": "x"}], [], {"temperature": -1}), "temperature: .*greater than or equal to 0"),
        (([{"role": "user", "content": "x"}], [], {"stop": "x"}), "stop: .* extra_body"),
    ],
)
def test_wrong_arguments_of_a_call_are_named(arguments: tuple[Any, Any, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        chat_request(*arguments)


def test_a_call_does_not_change_with_the_objects_of_the_agent() -> None:
    message = {"role": "user", "content": "a \ud800", "more": [1]}
    request = chat_request([message], (), {})
    message["more"].append(2)  # type: ignore[attr-defined]
    assert request.messages == ({"role": "user", "content": "a \ufffd", "more": [1]},)


def test_lines_may_be_logged_from_any_thread() -> None:
    events = EventLog()

    async def job() -> None:
        await asyncio.gather(*(asyncio.to_thread(events.log, number) for number in range(50)))

    asyncio.run(job())
    assert sorted(int(event.text) for event in events.events) == list(range(50))
