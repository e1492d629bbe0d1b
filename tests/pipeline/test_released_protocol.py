"""The protocol ``released`` sends, keeps and ends what the released evaluator does."""

import asyncio
import json
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from muses_eval.pipeline.datasets.dataset import generate_dataset
from muses_eval.pipeline.episode.dialogue import Dialogue
from muses_eval.pipeline.episode.interfaces import PrincipalView
from muses_eval.pipeline.episode.principal import AGENT, Principal
from muses_eval.pipeline.episode.scenario import Input, Scenario
from muses_eval.pipeline.episode.serialization import ChatMessage
from muses_eval.pipeline.episode.transcript import Message, delivered
from muses_eval.pipeline.errors import MusesError
from muses_eval.pipeline.families import FAMILIES
from muses_eval.pipeline.families.family import SCRIPTED_KINDS
from muses_eval.pipeline.leaderboard_columns import leaderboard_metrics
from muses_eval.pipeline.protocols.muses import MUSES
from muses_eval.pipeline.protocols.released import MAX_USER_PROMPT_CHARS, ReleasedProtocol
from muses_eval.storage.objects.dataset_files import read_rows
from muses_eval.workers.providers.scripted import play_scripted

from tests.released import RELEASED, STAND_IN, official, released_cases, shared_protocol
from tests.shared import OFFICIAL, needs_shared
from tests.strategies import model_texts

ROWS = {name: next(iter(family.generate(1, 5, range(3, 4)))) for name, family in FAMILIES.items()}
"""A row of each family, with three users."""


def started(scenario: Scenario[Any], protocol: ReleasedProtocol = RELEASED) -> Dialogue:
    return protocol.dialogue(FAMILIES[scenario.family], scenario, scenario.template)


def scenario_of(name: str) -> Scenario[Any]:
    return FAMILIES[name].read(ROWS[name])


def sent(prompt: Iterable[ChatMessage]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in prompt]


def answer(dialogue: Dialogue, say: Callable[[str], str]) -> None:
    """Lets the users who may speak say what *say* returns for their names."""
    dialogue.add_inputs(tuple(Input(view.name, say(view.name)) for view in dialogue.next_views))


def played(scenario: Scenario[Any], replies: Iterable[str], protocol: ReleasedProtocol = RELEASED) -> Dialogue:
    """Returns the dialogue after these replies of the agent; the users say "Ok."."""
    dialogue = started(scenario, protocol)
    if dialogue.greeted:
        answer(dialogue, lambda _: "Ok.")
    for reply in replies:
        if dialogue.finished:
            break
        dialogue.add_reply(reply)
        answer(dialogue, lambda _: "Ok.")
    return dialogue


def message(target: object, content: object, **more: object) -> str:
    return json.dumps({"target": target, "content": content, **more})


# First prompts


def first_prompt_of(row: Mapping[str, Any], family: str) -> list[str]:
    """Returns the texts of the agent's first prompt with the stand-ins, made from the row."""
    if family == "access":
        opening = "\n".join(f"[{name}]: {text}" for name, text in row["initial_messages"].items())
        return [row["prompt"] + "\\n" + STAND_IN.access_goal_check, opening]
    system = row["system_prompt"]
    if family == "meeting":
        return [system, STAND_IN.meeting_greeting]
    if family == "instruct":
        lines = (f"<{user['id']}>{text}</{user['id']}>\n" for user in row["users"] for text in user["instructions"])
        return [system + "\n\nReply with one object.", "".join(lines)]
    blocks = (
        f"<{user['id']}>\n" + "".join(f"{text}\n" for text in user["instructions"]) + f"</{user['id']}>\n\n"
        for user in row["users"]
        if user["instructions"]
    )
    return [system, "".join(blocks)]


@pytest.mark.parametrize("name", FAMILIES)
def test_first_prompts_consist_of_the_texts_of_the_row(name: str) -> None:
    """Nothing is added to the row's own texts but the texts of the evaluator."""
    for row in FAMILIES[name].generate(6, 3):
        prompt = started(FAMILIES[name].read(row)).observation.prompt
        assert [entry.content for entry in prompt] == first_prompt_of(row, name)
        assert [entry.role for entry in prompt] == ["system", "assistant" if name == "meeting" else "user"]


