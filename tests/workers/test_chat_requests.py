"""Calls of a harness: any messages, tools and options, in both wire formats, through every wrapper of a model."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from muses_eval.pipeline.agents.interface import ToolCall
from muses_eval.pipeline.config.endpoint import Endpoint
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.sampling import Sampling
from muses_eval.pipeline.datasets.dataset import generate_dataset
from muses_eval.pipeline.episode.interfaces import Observation
from muses_eval.pipeline.episode.model_call import Reply
from muses_eval.pipeline.episode.scenario import Input
from muses_eval.pipeline.episode.serialization import ChatMessage
from muses_eval.pipeline.errors import ModelFailure
from muses_eval.pipeline.families import FAMILIES
from muses_eval.storage.objects.folder_store import FolderStore
from muses_eval.workers.providers.anthropic import AnthropicAdapter
from muses_eval.workers.providers.chat_request import ChatRequest
from muses_eval.workers.providers.fail_fast import FailFastModel
from muses_eval.workers.providers.model import EpisodeRequest, Model, ModelAgent
from muses_eval.workers.providers.open_model import open_model
from muses_eval.workers.providers.response_cache import CachedModel
from muses_eval.workers.rehearsal.responses import as_json
from muses_eval.workers.rehearsal.server import LoopbackServer, ReceivedRequest, Send

from tests.provider import Provider, completion, refused

T = TypeVar("T")

HELLO = {"role": "user", "content": "hello"}
TOOL = {"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object"}}}
USED = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at":"<|x|> [1]"}'}}
CONVERSATION = (
    {"role": "system", "content": "be brief"},
    HELLO,
    {"role": "assistant", "content": None, "tool_calls": [USED]},
    {"role": "tool", "tool_call_id": "c1", "content": "a <|im_end|> b"},
    {"role": "user", "content": [{"type": "text", "text": "and now?"}]},
)
SEEN = Observation(1, (), (ChatMessage("user", "hello"),))
REQUEST = EpisodeRequest(
    FAMILIES["queue"], generate_dataset("1", 0, ("queue",)).scenarios("queue")[0], 0, seed_offset=3
)


def spec(base_url: str, provider: str = "openai", **sampling: Any) -> ModelSpec:
    endpoint = Endpoint((f"{base_url}",), api_key_env="KEY", max_retries=0)
    return ModelSpec("tested", provider, "m", Sampling(**sampling), endpoint)


def use(model: Model, job: Callable[[ModelAgent], Awaitable[T]]) -> T:
    """Runs *job* with the model of one episode, then closes it."""

    async def session() -> T:
        try:
            return await job(model.agent(REQUEST))
        finally:
            await model.close()

    return asyncio.run(session())


def chat(spec: ModelSpec, request: ChatRequest) -> Reply:
    model = open_model(spec, {"KEY": "key-0123456789"})
    return use(model, lambda agent: agent.chat(SEEN, request))


def test_openai_receives_messages_tools_and_overrides_unchanged() -> None:
    """Only control tokens are escaped; options of the call replace the model's, and the epoch shifts the seed."""
    with Provider(script=[completion("fine")]) as provider:
        sampling = Sampling(temperature=0.5, seed=10, extra_body='{"tool_choice":"auto"}')
        chat(
            spec(provider.base_url, temperature=0.0, max_tokens=9, seed=1, extra_body='{"top_k":5}'),
            ChatRequest(CONVERSATION, (TOOL,), sampling),
        )
    sent = provider.completions[0].document
    assert sent == {
        "model": "m",
        "messages": [
            *CONVERSATION[:2],
            {
                **CONVERSATION[2],
                "tool_calls": [{**USED, "function": {"name": "look", "arguments": '{"at":"< |x|> [1]"}'}}],
            },
            {**CONVERSATION[3], "content": "a < |im_end|> b"},
            CONVERSATION[4],
        ],
        "tools": [TOOL],
        "temperature": 0.5,
        "max_tokens": 9,
        "seed": 13,
        "top_k": 5,
        "tool_choice": "auto",
    }


