"""The fake provider as its clients see it, over HTTP on loopback."""

import asyncio
import http.client
import json
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from muses_eval.pipeline.config.endpoint import Endpoint
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.datasets.dataset import generate_dataset
from muses_eval.pipeline.episode.interfaces import Observation
from muses_eval.pipeline.episode.serialization import ChatMessage
from muses_eval.pipeline.errors import ConfigError, ModelFailure
from muses_eval.pipeline.families import FAMILIES
from muses_eval.workers.providers.model import EpisodeRequest
from muses_eval.workers.providers.open_model import open_model
from muses_eval.workers.rehearsal.fault_profile import (
    Distribution,
    Fault,
    FaultKind,
    FaultProfile,
    HardLimits,
    Latency,
    LimitChange,
)
from muses_eval.workers.rehearsal.provider import RehearsalProvider
from muses_eval.workers.rehearsal.request_log import TokenUsage

BRIEF = Distribution(median=10.0)
CHAT = {"model": "m", "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello."}]}
MESSAGES = {"model": "m", "max_tokens": 500, "system": "Be brief.", "messages": [{"role": "user", "content": "Hello."}]}
SCENARIO = generate_dataset("1", 0, ("queue",)).scenarios("queue")[0]
ANTHROPIC = {"x-api-key": "k", "anthropic-version": "2023-06-01"}


class Got(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def connected(provider: RehearsalProvider, timeout_s: float = 30.0) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(provider.base_url()).port or 0, timeout=timeout_s)
    try:
        yield connection
    finally:
        connection.close()


def ask(
    provider: RehearsalProvider,
    document: object = CHAT,
    path: str = "/v1/chat/completions",
    headers: Mapping[str, str] | None = None,
) -> Got:
    with connected(provider) as connection:
        connection.request("POST", path, json.dumps(document), dict(headers or {}))
        response = connection.getresponse()
        return Got(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())