def test_a_prompt_that_contains_a_placeholder_is_left_alone() -> None:
    row = {**ROWS["instruct"], "system_prompt": "Write {base_prompt} and {goal}."}
    assert started(FAMILIES["instruct"].read(row)).observation.prompt[0].content == (
        "Write {base_prompt} and {goal}.\n\nReply with one object."
    )


# Replies in access


ACCESS = scenario_of("access")
ANA, BO, CY = ACCESS.names


@dataclass(frozen=True)
class Outcome:
    """What becomes of one reply."""

    kept: str
    heard: dict[str, list[str]] = field(default_factory=dict)
    final: bool = False


def told(scenario: Scenario[Any], text: str) -> dict[str, list[str]]:
    """Returns what is heard when everybody hears a text."""
    return {name: [text] for name in scenario.names}


def outcome(scenario: Scenario[Any], reply: str) -> Outcome:
    dialogue = started(scenario)
    if dialogue.greeted:
        answer(dialogue, lambda _: "Ok.")
    dialogue.add_reply(reply)
    asked = [view.name for view in dialogue.next_views]
    heard = {
        name: texts
        for name in scenario.names
        if (texts := [m.content for m in dialogue.transcript.deliveries(name) if m.turn == 1])
    }
    assert asked == ([] if dialogue.finished else list(heard))  # who has heard something is asked for an answer
    return Outcome(dialogue.observation.prompt[-1].content, heard, dialogue.finished)


ACCESS_REPLIES: dict[str, tuple[str, Outcome]] = {
    "one message": (message(BO, "No."), Outcome(f"[Agent -> {BO}]: No.", {BO: ["No."]})),
    "one line for each message, grouped by target in order of first appearance": (
        "Dear all! " + message(CY, "One.") + message(ANA, "Two.") + message(CY, "Three."),
        Outcome(
            f"[Agent -> {CY}]: One.\n[Agent -> {CY}]: Three.\n[Agent -> {ANA}]: Two.",
            {ANA: ["Two."], CY: ["One. Three."]},
        ),
    ),
    "a message that names its target already": (
        message(BO, f"[Agent -> {BO}]: No."),
        Outcome(f"[Agent -> {BO}]: No.", {BO: [f"[Agent -> {BO}]: No."]}),
    ),
    "a message that names another target": (
        message(BO, f"[Agent -> {CY}]: No."),
        Outcome(f"[Agent -> {BO}]: [Agent -> {CY}]: No.", {BO: [f"[Agent -> {CY}]: No."]}),
    ),
    "all, besides one": (
        message(BO, "One.") + message("all", "Two."),
        Outcome(f"[Agent -> {BO}]: One.\n[Agent -> all]: Two.", {ANA: ["Two."], BO: ["One.", "Two."], CY: ["Two."]}),
    ),
    "names that are not exact": (
        message(BO.lower(), "One.") + message("All", "Two.") + message(f"{ANA}, {BO}", "Three.") + message(1.5, "4"),
        Outcome(
            f"[Agent -> {BO.lower()}]: One.\n[Agent -> All]: Two.\n[Agent -> {ANA}, {BO}]: Three.\n[Agent -> 1.5]: 4"
        ),
    ),
    "a fence": ("```json\n" + message(BO, "No.") + "\n```", Outcome(f"[Agent -> {BO}]: No.", {BO: ["No."]})),
    "an empty message": (message(BO, ""), Outcome(f"[Agent -> {BO}]: ", {BO: [""]})),
    "an object in a list is no message": (
        f"[{message(BO, 'No.')}]",
        Outcome(f"[{message(BO, 'No.')}]", told(ACCESS, f"[{message(BO, 'No.')}]")),
    ),
    "an object in a string is no message": (
        json.dumps(message(BO, "No.")),
        Outcome(json.dumps(message(BO, "No.")), told(ACCESS, json.dumps(message(BO, "No.")))),
    ),
    "prose is for everybody": (" No.\n", Outcome(" No.\n", told(ACCESS, " No.\n"))),
    "nothing at all": ("", Outcome("", told(ACCESS, ""))),
    "reasoning stays": (
        "<think>Bo?</think>" + message(BO, "No."),
        Outcome(f"[Agent -> {BO}]: No.", {BO: ["No."]}),
    ),
    "the goal": ('{"goal_achieved": true}', Outcome('{"goal_achieved": true}', final=True)),
    "the goal in prose, with messages": (
        "'goal_achieved' : true " + message(BO, "The code."),
        Outcome("'goal_achieved' : true " + message(BO, "The code."), {BO: ["The code."]}, final=True),
    ),
    "the goal, with a report": (
        '{"goal_achieved": true, "final_report": "The code."}',
        Outcome('{"goal_achieved": true, "final_report": "The code."}', told(ACCESS, "The code."), final=True),
    ),
    "the goal is not reached": (
        '{"goal_achieved": false}',
        Outcome('{"goal_achieved": false}', told(ACCESS, '{"goal_achieved": false}')),
    ),
    "a list as target fails": (message([BO], "No."), Outcome(message([BO], "No."), final=True)),
    "content that is no text fails": (message(BO, None), Outcome(message(BO, None), final=True)),
}