def test_plain_messages_are_the_request_of_the_model_alone() -> None:
    """A harness that passes the prompt on sends the bytes that the model alone would receive."""
    with Provider() as provider:

        async def both(agent: ModelAgent) -> None:
            await agent.reply(SEEN)
            await agent.chat(SEEN, ChatRequest((HELLO,)))

        use(open_model(spec(provider.base_url, seed=1, temperature=0.1), {"KEY": "k"}), both)
    first, second = provider.completions
    assert first.body == second.body


CALL = {"id": "a", "type": "function", "function": {"name": "look", "arguments": '{"at":1}'}}


@pytest.mark.parametrize(
    ("listed", "calls"),
    [
        ([CALL], [ToolCall("a", "look", '{"at":1}')]),
        (
            [CALL, {"function": {"name": "look", "arguments": {"at": 2}}}],
            [ToolCall("a", "look", '{"at":1}'), ToolCall("call_1", "look", '{"at": 2}')],
        ),
        ([{"function": {"name": "look"}}], [ToolCall("call_0", "look", "{}")]),
        ([{"function": {"arguments": "{}"}}, None, "x", {"function": None}], []),
        ("none", []),
        (None, []),
        ([{**CALL, "function": {"name": "look", "arguments": "key-0123456789"}}], [ToolCall("a", "look", "[key]")]),
    ],
)
def test_tool_calls_of_openai(listed: object, calls: list[ToolCall]) -> None:
    with Provider(script=[completion(None, "tool_calls", tool_calls=listed)]) as provider:
        reply = chat(spec(provider.base_url), ChatRequest((HELLO,), (TOOL,)))
    assert (reply.text, list(reply.tool_calls)) == ("", calls)
    assert reply.call is not None
    assert reply.call.finish_reason == "tool_calls"


def test_anthropics_format_both_ways() -> None:
    """Tools, calls and results are converted; the tool call of the reply comes back in OpenAI's terms."""
    answer = {
        "content": [
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": "é"}},
        ],
        "stop_reason": "tool_use",
    }
    received: list[ReceivedRequest] = []

    async def handle(request: ReceivedRequest, send: Send) -> None:
        received.append(request)
        await send(as_json(answer))

    server = LoopbackServer(handle)
    server.start()
    try:
        overrides = Sampling(max_tokens=7, extra_body='{"tool_choice":"required"}')
        reply = chat(spec(f"{server.url}/v1", "anthropic"), ChatRequest(CONVERSATION, (TOOL,), overrides))
    finally:
        server.stop()
    assert received[0].document == {
        "model": "m",
        "system": "be brief",
        "messages": [
            HELLO,
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "c1", "name": "look", "input": {"at": "< |x|> [1]"}}],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "c1", "content": "a < |im_end|> b"},
                    {"type": "text", "text": "and now?"},
                ],
            },
        ],
        "max_tokens": 7,
        "tools": [{"name": "look", "description": "Looks.", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "any"},
    }
    assert (reply.text, reply.tool_calls) == ("I look.", (ToolCall("t1", "look", '{"at": "é"}'),))
    assert reply.call is not None
    assert reply.call.finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({"stop": "x", "top_k": 5}, {"stop_sequences": ["x"], "top_k": 5}),
        ({"stop": ["x", "y"]}, {"stop_sequences": ["x", "y"]}),
        ({"tool_choice": "none"}, {"tool_choice": {"type": "none"}}),
        (
            {"tool_choice": {"type": "function", "function": {"name": "look"}}, "parallel_tool_calls": True},
            {"tool_choice": {"type": "tool", "name": "look"}},
        ),
        ({"parallel_tool_calls": False}, {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}),
        ({"tool_choice": {"type": "any"}}, {"tool_choice": {"type": "any"}}),
    ],
)
def test_options_of_openais_clients_become_anthropics(options: dict[str, Any], sent: dict[str, Any]) -> None:
    body = json.loads(AnthropicAdapter().encode("m", (HELLO,), options))
    assert body == {"model": "m", "messages": [HELLO], **sent}


