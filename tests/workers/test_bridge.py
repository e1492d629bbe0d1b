"""The bridge offers the model of each episode as an OpenAI-compatible address, whose key names the episode."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import aiohttp
import pytest
from muses_eval.agents import LlmReply, LlmUnavailable, ModelEndpoint, ToolCall
from muses_eval.workers.agents.bridge import BLOCKED_S, Bridge
from muses_eval.workers.agents.loopback import MAX_REQUEST_BYTES

from tests.agent_samples import MODEL, RecordingLlm

QUESTION = [{"role": "user", "content": "hello"}]
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}


Received = tuple[int, str, Mapping[str, str]]
"""Status, body and headers of a response."""


async def send(
    endpoint: ModelEndpoint, body: object, key: str | None = None, path: str = "/chat/completions"
) -> Received:
    headers = _bearer(endpoint) if key is None else {"Authorization": f"Bearer {key}"}
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(endpoint.base_url + path, data=data) as response,
    ):
        return response.status, await response.text(), response.headers


def _bearer(endpoint: ModelEndpoint) -> dict[str, str]:
    return {"Authorization": f"Bearer {endpoint.api_key}"}


def with_bridge(llm: RecordingLlm, use: Callable[[Bridge, ModelEndpoint], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        bridge = Bridge(now=lambda: 1_700_000_000.5)
        try:
            return await use(bridge, await bridge.open_episode(llm))
        finally:
            await bridge.close()

    return asyncio.run(run())


def answer(llm: RecordingLlm, body: object) -> tuple[int, Any]:
    status, text, _ = with_bridge(llm, lambda _, endpoint: send(endpoint, body))
    return status, json.loads(text)


def test_a_completion_has_the_form_of_openai() -> None:
    status, document = answer(RecordingLlm(), {"model": MODEL, "messages": QUESTION})
    assert status == 200
    assert document == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "hello"},
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    }


def test_fields_of_a_request_reach_the_model() -> None:
    """Known options are arguments, further ones go to the provider; fields that are null are as good as absent."""
    llm = RecordingLlm()
    body = {
        "model": MODEL,
        "messages": QUESTION,
        "tools": [TOOL],
        "tool_choice": "required",
        "temperature": 0.5,
        "max_completion_tokens": 9,
        "response_format": {"type": "json_object"},
        "stop": None,
        "n": 1,
        "logprobs": False,
        "modalities": ["text"],
    }
    assert answer(llm, body)[0] == 200
    extra = {"tool_choice": "required", "response_format": {"type": "json_object"}}
    expected = {"messages": QUESTION, "tools": [TOOL], "temperature": 0.5, "max_tokens": 9, "extra_body": extra}
    assert llm.calls == [expected]


def test_tool_calls_come_back_whole_and_as_a_stream() -> None:
    reply = LlmReply("", (ToolCall("c1", "look_up", '{"a": 1}'), ToolCall("c2", "look_up", "{}")), "unknown")
    function = {"name": "look_up", "arguments": '{"a": 1}'}
    _, document = answer(RecordingLlm(reply), {"model": MODEL, "messages": QUESTION, "tools": [TOOL]})
    choice = document["choices"][0]
    assert (choice["finish_reason"], choice["message"]["content"], document["usage"]) == ("tool_calls", None, None)
    assert choice["message"]["tool_calls"][0] == {"id": "c1", "type": "function", "function": function}

    body = {"model": MODEL, "messages": QUESTION, "stream": True, "stream_options": {"include_usage": True}}
    _, text, headers = with_bridge(RecordingLlm(reply), lambda _, endpoint: send(endpoint, body))
    assert headers["Content-Type"] == "text/event-stream"
    *events, end, rest = text.split("\n\n")
    assert (end, rest) == ("data: [DONE]", "")
    choices = [json.loads(event.removeprefix("data: "))["choices"][0] for event in events]
    assert [call["index"] for call in choices[0]["delta"]["tool_calls"]] == [0, 1]
    assert [choice["finish_reason"] for choice in choices] == [None, "tool_calls"]


@pytest.mark.parametrize("usage", [True, False])
def test_a_stream_ends_with_the_tokens_that_it_is_asked_for(usage: bool) -> None:
    body = {"model": MODEL, "messages": QUESTION, "stream": True, "stream_options": {"include_usage": usage}}
    _, text, _ = with_bridge(RecordingLlm(), lambda _, endpoint: send(endpoint, body))
    events = [json.loads(event.removeprefix("data: ")) for event in text.split("\n\n")[:-2]]
    assert "".join(choice["delta"].get("content", "") for event in events for choice in event["choices"]) == "hello"
    assert [event["usage"]["total_tokens"] for event in events if "usage" in event] == [7] * usage


GOOD = {"model": MODEL, "messages": QUESTION}


@pytest.mark.parametrize(
    ("body", "status", "code", "text"),
    [
        (b"{", 400, "invalid_request", "no JSON"),
        (b"[" * 100_000, 400, "invalid_request", "no JSON"),
        ([], 400, "invalid_request", "no JSON object"),
        ({"messages": QUESTION}, 404, "model_not_found", f"{MODEL!r} only"),
        (GOOD | {"model": "gpt-4"}, 404, "model_not_found", "'gpt-4'"),
        (GOOD | {"messages": "hello"}, 400, "invalid_request", 'messages is "hello"; expected a list of objects'),
        (GOOD | {"messages": []}, 400, "invalid_request", "messages is []"),
        (GOOD | {"messages": [{"content": "hello"}]}, 400, "invalid_request", "a message has no role"),
        (GOOD | {"tools": ["look_up"]}, 400, "invalid_request", "tools is"),
        (GOOD | {"n": 2}, 400, "unsupported_value", "send several requests"),
        (GOOD | {"logprobs": True}, 400, "unsupported_value", "leave it out"),
        (GOOD | {"functions": [{"name": "f"}]}, 400, "unsupported_value", "use tools"),
    ],
)
def test_requests_without_a_completion_are_refused(body: object, status: int, code: str, text: str) -> None:
    llm = RecordingLlm()
    found, document = answer(llm, body)
    assert (found, document["error"]["code"], llm.calls) == (status, code, [])
    assert text in document["error"]["message"]


@pytest.mark.parametrize(
    ("reply", "status", "code"),
    [
        (LlmUnavailable("server: no completion"), 424, "model_unavailable"),
        (ValueError("temperature: expected a number"), 400, "invalid_request"),
        (LlmReply("", (), "context_overflow"), 400, "context_length_exceeded"),
        (KeyError("a bug"), 500, "internal_error"),
    ],
)
def test_calls_that_fail_are_not_to_be_repeated(reply: LlmReply | Exception, status: int, code: str) -> None:
    """Neither by the status, nor by the header that OpenAI's clients obey."""
    found, text, headers = with_bridge(RecordingLlm(reply), lambda _, endpoint: send(endpoint, GOOD))
    assert (found, json.loads(text)["error"]["code"]) == (status, code)
    assert headers["x-should-retry"] == "false"