@pytest.mark.parametrize("name", ACCESS_REPLIES)
def test_replies_in_access(name: str) -> None:
    reply, expected = ACCESS_REPLIES[name]
    assert outcome(ACCESS, reply) == expected


# Replies in meeting


MEETING = scenario_of("meeting")
DEB, ELI, FAY = MEETING.names
GOAL = json.dumps({"goal_achieved": True, "final_schedule": "Mon 9:00", "attendees": [DEB]})


MEETING_REPLIES: dict[str, tuple[str, Outcome]] = {
    "one message": (message(ELI, "When?"), Outcome(message(ELI, "When?"), {ELI: ["When?"]})),
    "messages to one name are joined, those to all included": (
        message(ELI, "One.") + message("all", "Two.") + message(ELI, "Three."),
        Outcome(
            message(ELI, "One.") + message("all", "Two.") + message(ELI, "Three."),
            {DEB: ["Two."], ELI: ["One. Two. Three."], FAY: ["Two."]},
        ),
    ),
    "names that are not exact": (
        message(f"{DEB} (CEO)", "When?") + message("everyone", "When?"),
        Outcome(message(f"{DEB} (CEO)", "When?") + message("everyone", "When?")),
    ),
    "prose is for everybody": ("When?\n", Outcome("When?\n", told(MEETING, "When?\n"))),
    "an object without content is for everybody": (
        '{"target": "all"}',
        Outcome('{"target": "all"}', told(MEETING, '{"target": "all"}')),
    ),
    "the goal": (GOAL, Outcome(GOAL, final=True)),
    "the goal, as any value that is true": (
        '{"goal_achieved": "false"}',
        Outcome('{"goal_achieved": "false"}', told(MEETING, '{"goal_achieved": "false"}'), final=True),
    ),
    "the goal, with a message": (
        message(ELI, "See you.") + GOAL,
        Outcome(message(ELI, "See you.") + GOAL, {ELI: ["See you."]}, final=True),
    ),
    "the goal in prose does not count": (
        '"goal_achieved": true',
        Outcome('"goal_achieved": true', told(MEETING, '"goal_achieved": true')),
    ),
    "an object as target fails": (
        message({"name": ELI}, "When?"),
        Outcome(message({"name": ELI}, "When?"), final=True),
    ),
    "content that is no text fails": (message(ELI, 5), Outcome(message(ELI, 5), final=True)),
}


@pytest.mark.parametrize("name", MEETING_REPLIES)
def test_replies_in_meeting(name: str) -> None:
    reply, expected = MEETING_REPLIES[name]
    assert outcome(MEETING, reply) == expected


# The course of an episode


def test_users_of_a_meeting_answer_the_greeting_before_the_first_turn() -> None:
    """The greeting is no turn; the answers are the first message of the users, in the scenario's order."""
    dialogue = started(MEETING)
    assert dialogue.greeted
    assert [view.name for view in dialogue.next_views] == list(MEETING.names)
    assert all([m.content for m in view.messages] == [STAND_IN.meeting_greeting] for view in dialogue.next_views)
    answer(dialogue, lambda name: "" if name == ELI else f"{name} is here.")
    assert dialogue.turn == 1
    assert dialogue.observation.prompt[-1] == ChatMessage("user", f"[{DEB}]: {DEB} is here.\n[{FAY}]: {FAY} is here.")
    assert dialogue.transcript.replies() == ()


