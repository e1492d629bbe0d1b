"""A reply in fields, written as the text of a model, is read as what the fields say, in every family and protocol."""

import json
import random
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import assume, given, settings, strategies as st
from muses_eval.pipeline.agents.interface import TurnReply
from muses_eval.pipeline.datasets.dataset import generate_dataset
from muses_eval.pipeline.episode.principal import AGENT, RESERVED_NAMES
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.transcript import Transcript
from muses_eval.pipeline.families import FAMILIES
from muses_eval.pipeline.families.meeting.announcement import find_announcement
from muses_eval.pipeline.families.queue.decision import read_decision
from muses_eval.pipeline.families.reply_format import ReplyFieldError
from muses_eval.pipeline.protocols.muses import MUSES
from muses_eval.pipeline.protocols.protocol import EpisodeProtocol

from tests.released import RELEASED, official
from tests.shared import needs_shared
from tests.strategies import model_texts

PROTOCOLS: Mapping[str, EpisodeProtocol] = {"muses": MUSES, "released": RELEASED}
ODD_NAMES = (
    *("Ana", "ana", "Ana Lee", "Lee, Ana", "Bo and Cy", "Bar Cohen", "Ohne", "CC", "Everyone", "the team", "Will Not"),
    *('O"Neil', "D'Arcy\\", "Zoë", "李雷", "<Max>", "[THINK]", "A{b}", "a: b", "Dr. X (CTO)", "line\nbreak", "@you"),
)
NAMES = st.lists(
    (st.sampled_from(ODD_NAMES) | st.text(min_size=1, max_size=12)).filter(lambda name: name not in RESERVED_NAMES),
    min_size=2, max_size=4, unique=True,
)  # fmt: skip
_MARKED = (
    *("<think>so</think> yes", "[THINK]a[/THINK]", "◁think▷b◁/think▷", "<|channel|>final<|message|>c"),
    *("<answer>d</answer>", '{"target": "Ana", "content": "e"}', "```json\n{}\n```", 'He said "f"\\n\nand left.'),
)
TEXTS = st.sampled_from(_MARKED) | st.text(max_size=40) | model_texts()
REPLIES = st.builds(
    TurnReply,
    to=st.lists(TEXTS.filter(str.strip), max_size=4).map(enumerate).map(dict),
    everyone=st.just("") | TEXTS.filter(str.strip),
    shared=st.just("") | TEXTS,
    done=st.booleans(),
)
"""Replies to principals by number."""


@cache
def generated(family: str) -> Scenario[Any]:
    return generate_dataset("1", 3, (family,)).scenarios(family)[0]


def renamed(scenario: Scenario[Any], names: list[str]) -> Scenario[Any]:
    """Returns the scenario with so many principals of these names."""
    first = scenario.principals[0]
    return replace(scenario, principals=tuple(replace(first, name=name) for name in names))


def received(protocol: EpisodeProtocol, scenario: Scenario[Any], reply: TurnReply) -> tuple[dict[str, str], bool]:
    """Returns the texts that each principal receives, joined by spaces, and whether the episode has ended."""
    family = FAMILIES[scenario.family]
    dialogue = protocol.dialogue(family, scenario, scenario.template)
    if dialogue.greeted:
        dialogue.add_inputs(())
    dialogue.add_reply(family.write_reply(scenario, reply))
    return delivered_texts(dialogue.transcript, scenario, dialogue.turn), dialogue.finished


def delivered_texts(transcript: Transcript, scenario: Scenario[Any], turn: int) -> dict[str, str]:
    sent = [message for message in transcript.messages if message.sender == AGENT and message.turn == turn]
    heard = {name: [message.content for message in sent if name in message.audience] for name in scenario.names}
    return {name: " ".join(texts) for name, texts in heard.items() if texts}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("family", ["access", "meeting"])
@settings(max_examples=25, deadline=None)
@given(names=NAMES, reply=REPLIES)
def test_every_principal_receives_its_texts(family: str, protocol: str, names: list[str], reply: TurnReply) -> None:
    """The protocol released ends at the words "goal_achieved" in any text, as the released code does."""
    scenario = renamed(generated(family), names)
    reply = replace(reply, to={names[at]: text for at, text in reply.to.items() if at < len(names)})  # type: ignore[call-overload]
    heard = {name: [reply.to.get(name, ""), reply.everyone, reply.shared] for name in names}
    expected = {name: " ".join(filter(None, texts)) for name, texts in heard.items() if any(texts)}
    assume(protocol == "muses" or (expected and "goal_achieved" not in "".join(expected.values())))
    assert received(PROTOCOLS[protocol], scenario, reply) == (expected, reply.done or bool(reply.shared))