def test_a_key_is_that_of_one_running_episode() -> None:
    """An unknown key, and the key of an episode that has ended, are refused; other episodes continue."""
    first, second = RecordingLlm(), RecordingLlm()

    async def use(bridge: Bridge, endpoint: ModelEndpoint) -> list[int]:
        other = await bridge.open_episode(second)
        assert (other.base_url, other.model) == (endpoint.base_url, MODEL)
        found = [await send(endpoint, GOOD, key) for key in ("", "sk-wrong", endpoint.api_key)]
        bridge.close_episode(endpoint)
        found += [await send(endpoint, GOOD), await send(other, GOOD), await send(other, GOOD, path="/responses")]
        return [status for status, _, _ in found]

    assert with_bridge(first, use) == [401, 401, 200, 401, 200, 404]
    assert (len(first.calls), len(second.calls)) == (1, 1)


class SlowLlm(RecordingLlm):
    """A model that never replies."""

    def __init__(self) -> None:
        super().__init__()
        self.started, self.ended = asyncio.Event(), asyncio.Event()

    async def chat(self, messages: Any, **_: Any) -> LlmReply:
        self.started.set()
        try:
            return await asyncio.Future()
        finally:
            self.ended.set()


@pytest.mark.parametrize("ending", ["episode", "client"])
def test_a_call_in_flight_ends_with_its_episode_and_with_its_client(ending: str) -> None:
    llm = SlowLlm()

    async def use(bridge: Bridge, endpoint: ModelEndpoint) -> int | None:
        sending = asyncio.create_task(send(endpoint, GOOD))
        await llm.started.wait()
        if ending == "client":
            sending.cancel()
        else:
            bridge.close_episode(endpoint)
        await asyncio.wait_for(llm.ended.wait(), 10)
        return None if ending == "client" else (await sending)[0]

    assert with_bridge(llm, use) == (None if ending == "client" else 401)


def test_an_agent_that_blocks_the_event_loop_of_its_call_gets_an_error() -> None:
    """It waits for the call on the loop that has to make it.  Its later calls work."""
    llm = RecordingLlm()

    async def use(bridge: Bridge, _: ModelEndpoint) -> tuple[int, str, int]:
        endpoint = await bridge.open_episode(llm, lambda: BLOCKED_S)
        request = Request(f"{endpoint.base_url}/chat/completions", json.dumps(GOOD).encode(), _bearer(endpoint))
        with pytest.raises(HTTPError) as refused:
            urlopen(request)  # noqa: ASYNC210 - what an agent must not do
        status, _, _ = await send(endpoint, GOOD)
        return refused.value.code, json.load(refused.value)["error"]["code"], status

    assert with_bridge(llm, use) == (400, "event_loop_blocked", 200)
    assert len(llm.calls) == 1


def test_a_body_that_is_too_large_is_refused() -> None:
    status, document = answer(RecordingLlm(), b"x" * (MAX_REQUEST_BYTES + 1))
    assert (status, document["error"]["message"]) == (413, "the body is too large; at most 32 MiB are read")


def test_calls_above_the_number_allowed_are_refused() -> None:
    llm = RecordingLlm(max_calls=5)

    async def use(_: Bridge, endpoint: ModelEndpoint) -> list[str]:
        found = await asyncio.gather(*(send(endpoint, GOOD) for _ in range(200)))
        return [json.loads(text).get("error", {}).get("code") for _, text, _ in found]

    codes = with_bridge(llm, use)
    assert (len(llm.calls), codes.count(None), codes.count("too_many_calls")) == (5, 5, 195)


def test_the_list_of_models_has_the_model_of_the_episode() -> None:
    async def use(_: Bridge, endpoint: ModelEndpoint) -> Any:
        headers = _bearer(endpoint)
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(f"{endpoint.base_url}/models") as response,
        ):
            return await response.json()

    assert [each["id"] for each in with_bridge(RecordingLlm(), use)["data"]] == [MODEL]