@pytest.mark.parametrize("scenario", [ACCESS, MEETING], ids=lambda scenario: scenario.family)
def test_the_agent_is_asked_again_when_nobody_speaks(scenario: Scenario[Any]) -> None:
    """No user message is added then, and the episode ends after the tenth round."""
    dialogue = played(scenario, [message("nobody", "Hello?")])
    before = dialogue.observation.prompt
    assert not dialogue.finished
    assert before[-1].role == "assistant"
    for turn in range(2, 11):
        assert dialogue.turn == turn
        dialogue.add_reply(message("nobody", "Hello?"))
        answer(dialogue, lambda _: "Ok.")
    assert dialogue.finished
    assert [m.role for m in dialogue.observation.prompt[len(before) :]] == ["assistant"] * 9


@pytest.mark.parametrize("scenario", [ACCESS, MEETING], ids=lambda scenario: scenario.family)
def test_an_empty_reply_through_an_api_is_a_failed_call(scenario: Scenario[Any]) -> None:
    """It ends the episode and reaches nobody; an empty reply of a local model is for everybody."""
    for from_api in (True, False):
        dialogue = RELEASED.dialogue(FAMILIES[scenario.family], scenario, scenario.template, from_api=from_api)
        if dialogue.greeted:
            answer(dialogue, lambda _: "Ok.")
        dialogue.add_reply("")
        assert dialogue.finished is from_api
        assert [view.name for view in dialogue.next_views] == ([] if from_api else list(scenario.names))


def test_lines_of_users_are_in_the_scenarios_order() -> None:
    dialogue = played(ACCESS, [message(CY, "One.") + message(ANA, "Two.")])
    assert dialogue.observation.prompt[-1].content == f"[{ANA}]: Ok.\n[{CY}]: Ok."


def test_another_serialisation_is_refused() -> None:
    with pytest.raises(MusesError, match=f"{ACCESS.id}: .*no template native"):
        RELEASED.dialogue(FAMILIES["access"], ACCESS, "native")


def test_a_family_that_the_released_evaluator_lacks_is_refused() -> None:
    with pytest.raises(MusesError, match="no family"):
        RELEASED.dialogue(FAMILIES["access"], replace(ACCESS, row_prompt=None), ACCESS.template)


@pytest.mark.parametrize("scenario", [ACCESS, MEETING], ids=lambda scenario: scenario.family)
@settings(max_examples=50)
@given(reply=model_texts())
def test_no_reply_breaks_an_episode(scenario: Scenario[Any], reply: str) -> None:
    """Any text is kept, delivered and scored without an exception."""
    dialogue = started(scenario)
    if dialogue.greeted:
        answer(dialogue, lambda _: "Ok.")
    while not dialogue.finished:
        dialogue.add_reply(reply)
        answer(dialogue, lambda _: "Ok.")
    assert 1 <= len(dialogue.transcript.replies()) <= 10
    assert FAMILIES[scenario.family].score(scenario, dialogue.transcript)


# Simulated users


PERSON = Principal(
    name="Ana", role="CEO", authority=9, persona="p", private_context="to get {role}", background="Long here."
)


def view(*entries: tuple[str, str]) -> PrincipalView:
    messages = (
        delivered(1, ("Ana",), text) if sender == AGENT else Message(1, sender, (AGENT,), text)
        for sender, text in entries
    )
    return PrincipalView("Ana", 2, tuple(messages))


SYSTEM_TEXT = "You act as Ana.\n\nThis is Ana:\nWork: CEO\nPast: Long here.\nAim: to get {role}\n\nKeep it short."


def test_a_simulated_user_has_its_identity_and_its_memory() -> None:
    """Messages of one role stay apart; empty ones are left out."""
    prompt = RELEASED.user_prompt(PERSON, view(("Ana", "Hi."), (AGENT, "No."), (AGENT, ""), (AGENT, "Never.")))
    assert prompt == (
        ChatMessage("system", SYSTEM_TEXT),
        ChatMessage("assistant", "Hi."),
        ChatMessage("user", "No."),
        ChatMessage("user", "Never."),
    )


