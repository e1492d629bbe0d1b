"""Anthropic's messages against a real server on loopback: requests, responses, and every refusal."""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar, cast

import pytest
from muses_eval.pipeline.config.endpoint import Endpoint
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.sampling import Sampling
from muses_eval.pipeline.episode.interfaces import Observation
from muses_eval.pipeline.episode.model_call import Reply
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.serialization import ChatMessage, serialize
from muses_eval.pipeline.errors import FailureKind, ModelFailure
from muses_eval.pipeline.families.family import Family
from muses_eval.workers.providers.model import EpisodeRequest, Model
from muses_eval.workers.providers.open_model import open_model
from muses_eval.workers.rehearsal.responses import Response, as_json
from muses_eval.workers.rehearsal.server import LoopbackServer, ReceivedRequest, Send

T = TypeVar("T")

UNSET = Sampling()
KEY = "sk-ant-very-secret-0123"
HELLO = (ChatMessage("system", "be brief"), ChatMessage("user", "hello"))


class Anthropic:
    """A provider that gives the same answer to every request, and records the requests."""

    def __init__(self, answer: Response) -> None:
        self._answer = answer
        self._server = LoopbackServer(self._handle)
        self.requests: list[ReceivedRequest] = []

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()

    async def _handle(self, received: ReceivedRequest, send: Send) -> None:
        self.requests.append(received)
        await send(self._answer)

    def use(self, job: Callable[[Model], Awaitable[T]], sampling: Sampling = UNSET) -> T:
        """Runs *job* with the project's client of this server."""
        endpoint = Endpoint((f"{self._server.url}/v1",), api_key_env="KEY", max_retries=0)
        model = open_model(ModelSpec("tested", "anthropic", "claude-1", sampling, endpoint), {"KEY": KEY})

        async def session() -> T:
            try:
                return await job(model)
            finally:
                await model.close()

        return asyncio.run(session())

    def reply(self, prompt: tuple[ChatMessage, ...] = HELLO, sampling: Sampling = UNSET) -> Reply:
        request = EpisodeRequest(cast("Family[object]", None), cast("Scenario[object]", None), 5, seed_offset=2)
        return self.use(lambda model: model.agent(request).reply(Observation(1, (), prompt)), sampling)


def message(*blocks: object, stop_reason: object = "end_turn", usage: object = None) -> Response:
    return as_json({"type": "message", "content": list(blocks), "stop_reason": stop_reason, "usage": usage})


def text(said: str) -> dict[str, str]:
    return {"type": "text", "text": said}


def error(status: int, kind: str, text: str) -> Response:
    return as_json({"type": "error", "error": {"type": kind, "message": text}}, status)


def sent(prompt: tuple[ChatMessage, ...] = HELLO, sampling: Sampling = UNSET) -> dict[str, object]:
    with Anthropic(message(text("hi"))) as provider:
        provider.reply(prompt, sampling)
    return provider.requests[0].document


def reply_to(answer: Response, sampling: Sampling = UNSET) -> Reply:
    with Anthropic(answer) as provider:
        return provider.reply(sampling=sampling)


def finish_of(reply: Reply) -> str:
    assert reply.call is not None
    return reply.call.finish_reason


def test_the_request_as_the_server_sees_it() -> None:
    """The request has the key in its own header, the briefing apart from the messages, and a maximum length."""
    with Anthropic(message(text("hi"))) as provider:
        assert provider.reply().text == "hi"
    (received,) = provider.requests
    assert (received.method, received.path) == ("POST", "/v1/messages")
    assert (received.headers["x-api-key"], received.headers["anthropic-version"]) == (KEY, "2023-06-01")
    assert received.authorization is None
    assert received.document == {
        "model": "claude-1",
        "system": "be brief",
        "messages": [{"role": "user", "content": "hello"}],
        "max_tokens": 4096,
    }


def test_options_that_are_set_are_sent_but_for_the_seed() -> None:
    sampling = Sampling(
        temperature=0.0, top_p=0.9, max_tokens=64, seed=7, reasoning_effort="low", extra_body='{"top_k":5}'
    )
    document = sent(sampling=sampling)
    assert {name: document[name] for name in document.keys() - {"model", "system", "messages"}} == {
        "temperature": 0.0,
        "top_p": 0.9,
        "max_tokens": 64,
        "output_config": {"effort": "low"},
        "top_k": 5,
    }


def test_roles_take_turns_and_nothing_is_empty() -> None:
    """Consecutive messages of one role are merged and empty messages are dropped, as the API requires."""
    prompt = (
        *HELLO,
        ChatMessage("user", "again"),
        ChatMessage("assistant", ""),
        ChatMessage("user", "there?"),
        ChatMessage("assistant", "yes"),
        ChatMessage("user", "good"),
    )
    assert sent(prompt)["messages"] == [
        {"role": "user", "content": "hello\n\nagain\n\nthere?"},
        {"role": "assistant", "content": "yes"},
        {"role": "user", "content": "good"},
    ]


def test_the_native_serialisation_is_refused_before_it_is_sent() -> None:
    """The request is refused, since without names in the roles the speakers would be unknown."""
    with Anthropic(message(text("hi"))) as provider:
        with pytest.raises(ModelFailure, match="serialisation other than native") as caught:
            provider.reply((HELLO[0], *serialize("native", [("Alice", "hello")])))
        assert (caught.value.kind, caught.value.retryable) == ("internal", False)
        assert provider.requests == []