@settings(max_examples=25, deadline=None)
@given(names=NAMES, texts=st.lists(TEXTS, min_size=4, max_size=4), to_all=TEXTS)
def test_every_user_receives_its_answer(names: list[str], texts: list[str], to_all: str) -> None:
    scenario = renamed(generated("instruct"), names)
    own = dict(zip(names[1:], texts, strict=False))
    action = FAMILIES["instruct"].interpret(scenario, FAMILIES["instruct"].write_reply(scenario, TurnReply(to=own)))
    assert {d.audience: d.text for d in action.deliveries} == {(name,): text for name, text in own.items()}
    both = FAMILIES["instruct"].write_reply(scenario, TurnReply(to=own, everyone=to_all))
    answers = {d.audience[0]: d.text for d in FAMILIES["instruct"].interpret(scenario, both).deliveries}
    assert answers == {n: "\n\n".join(t for t in (own.get(n, ""), to_all) if t) for n in names} or not to_all


def _table(scenario: Scenario[Any]) -> TurnReply:
    texts = {name: f'{name}: "Zeile"\n\\ {{"a": [1]}} <b>' for name in scenario.names}
    match scenario.family:
        case "queue":
            oracle = FAMILIES["queue"].scripted_agent(scenario, "oracle", random.Random(0))
            return TurnReply(decision=json.loads(oracle.speak(())))
        case "instruct":
            return TurnReply(to=texts)
        case "meeting":
            decision = {"final_schedule": "Tue 14:30", "attendees": list(scenario.names[:1])}
            return TurnReply(to=texts, shared="Tuesday it is.", done=True, decision=decision)
    return TurnReply(to=texts, everyone="Hello to all.")


def check(scenario: Scenario[Any]) -> None:
    """Checks one scenario: the deliveries, the decision of a queue, and the announcement of a meeting."""
    reply, family = _table(scenario), FAMILIES[scenario.family]
    text = family.write_reply(scenario, reply)
    action = family.interpret(scenario, text)
    assert action.readable
    assert {d.audience: d.text for d in action.deliveries} == {
        **{(name,): text for name, text in reply.to.items()},
        **({scenario.names: reply.everyone} if reply.everyone else {}),
    }
    if scenario.family == "queue":
        decision, truth = read_decision(scenario.truth, text), scenario.truth
        assert decision is not None
        assert decision.accepted == frozenset(truth.accepted)
        assert decision.rejected == {instruction for instruction, _ in truth.rejected}
    if scenario.family == "meeting":
        announced = find_announcement(text, scenario.names)
        assert announced is not None
        assert (str(announced.slot), announced.invited) == ("Tue 14:30", scenario.names[:1])
        assert (action.shared, action.final) == ("Tuesday it is.", True)


@pytest.mark.parametrize("family", FAMILIES)
def test_generated_scenarios(family: str) -> None:
    for scenario in generate_dataset("20", 5, (family,)).scenarios(family):
        check(scenario)


@needs_shared
def test_official_scenarios() -> None:
    for family in FAMILIES:
        for scenario in official().scenarios(family)[::9]:
            check(scenario)


@pytest.mark.parametrize(
    ("family", "fields", "message"),
    [
        ("access", {"to": {"Nemo": "x"}}, "no principal 'Nemo', only "),
        ("access", {"to": {"{first}": 3}}, "expected a text, got int"),
        ("access", {"to": ["x"]}, "to of the reply: expected an object of names and texts, got list"),
        ("meeting", {"everyone": None}, "everyone of the reply: expected a text, got NoneType"),
        ("meeting", {"done": "yes"}, "done of the reply: expected true or false, got str"),
        ("meeting", {"decision": {"final_schedule": {1}}}, "decision of the reply: expected values of JSON"),
        ("queue", {"to": {"{first}": "x"}}, "no place for it; it reads decision only"),
        ("queue", {"decision": []}, "decision of the reply: expected an object, got list"),
        ("instruct", {"shared": "x"}, "no place for it; it reads to, everyone only"),
    ],
)
def test_a_malformed_field_is_named(family: str, fields: dict[str, Any], message: str) -> None:
    scenario = generated(family)
    if isinstance(fields.get("to"), dict):
        fields = {"to": {name.format(first=scenario.names[0]): text for name, text in fields["to"].items()}}
    with pytest.raises(ReplyFieldError, match=message):
        FAMILIES[family].write_reply(scenario, TurnReply(**fields))


def test_plain_text_is_readable_json() -> None:
    """Nothing is escaped without need, since the model reads the text in its later prompts."""
    scenario = generated("access")
    text = FAMILIES["access"].write_reply(scenario, TurnReply(to={scenario.names[0]: "Größe <b> 李"}))
    assert "Größe <b> 李" in text
