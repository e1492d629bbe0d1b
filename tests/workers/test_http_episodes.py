"""Episodes of agents that are services, or that bring their own client: what fails, and whose failure it is."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from muses_eval.pipeline.agents.agent_spec import AgentSpec
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.workers.agents import bridge, http_agent
from muses_eval.workers.providers.retries import RetryPolicy
from muses_eval.workers.rehearsal.responses import Response, as_json
from muses_eval.workers.rehearsal.server import LoopbackServer, ReceivedRequest, Send

from tests.provider import Provider, html, reset
from tests.workers.test_play_shard import first_of, spec
from tests.workers.test_python_agents import at, errors, first, played


def served(tmp_path: Path, answer: Response, **fields: Any) -> Episode:
    """Returns an episode in which a service sends this response to every request."""

    async def handle(_: ReceivedRequest, send: Send) -> None:
        await send(answer)

    with LoopbackServer(handle) as server:
        agent = AgentSpec(name="crew", kind="http", target=server.url, **fields)
        (episode,) = played(replace(first_of(spec(tmp_path, family="access"), 1), agent=agent))
    return episode


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (html(), "expected JSON, got an HTML page"),
        (as_json({"to": {"Nobody": "hello"}}), "there is no principal 'Nobody'"),
        (as_json({"text": "x" * 500_000}), "at most 256,000 are read"),
        (Response(ending="silence"), "longer than turn_timeout_s, 0.2 s"),
    ],
    ids=["html", "name", "size", "silence"],
)
def test_what_a_service_does_wrong_is_an_empty_turn(tmp_path: Path, answer: Response, text: str) -> None:
    """The episode is scored, with the flag, and with the reason in the trace."""
    episode = served(tmp_path, answer, **({"turn_timeout_s": 0.2} if answer.ending == "silence" else {}))
    assert (episode.outcome, episode.messages[-1].content, "agent_error" in episode.flags) == ("scored", "", True)
    assert text in errors(episode)[0]


def test_a_service_that_is_away_is_no_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_agent, "_POLICY", RetryPolicy(max_retries=0))
    episode = served(tmp_path, reset())
    assert (episode.outcome, episode.error_kind, episode.scores) == ("infra_failed", "transport", ())
    assert episode.flags == ()


def test_a_client_that_blocks_the_event_loop_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call would wait for the loop, and the loop for the call."""
    monkeypatch.setattr(bridge, "BLOCKED_S", 0.1)
    code = """
import json, urllib.request
class Agent:
    def __init__(self, context, llm):
        self.endpoint = context.endpoint

    async def turn(self, turn):
        body = json.dumps({"model": self.endpoint.model, "messages": turn.messages}).encode()
        headers = {"Authorization": f"Bearer {self.endpoint.api_key}"}
        try:
            urllib.request.urlopen(urllib.request.Request(self.endpoint.base_url + "/chat/completions", body, headers))
        except urllib.error.HTTPError as error:
            return json.load(error)["error"]["code"]
"""
    with Provider() as provider:
        episode = first(tmp_path, code, at(provider))
    assert episode.messages[-1].content == "event_loop_blocked"
    assert provider.completions == []