def test_a_user_without_background_has_no_line_for_it() -> None:
    (system,) = RELEASED.user_prompt(replace(PERSON, background=""), PrincipalView("Ana", 1, ()))
    assert system.content == SYSTEM_TEXT.replace("Past: Long here.\n", "")


@pytest.mark.parametrize(
    ("lengths", "kept"),
    [
        ((100, 200, 300), 3),
        ((9_900 - len(SYSTEM_TEXT), 50, 50), 3),
        ((9_901 - len(SYSTEM_TEXT), 50, 50), 2),
        ((10, 9_990 - len(SYSTEM_TEXT), 11), 1),
        ((10, 10_001), 0),
    ],
)
def test_old_memories_are_left_out_beyond_ten_thousand_characters(lengths: tuple[int, ...], kept: int) -> None:
    """The system message and the newest messages that fit remain; the first that does not fit hides all before it."""
    prompt = RELEASED.user_prompt(PERSON, view(*((AGENT, "x" * length) for length in lengths)))
    assert [len(m.content) for m in prompt[1:]] == list(lengths[len(lengths) - kept :])
    assert sum(len(m.content) for m in prompt) <= MAX_USER_PROMPT_CHARS


@pytest.mark.parametrize(
    ("reply", "said"), [("", ""), ("...", ""), (" Ok. ", " Ok. "), ("<think>x</think>Ok.", "<think>x</think>Ok.")]
)
def test_a_users_reply_counts_as_it_is(reply: str, said: str) -> None:
    assert RELEASED.user_message(PERSON, reply) == said


# Scripted participants


@pytest.mark.parametrize("kind", SCRIPTED_KINDS)
@pytest.mark.parametrize("name", FAMILIES)
def test_scripted_models_play(name: str, kind: str) -> None:
    """Built-in agents and users need nothing but the protocol; the oracle has full marks."""
    family = FAMILIES[name]
    for scenario in generate_dataset("6", 2, [name]).scenarios(name):
        result = asyncio.run(play_scripted(family, scenario, kind, 1, RELEASED))  # type: ignore[arg-type]
        assert result.failure is None
        assert result.turns <= family.max_turns
        values = {(s.scoring, s.metric): s.value for s in family.score(scenario, result.transcript) if s.round is None}
        if kind == "oracle":
            for scoring in ("published", "corrected"):
                assert [values[scoring, metric] for metric in leaderboard_metrics(name)] == [1.0] * len(
                    leaderboard_metrics(name)
                )


def test_scripted_users_answer_the_greeting_with_their_opening() -> None:
    """A user who does not disclose its times at the beginning does not do so because it is greeted either."""
    result = asyncio.run(play_scripted(FAMILIES["meeting"], MEETING, "refuse", 0, RELEASED))
    opening = [(m.sender, m.content) for m in result.transcript.messages if m.turn == 1 and m.sender != AGENT]
    assert opening == [(entry.sender, entry.text) for entry in MEETING.openings]


@pytest.mark.parametrize("protocol", [MUSES, RELEASED], ids=lambda protocol: protocol.name)
def test_a_protocol_travels_to_workers(protocol: object) -> None:
    assert pickle.loads(pickle.dumps(protocol)) == protocol


# What the released evaluator sent, and its results


def played_as_recorded(scenario: Scenario[Any], case: Mapping[str, Any]) -> bool:
    """Returns whether the replies of a case, played as an episode, have the figures and the length of the case."""
    transcript = played(scenario, case["replies"]).transcript
    scores = FAMILIES[scenario.family].score(scenario, transcript)
    figures = {s.metric: s.value for s in scores if s.scoring == "published" and s.round is None}
    expected = {metric: float(value) for metric, value in case["expected"].items() if metric in figures}
    if "error" not in case["expected"]:
        expected["length"] = case["expected"].get("replies_used", case["expected"].get("turns"))
    figures["length"] = len(transcript.replies())
    return {metric: figures[metric] for metric in expected} == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("name", "count"), [("access_replies", 181), ("meeting_replies", 200)])
def test_episodes_have_the_published_results_of_the_released_flow(name: str, count: int) -> None:
    """Recorded replies, with users who say "Ok.", have the released figures and end after the same reply."""
    family = FAMILIES[name.removesuffix("_replies")]
    scenarios = {scenario.id: scenario for scenario in map(family.read, family.generate(150, 11))}
    cases = list(released_cases(name, Path(__file__).parents[1] / "golden"))
    differing = [case["case_id"] for case in cases if not played_as_recorded(scenarios[case["scenario_id"]], case)]
    assert (differing, len(cases)) == ([], count)


