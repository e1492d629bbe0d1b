"""An agent that is a service gets one POST per turn; outages of the service are no failures of the agent."""

import asyncio
import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from muses_eval.agents import (
    Context,
    Facts,
    ModelEndpoint,
    PrecedenceRule,
    PrincipalProfile,
    Resource,
    TurnInput,
    TurnReply,
)
from muses_eval.pipeline.agents.agent_spec import AgentSpec
from muses_eval.pipeline.errors import ModelFailure
from muses_eval.workers.agents.harness import AgentError
from muses_eval.workers.agents.http_agent import AgentService
from muses_eval.workers.agents.http_api import openapi_document
from muses_eval.workers.agents.http_messages import (
    FieldsResponse,
    LlmAccess,
    Principal,
    ResourceFacts,
    Rule,
    ScenarioFacts,
    SessionInput,
)
from muses_eval.workers.providers.chat_api import Effects
from muses_eval.workers.rehearsal.responses import Response, as_json
from muses_eval.workers.rehearsal.server import LoopbackServer, ReceivedRequest, Send
from pydantic import BaseModel

from tests.agent_samples import CONTEXT, TURN
from tests.provider import cut_off, failed, html, rate_limited, reset


class Service:
    """A service that sends the given responses, the last of them again and again."""

    def __init__(self, *answers: Response) -> None:
        self._answers = list(answers)
        self.requests: list[ReceivedRequest] = []
        self.server = LoopbackServer(self._handle)

    async def _handle(self, received: ReceivedRequest, send: Send) -> None:
        self.requests.append(received)
        await send(self._answers.pop(0) if len(self._answers) > 1 else self._answers[0])


class Waits:
    """Records what is slept, and that it is not the agent's own time."""

    def __init__(self) -> None:
        self.slept: list[tuple[float, bool]] = []
        self._inside = False

    async def sleep(self, seconds: float) -> None:
        self.slept.append((seconds, self._inside))

    @contextmanager
    def waiting(self) -> Iterator[None]:
        self._inside = True
        yield
        self._inside = False


def spec(address: str, **changes: Any) -> AgentSpec:
    return replace(AgentSpec(name="crew", kind="http", target=address), **changes)


def play(service: Service, context: Context = CONTEXT, waits: Waits | None = None, **changes: Any) -> str | TurnReply:
    waits = waits or Waits()

    async def run(address: str) -> str | TurnReply:
        agent = AgentService(spec(address, **changes), {}, Effects(random.Random(0), waits.sleep))
        harness = agent.harness(context, "openai/some-model", waits.waiting)
        try:
            return await harness.turn(TURN)
        finally:
            await harness.close()
            await agent.close()

    with service.server:
        return asyncio.run(run(f"{service.server.url}/turn"))


def test_a_request_has_what_the_agent_may_know() -> None:
    """The documented fields, also those of structured facts, and nothing else."""
    resource = Resource(name="plan", content="The plan is X.", owners=("Ana",), readers=("Ana",))
    context = replace(
        CONTEXT,
        facts=Facts(resources=(resource,), precedence=(PrecedenceRule("authority", "Ana first."),), required=("Ana",)),
        endpoint=ModelEndpoint("http://127.0.0.1:1/v1", "key", "some-model"),
    )
    service = Service(as_json({"text": "ok"}))
    assert play(service, context, options='{"strict":true}') == "ok"
    (received,) = service.requests
    assert (received.method, received.path, received.headers["Content-Type"]) == ("POST", "/turn", "application/json")
    assert received.document == {
        "episode_id": "e1",
        "family": "access",
        "model": "openai/some-model",
        "agent": "crew",
        "options": {"strict": True},
        "turn": 1,
        "turns_left": 2,
        "principals": [
            {"name": "Ana", "role": "owner", "authority": 9, "persona": "curt"},
            {"name": "Bo", "role": "guest", "authority": 1, "persona": ""},
        ],
        "briefing": "Serve Ana and Bo.",
        "inputs": [{"sender": "Ana", "session": "s1", "text": "hello"}],
        "messages": [dict(message) for message in TURN.messages],
        "facts": {
            "resources": [{"name": "plan", "content": "The plan is X.", "owners": ["Ana"], "readers": ["Ana"]}],
            "precedence": [{"name": "authority", "text": "Ana first."}],
            "required": ["Ana"],
        },
        "llm": {"base_url": "http://127.0.0.1:1/v1", "api_key": "key", "model": "some-model"},
    }


