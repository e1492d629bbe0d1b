"""Streamed replies: joined to the reply that the server would have sent whole, and never taken for one when cut off."""

import asyncio
import json
from dataclasses import replace
from typing import cast

import pytest
from muses_eval.pipeline.config.endpoint import Endpoint
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.sampling import Sampling
from muses_eval.pipeline.episode.interfaces import Observation
from muses_eval.pipeline.episode.model_call import Call, Reply
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.serialization import ChatMessage
from muses_eval.pipeline.errors import FailureKind, ModelFailure
from muses_eval.pipeline.families.family import Family
from muses_eval.workers.providers.adapter import Adapter, NoCompletionError
from muses_eval.workers.providers.anthropic import AnthropicAdapter
from muses_eval.workers.providers.event_stream import read_events
from muses_eval.workers.providers.model import EpisodeRequest
from muses_eval.workers.providers.open_model import open_model
from muses_eval.workers.providers.openai import OpenAIAdapter
from muses_eval.workers.rehearsal.anthropic_format import message_stream
from muses_eval.workers.rehearsal.fault_profile import FaultProfile
from muses_eval.workers.rehearsal.openai_format import chat_stream
from muses_eval.workers.rehearsal.provider import RehearsalProvider
from muses_eval.workers.rehearsal.responses import Response, as_events

from tests.provider import Provider, completion, refused

REQUEST = EpisodeRequest(cast("Family[object]", None), cast("Scenario[object]", None), 5, seed_offset=0)
TEXT = "Grüße\u2028 an alle: 你好 {[]} data: [DONE]\n\nevent: x"
USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 3}}
OPENAI = chat_stream(TEXT, "length", USAGE)
COUNTS = {"input_tokens": 4, "cache_read_input_tokens": 3, "output_tokens": 5}
ANTHROPIC = message_stream({"type": "message", "stop_reason": "max_tokens", "usage": COUNTS}, TEXT)


def spec_for(base_url: str, provider: str = "openai", sampling: Sampling | None = None) -> ModelSpec:
    endpoint = Endpoint((base_url,), max_retries=0, stream=True)
    return ModelSpec("tested", provider, "m", sampling or Sampling(), endpoint)


def reply_of(spec: ModelSpec) -> tuple[Reply, Call]:
    async def job() -> Reply:
        model = open_model(spec, {})
        try:
            return await model.agent(REQUEST).reply(Observation(1, (), (ChatMessage("user", "hello"),)))
        finally:
            await model.close()

    reply = asyncio.run(job())
    assert reply.call is not None
    return reply, reply.call


def received(body: bytes) -> Response:
    return replace(OPENAI, body=body)


@pytest.mark.parametrize(("adapter", "answer"), [(OpenAIAdapter(), OPENAI), (AnthropicAdapter(), ANTHROPIC)])
def test_no_beginning_of_a_stream_is_a_shorter_reply(adapter: Adapter, answer: Response) -> None:
    """Cut at any byte, a stream is refused, or has the whole text because only its last events are missing."""
    whole = adapter.completion(adapter.join(read_events(answer.body)))
    assert (whole.text, whole.finish_reason) == (TEXT, "length")
    assert (whole.prompt_tokens, whole.completion_tokens, whole.cached_tokens) == (7, 5, 3)
    complete = 0
    for length in range(len(answer.body)):
        try:
            cut = adapter.completion(adapter.join(read_events(answer.body[:length])))
        except NoCompletionError:
            continue
        complete += 1
        assert (cut.text, cut.finish_reason) == (TEXT, "length")
    assert complete < len(answer.body) / 3