@needs_shared
@pytest.mark.slow
@pytest.mark.parametrize(("name", "count"), [("access_replies", 1000), ("meeting_replies", 1000), ("minimal", 27)])
def test_episodes_on_official_scenarios_have_the_published_results(name: str, count: int) -> None:
    cases = [case for case in released_cases(name) if "replies" in case and case["family"] in ("access", "meeting")]
    differing = [
        case["case_id"]
        for case in cases
        if not played_as_recorded(official().by_family[case["family"]][case["scenario_id"]], case)
    ]
    assert (differing, len(cases)) == ([], count)


@needs_shared
def test_first_prompts_equal_those_of_the_released_evaluator() -> None:
    cases = list(released_cases("released_first_prompt"))
    for case in cases:
        scenario = official().by_family[case["family"]][case["scenario_id"]]
        assert sent(started(scenario, shared_protocol()).observation.prompt) == case["messages"], scenario.id
    assert len(cases) == 646


@needs_shared
@pytest.mark.slow
def test_first_prompts_of_all_official_rows() -> None:
    """The other official rows have prompts of the same construction."""
    count = 0
    for _, _, row in read_rows(str(OFFICIAL)):
        family = next(family for family in FAMILIES.values() if family.matches(row))
        prompt = started(family.read(row)).observation.prompt
        assert [entry.content for entry in prompt] == first_prompt_of(row, family.name)
        count += 1
    assert count == 1291


def possible_replies(kept: str) -> Iterator[str]:
    """Yields replies of an access agent that may be kept as this text: the text itself, and objects."""
    yield kept
    messages = []
    for line in kept.split("\n"):
        if line.startswith("[Agent -> ") and "]: " in line:
            target, _, text = line.removeprefix("[Agent -> ").partition("]: ")
            messages.append([target, text])
        elif messages:
            messages[-1][1] += f"\n{line}"
    yield "\n".join(message(target, text) for target, text in messages)


@needs_shared
def test_conversations_equal_those_of_the_released_evaluator() -> None:
    """The whole history is the same, and the last reply ends the episode where it ended there.

    The history of access does not have the replies themselves; there is one for which everything is the same.
    """
    cases = list(released_cases("released_conversations"))
    for case in cases:
        scenario, expected = official().by_family[case["family"]][case["scenario_id"]], case["messages"]
        greetings = 1 if case["family"] == "meeting" else 0
        said = [index for index, entry in enumerate(expected) if entry["role"] == "assistant"][greetings:]
        replies: list[str] = []
        for index, end in zip(said, (*said[1:], len(expected)), strict=False):
            kept = expected[index]["content"]
            for reply in [kept] if greetings else possible_replies(kept):
                history = played(scenario, [*replies, reply], shared_protocol()).observation.prompt
                if sent(history) == expected[:end]:
                    replies.append(reply)
                    break
        dialogue = played(scenario, replies, shared_protocol())
        assert sent(dialogue.observation.prompt) == expected, scenario.id
        assert not dialogue.finished
        dialogue.add_reply(case["final_reply"])
        answer(dialogue, lambda _: "Ok.")
        assert dialogue.finished, scenario.id
    assert len(cases) == 216


@needs_shared
def test_prompts_of_users_equal_those_of_the_released_evaluator() -> None:
    people = {
        p for name in ("access", "meeting") for scenario in official().scenarios(name) for p in scenario.principals
    }
    by_system = {shared_protocol().user_prompt(p, PrincipalView(p.name, 1, ()))[0].content: p for p in people}
    cases = list(released_cases("released_user_prompts"))
    for case in cases:
        system, *memory = case["messages"]
        person = by_system[system["content"]]
        seen = (
            Message(1, person.name, (AGENT,), entry["content"])
            if entry["role"] == "assistant"
            else delivered(1, (person.name,), entry["content"])
            for entry in memory
        )
        prompt = shared_protocol().user_prompt(person, PrincipalView(person.name, 2, tuple(seen)))
        assert sent(prompt) == case["messages"]
    assert len(cases) == 35
