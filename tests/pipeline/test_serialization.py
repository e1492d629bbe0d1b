"""How several users reach one model: four ways, each of which can be undone and loses nobody."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from pipeline.datasets import generate_dataset
from pipeline.protocol import Dialogue
from pipeline.scenario import Scenario
from pipeline.serialization import TEMPLATES, ChatMessage, Template, describe, serialize, sign, unsign

NAMES = st.text(min_size=1, max_size=12)
EACH = pytest.mark.parametrize("template", TEMPLATES)


@EACH
@given(name=NAMES, text=st.text())
def test_unsign_undoes_sign(template: Template, name: str, text: str) -> None:
    """Whatever the name and the text hold: line breaks, tags, the template's own marks."""
    assert unsign(template, name, sign(template, name, text)) == text


@EACH
@given(text=st.text())
def test_a_text_without_its_author_stays_as_it_is(template: Template, text: str) -> None:
    assert unsign(template, "Nobody-of-that-name", text) == text


def test_the_four_forms() -> None:
    """Table 1 of the paper."""
    assert {template: sign(template, "Alice", "Hi") for template in TEMPLATES} == {
        "says": "Alice says: Hi",
        "colon": "Alice: Hi",
        "xml": "<Alice>Hi</Alice>",
        "native": "Hi",
    }


def test_only_the_own_signature_is_taken_off() -> None:
    assert unsign("says", "Bo", "Alice says: Hi") == "Alice says: Hi"
    assert unsign("xml", "Bo", "<Bo>Hi") == "<Bo>Hi"
    assert unsign("colon", "Bo", "Bo: Bo: Hi") == "Bo: Hi"


def test_native_sends_one_message_a_principal_under_its_name() -> None:
    assert serialize("native", [("Bo", "b"), ("Alice", "a")]) == (ChatMessage("Bo", "b"), ChatMessage("Alice", "a"))


@pytest.mark.parametrize("template", ["says", "colon", "xml"])
def test_the_others_send_one_user_message_in_the_order_given(template: Template) -> None:
    pairs = [("Zoe", "first"), ("Alice", "second\nline"), ("Bo", "third")]
    (message,) = serialize(template, pairs)
    assert message.role == "user"
    assert message.content == "\n".join(sign(template, name, text) for name, text in pairs)


@EACH
def test_nobody_speaks_nothing_is_sent(template: Template) -> None:
    """An empty user message would be an input of its own, and some providers refuse it."""
    assert serialize(template, ()) == ()


@pytest.fixture(scope="module", params=["queue", "access"])
def scenarios(request: pytest.FixtureRequest) -> tuple[Scenario[Any], ...]:
    return generate_dataset("8", 0, (request.param,)).scenarios(request.param)


def test_the_published_briefing_is_sent_to_the_letter(scenarios: tuple[Scenario[Any], ...]) -> None:
    for scenario in scenarios:
        assert scenario.briefing_in(scenario.template) == scenario.briefing


@EACH
def test_any_scenario_is_told_how_its_messages_arrive(template: Template, scenarios: tuple[Scenario[Any], ...]) -> None:
    """In that template and in no other; all the rest of the briefing is the same."""
    for scenario in scenarios:
        if template == scenario.template:
            continue
        briefing = scenario.briefing_in(template)
        assert briefing.count(describe(template)) == 1
        assert not any(describe(other) in briefing for other in TEMPLATES if other != template)
        if scenario.format_line:
            assert briefing.replace(describe(template), scenario.format_line) == scenario.briefing


@EACH
def test_the_silent_are_left_out_of_the_prompt(template: Template, scenarios: tuple[Scenario[Any], ...]) -> None:
    """Those who speak come in the scenario's order; an empty text is nobody's message."""
    from dataclasses import replace

    from pipeline.protocol import Action

    scenario = scenarios[0]
    silent, *others = scenario.openings
    scenario = replace(scenario, openings=(replace(silent, text=""), *others))
    prompt = Dialogue(scenario, template, lambda _: Action(), 3).observation.prompt
    assert prompt[0] == ChatMessage("system", scenario.briefing_in(template))
    assert prompt[1:] == serialize(template, [(i.sender, i.text) for i in others])