def test_a_stream_is_requested_and_recorded_like_a_whole_reply() -> None:
    with Provider(script=[OPENAI]) as provider:
        reply, call = reply_of(spec_for(provider.base_url))
    assert (reply.text, call.finish_reason, call.prompt_tokens, call.completion_tokens) == (TEXT, "length", 7, 5)
    (request,) = provider.completions
    assert request.document["stream"] is True
    assert request.document["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_both_formats_stream_over_http(provider: str) -> None:
    """The rehearsal's server streams when it is asked to; tokens are those that it has counted."""
    with RehearsalProvider(FaultProfile()) as server:
        reply, call = reply_of(spec_for(server.base_url(), provider, Sampling(max_tokens=3)))
        (logged,) = server.log.entries
    assert reply.text
    assert (call.finish_reason, call.completion_tokens, call.prompt_tokens) == ("length", 3, logged.prompt_tokens)


EVENTS = OPENAI.body.split(b"\n\n")


@pytest.mark.parametrize(
    ("answer", "kind", "problem"),
    [
        (replace(OPENAI, ending="cut_off"), "transport", "Payload"),
        (received(b"\n\n".join(EVENTS[:3]) + b"\n\n"), "server", "the stream of events ended before the completion"),
        (received(OPENAI.body[: len(EVENTS[0]) + 30]), "server", "expected JSON in each event of the stream"),
        (received(b""), "server", "the stream of events ended before the completion"),
        (received(b"data: [DONE]\n\n"), "server", "expected choices[0].message"),
        (received(EVENTS[0] + b'\n\ndata: {"error": {"message": "engine died"}}\n\n'), "server", "engine died"),
        (received(b'data: {"error": {"message": "slow down", "code": 429}}\n\n'), "rate_limit", "slow down"),
        (received(b'data: {"choices": [{"delta": {}, "finish_reason": "error"}]}\n\n'), "server", "'error'"),
    ],
)
def test_a_broken_stream_is_a_failure(answer: Response, kind: FailureKind, problem: str) -> None:
    with Provider(script=[answer]) as provider, pytest.raises(ModelFailure) as caught:
        reply_of(spec_for(provider.base_url))
    assert caught.value.kind == kind
    assert problem in str(caught.value)


def test_an_error_in_the_middle_of_anthropics_stream() -> None:
    body = b'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}\n\n'
    adapter = AnthropicAdapter()
    error = adapter.error(adapter.join(read_events(ANTHROPIC.body[:300].rpartition(b"\n\n")[0] + b"\n\n" + body)))
    assert error is not None
    assert (error.message, error.code) == ("busy", "overloaded_error")


def test_forms_of_events() -> None:
    """Comments, names, other line ends, data in several lines, and an end without an empty line are all read."""
    body = b': waiting\r\n\r\nevent: x\rdata:{"a":\rdata: 1}\r\rid: 4\n\ndata: "\xe2\x80\xa8"\n\ndata: [DONE]'
    assert list(read_events(body)) == [{"a": 1}, "\u2028", "[DONE]"]


def test_a_server_may_answer_as_a_whole_or_refuse_to_count() -> None:
    """A server that ignores ``stream`` is understood; one that refuses ``stream_options`` is asked without them."""
    refusal = refused(400, "Unrecognized request argument supplied: stream_options")
    with Provider(script=[completion("whole")]) as whole, Provider(script=[refusal, OPENAI]) as strict:
        assert reply_of(spec_for(whole.base_url))[0].text == "whole"
        assert reply_of(spec_for(strict.base_url))[0].text == TEXT
    assert [("stream" in r.document, "stream_options" in r.document) for r in strict.completions] == [
        (True, True),
        (True, False),
    ]


def test_tool_calls_are_joined() -> None:
    """Both formats send the name of a call once and its arguments in pieces, for several calls at once."""
    deltas = [
        [{"index": 0, "id": "a", "function": {"name": "look", "arguments": ""}}],
        [{"index": 1, "id": "b", "function": {"name": "ask"}}, {"index": 0, "function": {"arguments": '{"x":'}}],
        [{"index": 0, "function": {"arguments": " 1}"}}],
    ]
    chunks = [{"choices": [{"index": 0, "delta": {"tool_calls": delta}}]} for delta in deltas]
    stream = as_events(chunks, end="[DONE]")
    joined = json.loads(json.dumps(OpenAIAdapter().join(read_events(stream.body))))
    assert [(call["id"], call["function"]) for call in joined["choices"][0]["message"]["tool_calls"]] == [
        ("a", {"name": "look", "arguments": '{"x": 1}'}),
        ("b", {"name": "ask", "arguments": ""}),
    ]
    block = {"type": "tool_use", "id": "a", "name": "look", "input": {}}
    pieces = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", '{"x":', " 1}")]
    events: list[dict[str, object]] = [
        {"type": "message_start", "message": {"role": "assistant"}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *({"type": "content_block_delta", "index": 0, "delta": piece} for piece in pieces),
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
        {"type": "message_stop"},
    ]
    message = json.loads(json.dumps(AnthropicAdapter().join(read_events(as_events(events).body))))
    assert message["content"] == [{**block, "input": {"x": 1}}]