def test_openais_wire_format() -> None:
    with RehearsalProvider(FaultProfile(reply_tokens=BRIEF)) as provider:
        first, again = ask(provider).document, ask(provider).document
    assert first["object"] == "chat.completion"
    assert first["model"] == "m"
    assert first["choices"][0]["finish_reason"] == "stop"
    assert first["choices"][0]["message"]["role"] == "assistant"
    text = first["choices"][0]["message"]["content"]
    usage = first["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (5, -(-len(text) // 4))
    assert usage["total_tokens"] == 5 + usage["completion_tokens"]
    assert usage["prompt_tokens_details"] == {"cached_tokens": 0}
    assert again["usage"]["prompt_tokens_details"] == {"cached_tokens": 5}
    assert again["choices"] == first["choices"]
    assert again["id"] != first["id"]


def test_anthropics_wire_format() -> None:
    with RehearsalProvider(FaultProfile(reply_tokens=BRIEF)) as provider:
        first, again = (ask(provider, MESSAGES, "/v1/messages", ANTHROPIC).document for _ in range(2))
        cut = ask(provider, {**MESSAGES, "max_tokens": 2}, "/v1/messages", ANTHROPIC).document
    assert (first["type"], first["role"], first["model"], first["stop_reason"]) == (
        "message",
        "assistant",
        "m",
        "end_turn",
    )
    assert [part["type"] for part in first["content"]] == ["text"]
    assert first["usage"]["input_tokens"] == 5
    assert first["usage"]["output_tokens"] == -(-len(first["content"][0]["text"]) // 4)
    assert (again["usage"]["input_tokens"], again["usage"]["cache_read_input_tokens"]) == (0, 5)
    assert cut["stop_reason"] == "max_tokens"
    assert cut["usage"]["output_tokens"] == 2


@pytest.mark.parametrize(
    ("document", "path", "headers", "problem"),
    [
        ({**CHAT, "messages": []}, "/v1/chat/completions", {}, "messages: a list"),
        ({"messages": CHAT["messages"]}, "/v1/chat/completions", {}, "model: a name"),
        ({**CHAT, "stream": "yes"}, "/v1/chat/completions", {}, "stream"),
        ([], "/v1/chat/completions", {}, "a JSON object"),
        (MESSAGES, "/v1/messages", {}, "anthropic-version"),
        ({**MESSAGES, "max_tokens": None}, "/v1/messages", ANTHROPIC, "max_tokens"),
        ({**MESSAGES, "messages": [{"role": "Ann", "content": "x"}]}, "/v1/messages", ANTHROPIC, "messages.0.role"),
    ],
)
def test_what_makes_no_sense_is_refused(document: object, path: str, headers: dict[str, str], problem: str) -> None:
    with RehearsalProvider(FaultProfile()) as provider:
        got = ask(provider, document, path, headers)
        assert got.status == 400
        assert problem in got.document["error"]["message"]
        assert provider.log.totals().refused == {"bad_request": 1}


def test_other_pages() -> None:
    with RehearsalProvider(FaultProfile(), models=("a", "b")) as provider:
        with connected(provider) as connection:
            connection.request("GET", "/team/v1/models")
            listed = json.loads(connection.getresponse().read())
        assert [model["id"] for model in listed["data"]] == ["a", "b"]
        assert ask(provider, path="/v1/embeddings").status == 404
        assert provider.log.totals().asked == 0


def test_a_limit_holds_for_each_account_in_a_window_that_slides() -> None:
    clock, limits = Clock(), HardLimits(requests_per_minute=60, window_s=3)
    with RehearsalProvider(FaultProfile(limits=limits), clock=clock) as provider:

        def statuses(count: int, account: str) -> list[int]:
            return [ask(provider, path=f"/{account}/v1/chat/completions").status for _ in range(count)]

        assert statuses(2, "a") == [200, 200]
        clock.now += 2
        assert statuses(2, "a") == [200, 429]
        assert statuses(1, "b") == [200]
        clock.now += 1
        assert statuses(3, "a") == [200, 200, 429]
        assert provider.log.totals().refused == {"requests": 2}
        busiest = {one.account: one for one in provider.peak_usage()}
    assert (busiest["a"].requests, busiest["a"].requests_allowed, busiest["a"].tokens_allowed) == (5, 3, None)
    assert busiest["b"].requests == 1


def test_a_limit_of_tokens_counts_prompt_and_reply() -> None:
    with RehearsalProvider(FaultProfile(reply_tokens=BRIEF), clock=Clock()) as free:
        usage = ask(free).document["usage"]["total_tokens"]
    limits = HardLimits(tokens_per_minute=2 * usage)
    with RehearsalProvider(FaultProfile(reply_tokens=BRIEF, limits=limits), clock=Clock()) as provider:
        assert [ask(provider).status for _ in range(3)] == [200, 200, 429]
        assert provider.log.totals().refused == {"tokens": 1}


def test_limits_change_while_the_provider_serves() -> None:
    clock = Clock()
    weather = FaultProfile(
        limits=HardLimits(requests_per_minute=1),
        changes=(
            LimitChange(at_s=10, limits=HardLimits(requests_per_minute=3)),
            LimitChange(at_s=20, limits=HardLimits(requests_per_minute=1)),
        ),
    )
    with RehearsalProvider(weather, clock=clock) as provider:
        seen = []
        for _ in range(3):
            seen.append([ask(provider).status for _ in range(3)])
            clock.now += 10
    assert seen == [[200, 429, 429], [200, 200, 429], [429, 429, 429]]


@pytest.mark.parametrize(
    ("style", "name", "value"),
    [("seconds", "retry-after", "8"), ("milliseconds", "retry-after-ms", "7500"), ("none", None, None)],
)
def test_a_refusal_says_when_to_come_back(style: Any, name: str | None, value: str | None) -> None:
    clock, limits = Clock(), HardLimits(requests_per_minute=6, window_s=10, retry_after=style)
    with RehearsalProvider(FaultProfile(limits=limits), clock=clock) as provider:
        ask(provider)
        clock.now += 2.5
        got = ask(provider)
    assert got.status == 429
    assert got.document["error"]["code"] == "rate_limit_exceeded"
    assert {header: text for header, text in got.headers.items() if header.startswith("retry")} == (
        {name: value} if name else {}
    )


def test_headers_tell_limits_as_each_provider_does() -> None:
    limits = HardLimits(requests_per_minute=10, tokens_per_minute=1000)
    with RehearsalProvider(FaultProfile(limits=limits, reply_tokens=BRIEF), clock=Clock()) as provider:
        chat, message = ask(provider), ask(provider, MESSAGES, "/v1/messages", ANTHROPIC)
    used = chat.document["usage"]["total_tokens"]
    assert chat.headers["x-ratelimit-limit-requests"] == "10"
    assert chat.headers["x-ratelimit-remaining-requests"] == "9"
    assert chat.headers["x-ratelimit-reset-requests"] == "1m0s"
    assert chat.headers["x-ratelimit-limit-tokens"] == "1000"
    assert chat.headers["x-ratelimit-remaining-tokens"] == str(1000 - used)
    assert message.headers["anthropic-ratelimit-requests-limit"] == "10"
    assert message.headers["anthropic-ratelimit-requests-remaining"] == "8"
    reset = datetime.strptime(message.headers["anthropic-ratelimit-tokens-reset"], "%Y-%m-%dT%H:%M:%S%z")
    assert 50 < (reset - datetime.now(UTC)).total_seconds() <= 62
    silent = FaultProfile(limits=limits.model_copy(update={"headers": False}))
    with RehearsalProvider(silent) as provider:
        assert not [name for name in ask(provider).headers if "ratelimit" in name]


@pytest.mark.parametrize(
    ("kind", "path", "document", "error"),
    [
        ("rate_limited", "/v1/messages", MESSAGES, (429, "rate_limit_error")),
        ("server_error", "/v1/messages", MESSAGES, (529, "overloaded_error")),
        ("rate_limited", "/v1/chat/completions", CHAT, (429, "requests")),
        ("server_error", "/v1/chat/completions", CHAT, (529, "server_error")),
    ],
)
def test_errors_are_worded_as_each_provider_words_them(
    kind: FaultKind, path: str, document: object, error: tuple[int, str]
) -> None:
    with RehearsalProvider(FaultProfile(script=(Fault(kind=kind, status=529),))) as provider:
        got = ask(provider, document, path, ANTHROPIC)
        assert (got.status, got.document["error"]["type"]) == error
        assert ask(provider, document, path, ANTHROPIC).status == 200


def asked_by_a_client(provider: RehearsalProvider, timeout_s: float = 20.0) -> str:
    """Returns the kind of failure that the project's client makes of one response, or that the call was answered."""
    endpoint = Endpoint((provider.base_url(),), timeout_s=timeout_s, max_retries=0)

    async def job() -> str:
        model = open_model(ModelSpec("m", "openai", "m", endpoint=endpoint), {})
        request = EpisodeRequest(FAMILIES["queue"], SCENARIO, 0, 0)
        try:
            prompt = (ChatMessage("system", "Be brief."), ChatMessage("user", "Hello."))
            await model.agent(request).reply(Observation(1, (), prompt))
        except ModelFailure as failure:
            return failure.kind
        finally:
            await model.close()
        return "answered"

    return asyncio.run(job())


@pytest.mark.parametrize(
    ("kind", "failure"),
    [
        ("rate_limited", "rate_limit"),
        ("server_error", "server"),
        ("reset", "transport"),
        ("cut_off", "transport"),
        ("garbled", "server"),
        ("wrong_json", "server"),
        ("html", "server"),
        ("error_inside", "server"),
        ("silence", "timeout"),
    ],
)
def test_every_fault_is_one_failure_of_the_client_and_one_line_of_the_books(kind: FaultKind, failure: str) -> None:
    with RehearsalProvider(FaultProfile(script=(Fault(kind=kind),))) as provider:
        assert asked_by_a_client(provider, timeout_s=0.5 if kind == "silence" else 20.0) == failure
        assert asked_by_a_client(provider) == "answered"
    totals = provider.log.totals()
    assert (totals.asked, totals.answered) == (2, 1)
    if kind == "rate_limited":
        assert totals.refused == {"storm": 1}
    else:
        assert totals.faulted == {kind: 1}


def test_a_dripping_answer_is_a_good_one_for_those_who_wait() -> None:
    with RehearsalProvider(FaultProfile(script=(Fault(kind="drip", seconds=0.3),) * 2)) as provider:
        assert asked_by_a_client(provider) == "answered"
        assert asked_by_a_client(provider, timeout_s=0.1) == "timeout"
    totals = provider.log.totals()
    assert (totals.answered, totals.abandoned, dict(totals.faulted)) == (1, 1, {})
    assert all(entry.reason == "drip" for entry in provider.log.entries)


def test_a_client_that_goes_away_is_in_the_books() -> None:
    with RehearsalProvider(FaultProfile(latency=Latency(base=Distribution(median=30.0)))) as provider:
        with connected(provider) as connection:
            connection.request("POST", "/v1/chat/completions", json.dumps(CHAT))
            until(lambda: provider.log.totals().in_flight == 1)
        until(lambda: provider.log.totals().abandoned == 1)
    assert provider.log.totals().by_model == {}


def until(holds: Callable[[], bool]) -> None:
    for _ in range(3000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come to hold")


def test_the_books_are_exact_under_concurrency() -> None:
    """With sixteen concurrent clients and a limit of eight, the request log agrees with the responses."""
    weather = FaultProfile(
        latency=Latency(base=Distribution(least=0.0, most=0.01)),
        limits=HardLimits(concurrency=8),
        faults=(Fault(kind="server_error", share=0.2), Fault(kind="wrong_json", share=0.1)),
        seed=5,
    )
    responses: list[Got] = []

    def client() -> None:
        rng = random.Random()
        responses.extend(ask(provider, {**CHAT, "model": rng.choice("ab")}) for _ in range(20))

    with RehearsalProvider(weather) as provider:
        threads = [threading.Thread(target=client) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    totals = provider.log.totals()
    good = [got.document for got in responses if got.status == 200 and b"choices" in got.body]
    assert totals.asked == len(responses) == 320
    assert totals.refused == {"concurrency": sum(got.status == 429 for got in responses)}
    assert totals.faulted["server_error"] == sum(got.status == 500 for got in responses)
    assert totals.faulted["wrong_json"] == sum(b"items" in got.body for got in responses)
    assert totals.answered == len(good)
    assert totals.peak <= 8
    for model, tokens in totals.by_model.items():
        usages = [document["usage"] for document in good if document["model"] == model]
        prompt, completion = (sum(usage[f"{part}_tokens"] for usage in usages) for part in ("prompt", "completion"))
        assert tokens == TokenUsage(len(usages), prompt, completion)


def test_a_place_is_free_again_when_its_answer_was_sent() -> None:
    faults = tuple(Fault(kind=kind) for kind in ("cut_off", "reset"))
    with RehearsalProvider(FaultProfile(limits=HardLimits(concurrency=1), script=faults)) as provider:
        for _ in faults:
            with pytest.raises((http.client.HTTPException, OSError)):
                ask(provider)
        assert [ask(provider).status for _ in range(3)] == [200] * 3


def test_the_same_seed_and_order_meet_the_same_trouble() -> None:
    weather = FaultProfile(faults=(Fault(kind="server_error", share=0.3), Fault(kind="html", share=0.3)), seed=11)
    seen = []
    for _ in range(2):
        with RehearsalProvider(weather) as provider:
            for _ in range(30):
                ask(provider)
        seen.append([(entry.outcome, entry.reason) for entry in provider.log.entries])
    assert seen[0] == seen[1]
    assert len({reason for _, reason in seen[0]}) == 3


def test_the_weather_begins_with_the_first_request() -> None:
    """The fault profile starts at the first request, so a long preparation does not shift its phases."""
    clock = Clock()
    with RehearsalProvider(FaultProfile(faults=(Fault(kind="server_error", to_s=1),)), clock=clock) as provider:
        clock.now += 50
        assert ask(provider).status == 500
        clock.now += 1
        assert ask(provider).status == 200


def test_a_storm_says_when_it_is_over() -> None:
    clock = Clock()
    with RehearsalProvider(FaultProfile(faults=(Fault(kind="rate_limited", to_s=9),)), clock=clock) as provider:
        assert ask(provider).headers["retry-after"] == "9"
        clock.now += 5.5
        assert ask(provider).headers["retry-after"] == "4"
        clock.now += 3.5
        assert ask(provider).status == 200


def test_a_taken_port_is_said_to_be_taken() -> None:
    with RehearsalProvider(FaultProfile()) as provider:
        port = urlsplit(provider.base_url()).port or 0
        with pytest.raises(ConfigError, match=re.escape(f"port {port} (")):
            RehearsalProvider(FaultProfile(), port=port).start()