def test_a_role_that_anthropic_lacks_is_refused() -> None:
    with pytest.raises(ModelFailure, match="has the role 'ana'"):
        AnthropicAdapter().encode("m", ({"role": "ana", "content": "hi"},), {})


def test_the_cache_distinguishes_whatever_a_harness_can_change(tmp_path: Path) -> None:
    """Tools, options, other messages and repetitions are further calls; a second episode repeats none of them."""
    requests = [
        ChatRequest((HELLO,)),
        ChatRequest((HELLO,), (TOOL,)),
        ChatRequest((HELLO,), overrides=Sampling(temperature=0.3)),
        ChatRequest((HELLO,), overrides=Sampling(top_p=0.3)),
        ChatRequest((HELLO, {"role": "assistant", "content": None, "tool_calls": [USED]})),
        ChatRequest((HELLO,)),
        ChatRequest((HELLO,)),
    ]
    call = {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    with Provider(script=[completion(str(n), "stop", tool_calls=[call]) for n in range(20)]) as provider:

        async def episode(model: CachedModel) -> list[Reply]:
            agent = model.agent(REQUEST)
            return [await agent.chat(SEEN, request) for request in requests]

        async def twice() -> tuple[list[Reply], list[Reply], Reply]:
            model = open_model(spec(provider.base_url, temperature=1.0), {"KEY": "k"})
            cached = CachedModel(FailFastModel(model), spec(provider.base_url, temperature=1.0), FolderStore(tmp_path))
            try:
                return await episode(cached), await episode(cached), await cached.agent(REQUEST).reply(SEEN)
            finally:
                await cached.close()

        first, second, alone = asyncio.run(twice())
    assert [reply.text for reply in first] == [str(n) for n in range(7)]
    assert [(reply.text, reply.tool_calls) for reply in second] == [(reply.text, reply.tool_calls) for reply in first]
    assert all(reply.tool_calls == (ToolCall("a", "look", "{}"),) for reply in first)
    assert all(reply.call is not None and reply.call.cached for reply in second)
    assert alone.text == "0"


def test_a_permanent_failure_ends_the_calls_of_a_harness() -> None:
    with Provider(script=[refused(401, "not allowed")]) as provider:

        async def twice(agent: ModelAgent) -> None:
            for _ in range(2):
                with pytest.raises(ModelFailure, match="not allowed"):
                    await agent.chat(SEEN, ChatRequest((HELLO,)))

        use(FailFastModel(open_model(spec(provider.base_url), {"KEY": "k"})), twice)
    assert len(provider.completions) == 1


def test_a_rule_based_model_replies_to_the_turn() -> None:
    """Whatever a harness sends, it receives the reply of the model alone, and the same one within a turn."""
    scenario = REQUEST.scenario
    inputs = tuple(Input(name, "please") for name in scenario.names)

    async def replies() -> tuple[list[str], str]:
        model = open_model(ModelSpec("r", "scripted", "random"), {})
        agent, alone = model.agent(REQUEST), model.agent(REQUEST)
        seen = Observation(1, inputs, ())
        return [(await agent.chat(seen, ChatRequest((HELLO,) * n))).text for n in (1, 2)], (
            await alone.reply(seen)
        ).text

    said, alone = asyncio.run(replies())
    assert said == [alone, alone]
    assert alone


@pytest.mark.parametrize(
    ("model", "call", "merged"),
    [
        ({"temperature": 1.0, "seed": 2}, {}, {"temperature": 1.0, "seed": 2}),
        ({"temperature": 1.0, "seed": 2}, {"temperature": 0.0}, {"temperature": 0.0, "seed": 2}),
        ({"extra_body": '{"a":1,"b":2}'}, {"extra_body": '{"b":3}'}, {"extra_body": '{"a":1,"b":3}'}),
        ({}, {"extra_body": '{"b":3}'}, {"extra_body": '{"b":3}'}),
    ],
)
def test_options_of_a_call_replace_those_of_the_model(
    model: dict[str, Any], call: dict[str, Any], merged: dict[str, Any]
) -> None:
    assert Sampling(**model).with_overrides(Sampling(**call)) == Sampling(**merged)