def test_all_parts_of_the_prompt_are_counted() -> None:
    usage = {
        "input_tokens": 10,
        "cache_creation_input_tokens": 200,
        "cache_read_input_tokens": 3_000,
        "output_tokens": 7,
    }
    call = reply_to(message(text("hi"), usage=usage)).call
    assert call is not None
    assert (call.prompt_tokens, call.completion_tokens, call.cached_tokens) == (3_210, 7, 3_000)


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        (None, (None, None, None)),
        ({"input_tokens": 10, "output_tokens": 1}, (10, 1, None)),
        ({"cache_read_input_tokens": 10}, (None, None, 10)),
        ({"input_tokens": 1, "cache_read_input_tokens": "x", "output_tokens": -1}, (1, None, None)),
    ],
)
def test_counts_are_known_or_none(usage: object, counts: tuple[int | None, ...]) -> None:
    call = reply_to(message(text("hi"), usage=usage)).call
    assert call is not None
    assert (call.prompt_tokens, call.completion_tokens, call.cached_tokens) == counts


@pytest.mark.parametrize(
    ("answer", "said", "finish_reason"),
    [
        (message(text("in "), text("parts")), "in parts", "stop"),
        (message({"type": "thinking", "thinking": "hm"}, text("said"), None, 7), "said", "stop"),
        (message(), "", "stop"),
        (message(text("cut sho"), stop_reason="max_tokens"), "cut sho", "length"),
        (message(text("full"), stop_reason="model_context_window_exceeded"), "full", "length"),
        (message(text("no"), stop_reason="refusal"), "no", "content_filter"),
        (message({"type": "tool_use"}, stop_reason="tool_use"), "", "tool_calls"),
        (message(text("new"), stop_reason="a_new_one"), "new", "a_new_one"),
        (message(text("odd"), stop_reason=None), "odd", "unknown"),
        (message(text("a\ud800b")), "a\ufffdb", "stop"),
        (
            error(400, "invalid_request_error", "prompt is too long: 214315 tokens > 200000 maximum"),
            "",
            "context_overflow",
        ),
        (error(413, "request_too_large", "Request exceeds the maximum size"), "", "context_overflow"),
        (error(400, "invalid_request_error", "Output blocked by content filtering policy"), "", "content_filter"),
    ],
)
def test_what_the_agent_does_is_an_answer(answer: Response, said: str, finish_reason: str) -> None:
    reply = reply_to(answer)
    assert (reply.text, finish_of(reply)) == (said, finish_reason)


def test_reasoning_is_kept_apart_from_the_text() -> None:
    reply = reply_to(
        message({"type": "thinking", "thinking": "hm"}, text("said"), {"type": "thinking", "thinking": "!"})
    )
    assert (reply.text, reply.reasoning) == ("said", "hm!")


def test_a_length_that_fills_the_context_is_no_outcome() -> None:
    """When no prompt could ever fit, the config is wrong; this is not an outcome of the agent."""
    text = "input length and `max_tokens` exceed context limit: 200100 + 200000 > 200000, decrease input length"
    refused = error(400, "invalid_request_error", text)
    assert finish_of(reply_to(refused, Sampling(max_tokens=200_000))) == "context_overflow"
    no_prompt_fits = error(400, "invalid_request_error", "`max_tokens` exceeds context limit of 200000")
    with pytest.raises(ModelFailure, match=r"internal: .*set a smaller sampling\.max_tokens"):
        reply_to(no_prompt_fits, Sampling(max_tokens=200_000))


@pytest.mark.parametrize(
    ("answer", "kind", "retryable", "ends_model"),
    [
        (error(401, "authentication_error", "invalid x-api-key"), "auth", False, True),
        (error(403, "permission_error", "not yours"), "auth", True, False),  # once
        (error(404, "not_found_error", "model: claude-1"), "internal", True, False),
        (error(400, "invalid_request_error", "Your credit balance is too low"), "auth", False, True),
        (error(402, "billing_error", "pay first"), "auth", False, True),
        (error(400, "invalid_request_error", "max_tokens: 9 > 8, the maximum"), "internal", False, False),
        (error(429, "rate_limit_error", "slow down"), "rate_limit", True, False),
        (error(500, "api_error", "it broke"), "server", True, False),
        (error(504, "timeout_error", "too slow"), "timeout", True, False),
        (error(529, "overloaded_error", "busy"), "rate_limit", True, False),
        (as_json({"content": "text"}), "server", True, False),
        (
            as_json({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}),
            "rate_limit",
            True,
            False,
        ),
    ],
)
def test_each_failure_has_its_kind(answer: Response, kind: FailureKind, *, retryable: bool, ends_model: bool) -> None:
    with pytest.raises(ModelFailure) as caught:
        reply_to(answer)
    failure = caught.value
    assert (failure.kind, failure.retryable, failure.ends_model) == (kind, retryable, ends_model)
    assert "tested at http://127.0.0.1:" in failure.problem


def test_the_key_is_in_no_failure() -> None:
    with pytest.raises(ModelFailure) as caught:
        reply_to(error(401, "authentication_error", f"invalid x-api-key {KEY}"))
    assert KEY not in repr(caught.value) + str(caught.value)


def test_a_probe_asks_for_the_models_with_the_key() -> None:
    with Anthropic(as_json({"data": []})) as provider:
        provider.use(lambda model: model.probe())
    assert [(r.path, r.headers["x-api-key"]) for r in provider.requests] == [("/v1/models", KEY)]