@pytest.mark.parametrize(
    ("message", "value"),
    [
        (ScenarioFacts, Facts),
        (ResourceFacts, Resource),
        (Rule, PrecedenceRule),
        (Principal, PrincipalProfile),
        (SessionInput, TurnInput),
        (LlmAccess, ModelEndpoint),
        (FieldsResponse, TurnReply),
    ],
)
def test_services_and_python_agents_have_the_same_fields(message: type[BaseModel], value: type[Any]) -> None:
    """No field of the interface in Python is left out of the messages."""
    assert message.model_fields.keys() - {"log"} == {field.name for field in fields(value)}


def test_a_reply_is_a_text_or_fields_and_may_log() -> None:
    lines: list[str] = []
    context = replace(CONTEXT, log=lines.append)
    assert play(Service(as_json({"text": "", "log": ["thinking", "done"]})), context) == ""
    assert lines == ["thinking", "done"]
    assert play(Service(as_json({"to": {"Ana": "yes"}, "done": True, "decision": {"a": [1]}}))) == TurnReply(
        to={"Ana": "yes"}, done=True, decision={"a": [1]}
    )


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (failed(500), "answered HTTP 500: an HTML page"),
        (as_json({"error": "no such tool"}, 422), "answered HTTP 422: {"),
        (Response(status=302, headers={"Location": "/"}), "the address of the agent must be the final one"),
        (html(), "expected JSON, got an HTML page"),
        (Response(body=b""), "expected JSON, got an empty body"),
        (Response(body=b"[" * 900_000), "expected JSON"),
        (Response(body=b'{"text": "\\ud800"}'), "expected JSON"),
        (as_json(["hello"]), "expected a JSON object, got '[\"hello\"]'"),
        (as_json({}), "expected `text`, or a field of decision, done, everyone, log, shared, to; got '{}'"),
        (as_json({"log": ["only"]}), "expected `text`"),
        (as_json({"text": None}), "text: Input should be a valid string"),
        (as_json({"text": "a", "to": {"Ana": "b"}}), "to: Extra inputs are not permitted; a reply with log, text was"),
        (as_json({"message": "a"}), "message: Extra inputs are not permitted; a reply with decision, done, everyone"),
        (as_json({"to": {"Ana": 1, "Bo": 2}, "done": "yes", "log": "x"}), ", and 1 more; a reply"),
        (as_json({"text": "x" * 10_000_000}), "sent a body larger than 1 MiB"),
    ],
)
def test_a_response_without_a_reply_is_the_agents_failure(answer: Response, text: str) -> None:
    """It is not requested again, and the message is short."""
    service = Service(answer)
    with pytest.raises(AgentError) as caught:
        play(service)
    assert text in str(caught.value)
    assert str(caught.value).startswith("crew at http://127.0.0.1:")
    assert len(str(caught.value)) < 700
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reset(), "transport"),
        (cut_off(), "transport"),
        (failed(502), "server"),
        (failed(503), "server"),
        (failed(504), "timeout"),
        (rate_limited(retry_after="7"), "rate_limit"),
    ],
)
def test_an_outage_of_the_service_is_retried_and_no_score(answer: Response, kind: str) -> None:
    """The pauses between attempts are not the agent's own time, and are as long as the service asks."""
    waits, service = Waits(), Service(answer, answer, as_json({"text": "back"}))
    assert play(service, waits=waits) == "back"
    assert [inside for _, inside in waits.slept] == [True, True]
    assert kind != "rate_limit" or min(seconds for seconds, _ in waits.slept) >= 7
    with pytest.raises(ModelFailure) as caught:
        play(Service(answer))
    assert (caught.value.kind, "gave up after" in caught.value.problem) == (kind, True)


def on_service(use: Callable[[AgentService], Any], address: str, **changes: Any) -> Any:
    async def run() -> Any:
        agent = AgentService(spec(address, **changes), {}, Effects(random.Random(0), Waits().sleep))
        try:
            return await use(agent)
        finally:
            await agent.close()

    return asyncio.run(run())


def test_a_service_that_is_down_is_noticed_before_anything_is_played() -> None:
    """Any HTTP response counts as reached, since a service need not answer GET."""
    with Service(failed(405)).server as server:
        assert on_service(AgentService.probe, server.url) is None
        url = server.url
    with pytest.raises(ModelFailure) as caught:
        on_service(AgentService.probe, url)
    assert caught.value.kind == "transport"
    with pytest.raises(ModelFailure) as caught:
        on_service(lambda agent: agent.harness(CONTEXT, "m", Waits().waiting).turn(TURN), url)
    assert (caught.value.kind, "gave up after 6 tries" in caught.value.problem) == ("transport", True)


def test_the_documented_interface_is_that_of_the_code() -> None:
    """`muses agents openapi > docs/agent_api.json` writes it."""
    path = Path(__file__).parents[2] / "docs" / "agent_api.json"
    assert json.loads(path.read_text(encoding="utf-8")) == openapi_document()
