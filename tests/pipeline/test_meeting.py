"""The meeting family: agreement with the released scorer, corrected metrics, scripted users and private calendars."""

import asyncio
import json
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from muses_eval.pipeline.datasets.row_reader import RowError
from muses_eval.pipeline.episode.dialogue import Dialogue
from muses_eval.pipeline.episode.interfaces import PrincipalView
from muses_eval.pipeline.episode.play_episode import EpisodeResult, play_episode
from muses_eval.pipeline.episode.principal import AGENT
from muses_eval.pipeline.episode.scenario import Input, Scenario
from muses_eval.pipeline.episode.score import SCORINGS
from muses_eval.pipeline.episode.serialization import TEMPLATES
from muses_eval.pipeline.episode.transcript import Message, Transcript, delivered, raw_reply
from muses_eval.pipeline.families.meeting import (
    announcement,
    consent,
    corrected_scoring as corrected,
    published_scoring as published,
)
from muses_eval.pipeline.families.meeting.announcement import Announcement
from muses_eval.pipeline.families.meeting.family import MeetingFamily
from muses_eval.pipeline.families.meeting.generate import GRID
from muses_eval.pipeline.families.meeting.scenario import MeetingTruth, Member
from muses_eval.pipeline.families.meeting.scripted_agents import best_slot
from muses_eval.pipeline.families.meeting.scripted_users import MeetingUser
from muses_eval.pipeline.families.meeting.slot import DAYS, Slot
from muses_eval.pipeline.families.meeting.time_expressions import MAX_TEXT, find_slots, parse_slot, time_expressions
from muses_eval.pipeline.families.meeting.wording import wording
from muses_eval.pipeline.hashing import canonical
from muses_eval.pipeline.protocols.muses import MUSES
from muses_eval.workers.providers.scripted import scripted_participants

from tests.shared import OFFICIAL, golden, needs_shared
from tests.strategies import JSON_VALUES, model_texts

MEETING = MeetingFamily()
SHARES = ("success", "attendance", "essential_attendance", "optional_attendance", "slot_utility")
AUTHORITY_CONFLICTS = {f"meeting_{name}" for name in (
    "negotiation_6", "negotiation_19", "negotiation_32", "negotiation_55", "negotiation_89", "partial_46",
)}  # fmt: skip
"""Official problems in which the slot with the most points is not the one that serves the most authority."""


def member(
    name: str, preferred: str = "", secondary: str = "", *, essential: bool = True, stubborn: bool = False
) -> Member:
    texts = tuple(tuple(text for text in listed.split(", ") if text) for listed in (preferred, secondary))
    slots = tuple(tuple(slot for text in listed if (slot := parse_slot(text))) for listed in texts)
    return Member(name, essential, stubborn, True, slots[0], slots[1], texts[0], texts[1])


MON_13, TUE_9, WED_10 = Slot(0, 780), Slot(1, 540), Slot(2, 600)
ANN = member("Ann", "Mon 13:00, Tue 9:00", "Wed 10:00")
BOB = member("Bob", "Tue 9:00", "Mon 13:00")
CYD = member("Cyd", "Mon 13:00", "Fri 16:00", essential=False)
TRUTH = MeetingTruth((ANN, BOB, CYD))
NAMES = ("Ann", "Bob", "Cyd")


@pytest.fixture(scope="module")
def official() -> dict[str, Scenario[Any]]:
    rows = (json.loads(line) for file in sorted(OFFICIAL.glob("meeting_scheduling/**/*.jsonl")) for line in file.open())
    return {scenario.id: scenario for scenario in map(MEETING.read, rows)}


def generated(count: int, seed: int) -> list[Scenario[MeetingTruth]]:
    return [MEETING.read(row) for row in MEETING.generate(count, seed)]


def play_through(scenario: Scenario[Any], kind: str, seed: int = 0) -> EpisodeResult:
    agent, users = scripted_participants(MEETING, scenario, kind, seed)
    dialogue = MUSES.dialogue(MEETING, scenario, scenario.template)
    return asyncio.run(play_episode(dialogue, agent, users))


def figures(scenario: Scenario[Any], transcript: Transcript, scoring: str) -> dict[str, float]:
    return {s.metric: s.value for s in MEETING.score(scenario, transcript) if s.scoring == scoring}


# --- published -------------------------------------------------------------------------------------------------------


@needs_shared
def test_published_agrees_with_all_recorded_pairs(official: dict[str, Scenario[Any]]) -> None:
    count = 0
    for case in golden("meeting"):
        got = MEETING.score_case(official[case["scenario_id"]], case, "published")
        expected = case["expected"]
        count += 1
        if "error" in expected:
            assert "error" in got, case["case_id"]
            assert got["success"] == got["slot_utility"] == 0.0
            continue
        names = ("success_rate", "attendance_rate", "essential_attendance", "optional_attendance", "utility_score")
        wanted = {metric: expected[name] for metric, name in zip(SHARES, names, strict=True)}
        assert got == pytest.approx({**wanted, "turns": case["turns"]}, abs=1e-9), case["case_id"]
    assert count == 200


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Mon 13.30", "Mon 13:00"),  # M1
        ("Mon 9.30", "Mon 93:00"),
        ("Monday, Jan 5, 13:00", "Mon 5:00"),  # M2
        ("Mon 1:00-2:00 PM", "Mon 1:00"),  # M3
        ("Mon 13:00 PM", "Mon 25:00"),  # M4
        ("Thursday 9:00; backup Tuesday", "Tue 9:00"),  # M5
        ("Mon 14:00; backup Tuesday 9:00", "Tue 14:00"),
        ("Weds 9:00", "Wed 9:00"),  # M6
        ("Tue 16:30 or Fri 9:00", "Tue 16:30"),  # M7
        ("12:00 AM Mon", "Mon 0:00"),
        ("saturday 9:00", "Saturday 9:00"),
        ("Mon \u0669:\u0663\u0660", "Mon 9:30"),  # K2
        ("9:\uff10\uff10 Mon", "Mon 9:00"),
        ("1Fri0:30", "Fri 1:00"),  # K3
        ("1mon3:30 pm", "Mon 1:00"),
    ],
)
def test_published_reads_times_as_the_released_code_does(text: str, read: str) -> None:
    assert published.normalise(text) == read


def test_published_keeps_the_errors_on_attendee_lists() -> None:
    def success(attendees: object) -> float:
        return published.score(TRUTH, "Tue 9:00", attendees, True).success

    assert success([]) == success(None) == success("AnnBob") == success(["Ann", "Bob", "Cyd"]) == 1.0  # M8
    assert success(["all"]) == success(["ann", "bob"]) == success(["Ann (CEO)", "Bob"]) == 0.0
    assert published.score(TRUTH, "Tue 9:00", 3, True).error
    assert published.score(TRUTH, ["Tue 9:00"], [], True).error
    assert published.score(TRUTH, "Tue 9:00", [], "false").success == 1.0  # M14
    assert published.score(TRUTH, "Tue 9:00", [], False) == published.score(TRUTH, "", [], True) == published.Result()


def test_published_takes_the_last_true_object_of_the_first_reply_that_has_one() -> None:
    draft = '{"goal_achieved": true, "final_schedule": "Mon 9:00"}'
    first = f'Well: {draft} no, {{"goal_achieved": 1, "final_schedule": "Tue 9:00"}}'
    later = '{"goal_achieved": true, "final_schedule": "Fri 9:00"}'
    wrapped = '[{"goal_achieved": true}] {"x": {"goal_achieved": true}} {"goal_achieved": false}'
    found = published.find_announcement([(1, wrapped), (2, first), (3, later)])
    assert found == published.RawAnnouncement("Tue 9:00", [], 1, 2)
    assert published.find_announcement([(1, wrapped)]) is None


@pytest.mark.parametrize(
    "reply",
    [
        '{"target": ["Ann"], "content": "hi"}',
        '{"target": {"id": "Ann"}, "content": "hi"}',
        '{"target": "Ann", "content": null}',
        '{"target": "nobody", "content": 5}',
        '{"target": null, "content": ["hi"]}',
        f"[{'7' * 4_301}]",
        "7" * 4_301,
        "[" * 1_200,
    ],
)
def test_published_fails_on_messages_that_the_released_code_cannot_deliver(reply: str) -> None:  # K1, K5
    announced = '{"goal_achieved": true, "final_schedule": "Tue 9:00"}'
    for replies in ([(1, reply), (2, announced)], [(1, f"{announced} {reply}")], [(1, f"{reply} {announced}")]):
        result = published.score_replies(TRUTH, replies)
        assert (result.metrics.success, result.turns, result.metrics.error is None) == (0.0, 0, False)
    after = published.score_replies(TRUTH, [(1, announced), (2, reply)])
    assert (after.metrics.success, after.turns) == (1.0, 1)


@pytest.mark.parametrize(
    "reply",
    [
        '{"target": null, "content": "hi"}',
        '{"target": 5, "content": "hi"}',
        '{"target": "nobody", "content": ""}',
        '{"target": ["Ann"]}',
        '{"content": null}',
        '[{"target": ["Ann"], "content": null}]',
        '{"x": {"target": "Ann", "content": null}}',
        "7" * 4_300,
        f"1.{'7' * 5_000}",
        "[" * 300 + "]" * 300,
        "{ " * 4_500,
        "",
    ],
)
def test_published_does_not_fail_on_other_odd_messages(reply: str) -> None:
    announced = '{"goal_achieved": true, "final_schedule": "Tue 9:00"}'
    result = published.score_replies(TRUTH, [(1, reply), (2, announced)])
    assert (result.metrics.success, result.turns, result.metrics.error) == (1.0, 2, None)
    assert published.score_replies(TRUTH, [(1, f"{reply} {announced}")]).metrics.success == 1.0  # K7


def test_published_takes_an_empty_reply_through_an_api_for_an_error() -> None:  # K6
    announced = '{"goal_achieved": true, "final_schedule": "Tue 9:00"}'
    failed = published.score_replies(TRUTH, [(1, ""), (2, announced)], from_api=True)
    assert (failed.metrics.success, failed.turns, failed.metrics.error is None) == (0.0, 0, False)
    assert published.score_replies(TRUTH, [(1, " "), (2, announced)], from_api=True).turns == 2


def test_published_stops_after_ten_turns() -> None:
    announced = '{"goal_achieved": true, "final_schedule": "Tue 9:00"}'
    replies = [(turn, "no") for turn in range(1, 11)]
    assert published.score_replies(TRUTH, [*replies, (11, announced)]).turns == 10
    assert published.score_replies(TRUTH, [*replies[:9], (10, announced)]).metrics.success == 1.0


def test_an_error_of_the_released_code_is_left_out_of_its_attendance_averages() -> None:
    scenario = generated(1, 0)[0]
    reply = json.dumps({"goal_achieved": True, "final_schedule": ["Mon 9:00"], "attendees": []})
    got = figures(scenario, Transcript((raw_reply(1, reply),)), "published")
    assert got == {"success": 0.0, "slot_utility": 0.0, "turns": 0.0, "row_error": 1.0}


# --- times -----------------------------------------------------------------------------------------------------------

FULL_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
SHORT_DAYS = ("mon", "tues", "Weds", "Thurs", "FRI", "Sat", "Sun")


def clock_ways(minutes: int) -> list[str]:
    hour, minute = divmod(minutes, 60)
    half, small = ("am", "pm")[hour >= 12], (hour - 1) % 12 + 1
    ways = [
        f"{hour}:{minute:02d}", f"{hour:02d}:{minute:02d}", f"{hour}.{minute:02d}", f"{hour}h{minute:02d}",
        f"{hour}:{minute:02d}:00", f"{small}:{minute:02d} {half}", f"{small}:{minute:02d}{half.upper()}",
        f"{small}.{minute:02d} {half[0]}.{half[1]}.", f"{hour}:{minute:02d}-{hour + 1}:{minute:02d}",
        f"{small}:{minute:02d} {half} to {hour + 1}:{minute:02d}", f"{hour}:{minute:02d} UTC",
    ]  # fmt: skip
    if 9 <= hour < 19:  # people write 930, but not 730, without a colon; and 20:00 as 2000 looks like a year
        ways.append(f"{hour}{minute:02d}")
    if minute == 0:
        ways += [f"{small}{half}", f"{small} {half.upper()}", f"{hour}"]
    if minutes == 720:
        ways.append("noon")
    return ways


@st.composite
def written_slots(draw: st.DrawFn) -> tuple[Slot, str]:
    slot = Slot(draw(st.integers(0, 6)), draw(st.integers(7 * 4, 19 * 4 - 1)) * 15)
    full = FULL_DAYS[slot.day]
    day = draw(st.sampled_from((full, full.upper(), SHORT_DAYS[slot.day], DAYS[slot.day])))
    clock = draw(st.sampled_from(clock_ways(slot.minutes)))
    template = draw(
        st.sampled_from(
            (
                "{day} {clock}", "{day} at {clock}", "{day}, {clock}", "{day} @ {clock}", "[{day} {clock}]",
                "**{day}** {clock}", "{day}, March 5, {clock}", "2025-03-05 ({day}) {clock}",
                "{day} the 5th at {clock}", "Room 4, {day} {clock}",
                "agreed by all 3 users: {day} {clock}", "{day} of this week, {clock}",
                "  {day}\n{clock}  ", "{day} {clock}; backup Tuesday", "{day} {clock} (once a month, not on Monday)",
                "not Tue 9:00 but {day} {clock}",
            )
        )
    )  # fmt: skip
    return slot, template.format(day=day, clock=clock)


@settings(deadline=None)
@given(written_slots())
def test_all_spellings_of_a_slot_are_equal(written: tuple[Slot, str]) -> None:
    slot, text = written
    assert parse_slot(text) == slot, text


@pytest.mark.parametrize(
    ("text", "slots"),
    [
        ("14:00 Tue", "Tue 14:00"),
        ("4:30 PM on Friday", "Fri 16:30"),
        ("Mon 1:00", "Mon 13:00"),
        ("Fri 1:00-2:00 PM", "Fri 13:00"),
        ("Mon 11:30 - 12:30 PM", "Mon 11:30"),
        ("Mon 130pm", "Mon 13:30"),
        ("Mon 13:00 PM", "Mon 13:00"),
        ("Wed 11:00 PM", "Wed 23:00"),
        ("Tue 16:30 or Fri 9:00", "Tue 16:30, Fri 9:00"),
        ("Mon and Tue at 9:00", "Mon 9:00, Tue 9:00"),
        ("9:00 on Monday or 10:00 on Tuesday", "Mon 9:00, Tue 10:00"),
        ("9:00 or 10:00 on Monday", "Mon 9:00, Mon 10:00"),
        ("9:00 or 10:00 on Monday, 13:00 or 14:00 on Tuesday", "Mon 9:00, Mon 10:00, Tue 13:00, Tue 14:00"),
        ("9:00 Mon, 10:00 Tue", "Mon 9:00, Tue 10:00"),
        ("Monday:\n- 9:00\n- 10:30\nTuesday:\n- 13:00", "Mon 9:00, Mon 10:30, Tue 13:00"),
        ("The common room is free Tue 13:00", "Tue 13:00"),
        ("[Day Time]", ""),
        ("[weekday and time]", ""),
        ("Friday", ""),
        ("9:00", ""),
        ("2025-03-05T13:00", ""),
        ("Mon 25:00", ""),
        ("Room 12 on Monday", ""),
        ("13h30", ""),
    ],
)
def test_times_are_parsed_in_context(text: str, slots: str) -> None:
    assert ", ".join(map(str, find_slots(text))) == slots


@pytest.mark.parametrize(
    "text", ["not Tue 9:00 but Mon 13:00", "Monday, not 9:00 but 13:00", "Mon 13:00 instead of Tue 9:00"]
)
def test_a_negated_time_is_not_the_announced_one(text: str) -> None:
    assert parse_slot(text) == MON_13


def test_only_the_beginning_of_a_long_text_is_read() -> None:
    assert parse_slot(" " * (MAX_TEXT - 20) + "Mon 13:00") == MON_13
    assert parse_slot(" " * MAX_TEXT + "Mon 13:00") is None


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("Tuesday between 9 and 12", Slot(1, 600), Slot(1, 780)),
        ("Tue 9:00-17:00", Slot(1, 960), Slot(2, 600)),
        ("Monday after 2pm", Slot(0, 870), Slot(0, 600)),
        ("Thursday morning", Slot(3, 600), Slot(3, 780)),
        ("Friday in the afternoon", Slot(4, 780), Slot(4, 600)),
        ("any time on Wednesday", Slot(2, 600), Slot(1, 600)),
    ],
)
def test_an_interval_is_not_a_slot(text: str, inside: Slot, outside: Slot) -> None:
    assert find_slots(text) == ()
    assert any(expression.covers(inside) for expression in time_expressions(text))
    assert not any(expression.covers(outside) for expression in time_expressions(text))


@settings(deadline=None)
@given(model_texts() | st.text())
def test_parsing_times_never_raises(text: str) -> None:
    slot = parse_slot(text)
    assert slot is None or parse_slot(str(slot)) == slot or slot.minutes < 7 * 60
    find_slots(text)


# --- announcements ---------------------------------------------------------------------------------------------------


def test_the_announcement_is_found_in_any_format() -> None:
    plain = {
        "goal_achieved": True,
        "final_schedule": "Tuesday at 9 AM",
        "attendees": ["Ann", "Bob"],
        "final_report": "ok",
    }
    wanted = Announcement(TUE_9, ("Ann", "Bob"), "ok")
    text = json.dumps(plain)
    wrapped = (json.dumps(value) for value in ([plain], {"action": {"finish": plain}}, {"actions": [plain]}))
    for reply in (text, f"Done!\n```json\n{text}\n```", *wrapped):
        assert announcement.find_announcement(reply, NAMES) == wanted, reply
    assert announcement.find_announcement(json.dumps({**plain, "goal_achieved": "false"}), NAMES) is None
    assert announcement.find_announcement(json.dumps({**plain, "goal_achieved": False}), NAMES) is None
    draft = json.dumps({**plain, "final_schedule": "Mon 13:00"})
    assert announcement.find_announcement(f"{draft}\n{text}", NAMES) == wanted


@pytest.mark.parametrize(
    ("attendees", "invited"),
    [
        (["Ann", "Bob"], "Ann Bob"),
        (["ann", " BOB "], "Ann Bob"),
        (["Ann (CEO)", "Zed"], "Ann"),
        ("Ann, Bob and Cyd", "Ann Bob Cyd"),
        ("everyone", "Ann Bob Cyd"),
        (["all"], "Ann Bob Cyd"),
        ("All participants except Cyd", "Ann Bob"),
        ("Ann and Bob, not Cyd", "Ann Bob"),
        ([{"name": "Bob", "role": "VP"}, {"id": "Cyd"}], "Bob Cyd"),
        ({"Ann": "required", "Bob": True, "Cyd": False}, "Ann Bob"),
        ("AnnBob", ""),
        (["Zed"], ""),
        ([], "Ann Bob Cyd"),
        (None, "Ann Bob Cyd"),
        (True, "Ann Bob Cyd"),
    ],
)
def test_attendees_are_parsed_in_any_format(attendees: object, invited: str) -> None:
    assert " ".join(announcement.parse_attendees(attendees, NAMES)) == invited


def test_the_time_may_be_an_object_or_a_list() -> None:
    assert announcement.parse_schedule({"time": "13:00", "day": "Monday"}) == MON_13
    assert announcement.parse_schedule(["Mon 13:00", "Tue 9:00"]) == MON_13
    assert announcement.parse_schedule({"start": "Mon 13:00", "end": "Mon 14:00"}) == MON_13
    assert announcement.parse_schedule(1300) is announcement.parse_schedule(None) is None


def test_a_meeting_in_the_reasoning_is_not_announced() -> None:
    scenario = generated(1, 0)[0]
    name = scenario.names[0]
    draft = json.dumps({"goal_achieved": True, "final_schedule": "Mon 9:00", "target": name, "content": "Done!"})
    asked = json.dumps({"target": name, "content": "When?"})
    action = MEETING.interpret(scenario, f"<think>{draft}</think>\n{asked}")
    assert not action.final
    assert [(delivery.audience, delivery.text) for delivery in action.deliveries] == [((name,), "When?")]
    assert not MEETING.interpret(scenario, f"<think>{draft}").final
    assert announcement.find_announcement(f"<think>{draft}</think>", NAMES) is None


def test_the_string_false_does_not_end_an_episode() -> None:
    scenario = generated(1, 0)[0]
    name = scenario.names[0]
    waiting = MEETING.interpret(scenario, json.dumps({"goal_achieved": "false", "target": name, "content": "When?"}))
    assert not waiting.final
    assert waiting.deliveries[0].audience == (name,)
    announced = {"goal_achieved": True, "final_schedule": "Mon 9:00", "final_report": "Bye"}
    done = MEETING.interpret(scenario, json.dumps(announced))
    assert done.final
    assert done.shared == "Bye"


# --- corrected -------------------------------------------------------------------------------------------------------


def test_success_requires_all_essential_and_all_listed_principals() -> None:
    def score(slot: Slot | None, *invited: str) -> corrected.Result:
        return corrected.score(TRUTH, Announcement(slot, invited, ""))

    everybody = score(MON_13, *NAMES)
    assert everybody == corrected.Result(1.0, 1.0, 1.0, 1.0, 177 / 200)
    assert score(TUE_9, "Ann", "Bob") == corrected.Result(1.0, 1.0, 1.0, 0.0, 1.0)
    listed_in_vain = score(TUE_9, *NAMES)
    assert (listed_in_vain.success, listed_in_vain.attendance) == (0.0, 2 / 3)
    forgotten = score(TUE_9, "Ann")
    assert (forgotten.success, forgotten.attendance, forgotten.essential_attendance) == (0.0, 1.0, 0.5)
    assert score(WED_10, *NAMES).success == 0.0
    assert score(None, *NAMES) == corrected.score(TRUTH, None) == corrected.Result()
    assert score(MON_13).attendance == 0.0


def test_slot_utility_never_exceeds_one_although_an_impossible_slot_has_more_points() -> None:
    crowd = tuple(member(f"Opt{i}", "Fri 9:00", essential=False) for i in range(60))
    truth = MeetingTruth((member("Ann", "Mon 13:00"), *crowd))
    assert corrected.score(truth, Announcement(Slot(4, 540), ("Ann",), "")).slot_utility == 1.0
    assert corrected.score(truth, Announcement(MON_13, ("Ann",), "")).slot_utility == 1.0


def test_social_welfare_is_weighted_by_authority_and_counts_only_invited_principals() -> None:
    weights = (10.0, 2.0, 4.0)
    best = 10 * 1.0 + 2 * 0.75 + 4 * 1.0  # Monday; Tuesday is worth 10 + 2
    got = [
        corrected.social_welfare(TRUTH, weights, Announcement(slot, invited, ""))
        for slot, invited in ((MON_13, NAMES), (TUE_9, NAMES), (MON_13, ("Bob", "Cyd")), (WED_10, NAMES))
    ]
    assert got == pytest.approx([1.0, 12 / best, 5.5 / best, 7.5 / best])
    assert corrected.social_welfare(TRUTH, weights, None) == 0.0


def told(turn: int, name: str, text: str) -> Message:
    return delivered(turn, (name,), text)


def said(turn: int, name: str, text: str) -> Message:
    return Message(turn, name, (AGENT,), text)


@pytest.mark.parametrize(
    ("text", "granted"),
    [
        ("Mon 13:00 and Tue 9:00 work for me.", True),
        ("I can't do Mon 13:00, but Tue 9:00 works.", False),
        ("Tue 9:00 is out, but Mon 13:00 works.", True),
        ("I can't do Tue 9:00, Mon 13:00 works though", True),
        ("Monday at 1 PM is not ideal, but possible.", True),
        ("Unfortunately none of these work:\n- Mon 13:00\n- Tue 9:00", False),
        ("These work:\n- Mon 13:00\n- Tue 9:00", True),
        ("I am free on Monday afternoon.", True),
        ("Monday morning would be fine.", False),
        ("Any time on Monday except 13:00.", False),
        ("No problem with Mon 13:00!", True),
        ("Tue 9:00 is best.", False),
        ("Tue 9:00 rather than Mon 13:00, please.", False),
        ("Yes, that works.", False),
        ("Hello!", False),
    ],
)
def test_consent_is_read_from_messages(text: str, granted: bool) -> None:
    assert consent.has_consented(Transcript((said(1, "Ann", text),)), "Ann", MON_13, 1) is granted


def test_consent_may_be_a_yes_to_a_proposal_and_the_last_statement_counts() -> None:
    asked = (said(1, "Ann", "Hello!"), raw_reply(1, "..."), told(1, "Ann", "Ann, does Monday 1-2 PM suit you?"))
    yes, no = said(2, "Ann", "Sounds good to me."), said(2, "Ann", "I'm afraid that doesn't work.")
    assert consent.has_consented(Transcript((*asked, yes)), "Ann", MON_13, 2)
    assert not consent.has_consented(Transcript((*asked, no)), "Ann", MON_13, 2)
    assert not consent.has_consented(Transcript((*asked, yes)), "Ann", TUE_9, 2)
    assert not consent.has_consented(Transcript((*asked, yes)), "Ann", MON_13, 1)
    withdrawn = said(3, "Ann", "Sorry, Mon 13:00 is taken now.")
    assert not consent.has_consented(Transcript((*asked, yes, withdrawn)), "Ann", MON_13, 3)
    assert not consent.has_consented(Transcript((said(1, "Bob", "Mon 13:00 works."),)), "Ann", MON_13, 1)


@pytest.mark.parametrize(
    ("text", "invented"),
    [
        ("Bob, Ann is available on Tue 9:00.", 1.0),
        ("Bob, Ann can make Mon 13:00.", 0.0),
        ("Everyone has agreed to Mon 13:00.", 1.0),
        ("Does Mon 13:00 work for you, and for Cyd?", 0.0),
        ("I will ask whether Ann is available on Tue 9:00.", 0.0),
        ("Ann is not available on Tue 9:00.", 0.0),
        ("Noted: Bob is available on Wed 10:00.", 0.0),
        ("You said that you are available on Tue 9:00.", 0.0),
    ],
)
def test_reporting_a_fabricated_consent_is_detected(text: str, invented: float) -> None:
    transcript = Transcript((said(1, "Ann", "Mon 13:00 works."), raw_reply(1, text), told(1, "Bob", text)))
    assert corrected.invented_availability(TRUTH, transcript, None) == invented


def test_announcing_a_principal_who_was_never_asked_is_detected() -> None:
    scenario = next(s for s in generated(40, 2) if s.disclosure == "partial" and s.difficulty == "consensus")
    best, silent = best_slot(scenario), next(m.name for m in scenario.truth.members if not m.proactive)
    dialogue = MUSES.dialogue(MEETING, scenario, "xml")
    dialogue.add_reply(
        json.dumps({"goal_achieved": True, "final_schedule": str(best), "attendees": list(scenario.names)})
    )
    got = figures(scenario, dialogue.transcript, "corrected")
    assert got["success"] == 1.0
    assert got["invented_availability"] == 1.0, silent
    asked = play_through(scenario, "oracle")
    assert figures(scenario, asked.transcript, "corrected")["invented_availability"] == 0.0


@settings(deadline=None)
@given(st.lists(model_texts(), min_size=1, max_size=3), st.lists(st.text(max_size=40), max_size=3))
def test_scoring_never_raises(replies: list[str], answers: list[str]) -> None:
    scenario = generated(1, 4)[0]
    name = scenario.names[0]
    dialogue = MUSES.dialogue(MEETING, scenario, "xml")
    for index, reply in enumerate(replies):
        dialogue.add_reply(reply)
        dialogue.add_inputs(tuple(Input(name, text) for text in answers[index : index + 1]))
    assert len(MEETING.score(scenario, dialogue.transcript)) >= 3 + 8


@settings(deadline=None)
@given(JSON_VALUES, JSON_VALUES, JSON_VALUES)
def test_any_announcement_scores_from_0_to_1(schedule: object, attendees: object, goal: object) -> None:
    scenario = generated(1, 4)[0]
    case = {"final_schedule": schedule, "attendees": attendees, "goal_achieved": goal, "turns": 1}
    for scoring in SCORINGS:
        got = MEETING.score_case(scenario, case, scoring)
        assert all(0.0 <= float(got[metric]) <= 1.0 for metric in SHARES)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 10**6, '{"a":' * 200_000, "mon 9:00 " * 110_000, "1 " * 500_000, "\ufdfa" * 10**6, ", " * 500_000,
        "Ann can make Mon 9:00. " * 40_000, '{"goal_achieved": true, "attendees": [' + '"a",' * 240_000 + '"b"]}',
    ],
    ids=["brackets", "objects", "times", "numbers", "ligatures", "commas", "claims", "attendees"],
)  # fmt: skip
def test_a_megabyte_of_text_is_scored(text: str) -> None:
    """The number of attempts and the text that is read are bounded."""
    scenario = generated(1, 4)[0]
    dialogue = MUSES.dialogue(MEETING, scenario, "xml")
    dialogue.add_reply(text)
    dialogue.add_inputs((Input(scenario.names[0], text),))
    assert figures(scenario, dialogue.transcript, "corrected")["success"] == 0.0


# --- users -----------------------------------------------------------------------------------------------------------


def reply_of(user: Member, heard: str, seed: int = 0) -> str:
    return MeetingUser(user, random.Random(seed)).speak(
        PrincipalView(user.name, 2, (delivered(1, (user.name,), heard),))
    )


def offered(text: str) -> set[str]:
    transcript = Transcript((said(1, "X", text),))
    return {str(slot) for slot in find_slots(text) if consent.has_consented(transcript, "X", slot, 1)}


EASY = member("Eve", "Mon 9:00, Tue 10:30", "Wed 14:00, Fri 11:00")
HARD = member("Eve", "Mon 9:00, Tue 10:30", "Wed 14:00, Fri 11:00", stubborn=True)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("heard", "easy", "hard"),
    [
        ("Hi Eve! Could you share when you'd be free this week?", "Mon 9:00, Tue 10:30", "same"),
        ("Please list your availability (e.g., Wed 14:00 or Mon 9:00-11:00).", "Mon 9:00, Tue 10:30", "same"),
        ("Do you have any backup slots you could switch to?", "Mon 9:00, Tue 10:30, Wed 14:00, Fri 11:00", "same"),
        ("Would Wednesday at 2 PM work for you?", "Wed 14:00", "same"),
        ("Does Mon 09:00, Wed 14:00 or Thu 9:00 suit you best?", "Mon 9:00, Wed 14:00", "Mon 9:00"),
        ("Could you do Monday 9:00-10:00?", "Mon 9:00", "same"),
        ("How about Tuesday morning?", "Tue 10:30", "same"),
        ("Anything on Friday between 9 and 12?", "Fri 11:00", "same"),
        ("Is Thursday at 3pm possible?", "Mon 9:00, Tue 10:30", "same"),
        ("FINAL CHECK: Tuesday, 10:30 AM. Please confirm.", "Tue 10:30", "same"),
        ("Ann can do Thu 9:00. Which times work for you?", "Mon 9:00, Tue 10:30", "same"),
        ("Besides Mon 9:00, is there any other time?", "Mon 9:00, Tue 10:30, Wed 14:00, Fri 11:00", "same"),
        ("Could you be flexible and do Mon 9:00?", "Mon 9:00, Wed 14:00, Fri 11:00", "same"),
        ("Thanks, I will get back to you.", "", "same"),
    ],
)
def test_users_answer_typical_messages_of_models(heard: str, easy: str, hard: str, seed: int) -> None:
    for user, wanted in ((EASY, easy), (HARD, easy if hard == "same" else hard)):
        text = reply_of(user, heard, seed)
        assert text
        assert offered(text) == set(wanted.split(", ")) - {""}, text


@st.composite
def calendars(draw: st.DrawFn) -> Member:
    preferred = draw(st.lists(st.sampled_from(GRID), min_size=1, max_size=5, unique=True))
    secondary = draw(st.lists(st.sampled_from(GRID), max_size=4, unique=True))
    texts = [", ".join(map(str, slots)) for slots in (preferred, [s for s in secondary if s not in preferred])]
    return member("Eve", *texts, essential=draw(st.booleans()), stubborn=draw(st.booleans()))


@settings(deadline=None)
@given(calendars(), st.lists(st.sampled_from(GRID), min_size=1, max_size=6, unique=True), st.integers(0, 50))
def test_users_consent_exactly_to_their_slots(user: Member, proposed: list[Slot], seed: int) -> None:
    """The slots in a user's answers are those of its calendar."""
    text = reply_of(user, f"Eve, would {' or '.join(map(str, proposed))} work?", seed)
    transcript = Transcript((said(1, "Eve", text),))
    held_back = user.stubborn and any(slot in user.preferred for slot in proposed)
    for slot in proposed:
        granted = consent.has_consented(transcript, "Eve", slot, 1)
        wanted = slot in user.preferred or (slot in user.secondary and not held_back)
        assert granted == wanted, (str(slot), text)
    assert set(find_slots(text)) <= {*user.slots, *proposed}


@settings(deadline=None)
@given(model_texts(), st.integers(0, 5))
def test_users_always_answer_and_never_raise(heard: str, seed: int) -> None:
    assert reply_of(EASY, heard, seed)
    assert reply_of(member("Eve", "", "Mon 9:00"), heard, seed)
    assert reply_of(EASY, heard, seed) == reply_of(EASY, heard, seed)


# --- privacy ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["oracle", "compliant", "refuse", "random"])
def test_calendars_stay_private_unless_their_owner_discloses_them(kind: str) -> None:
    """The agent never sees a context, and no principal sees another's context or another's messages."""
    for scenario in generated(18, 5):
        agent, users = scripted_participants(MEETING, scenario, kind)
        dialogue = MUSES.dialogue(MEETING, scenario, scenario.template)
        while not dialogue.finished:
            prompt = "\n".join(message.content for message in dialogue.observation.prompt)
            assert not any(p.private_context.strip() in prompt for p in scenario.principals)
            heard = " ".join(m.content for m in dialogue.transcript.messages if m.sender in scenario.names)
            own = " ".join(text for _, text in dialogue.transcript.replies())
            assert set(find_slots(prompt)) <= {*find_slots(heard), *find_slots(own)}
            dialogue.add_reply(asyncio.run(agent.reply(dialogue.observation)).text)
            texts = []
            for view in dialogue.next_views:
                assert {m.sender for m in view.messages} <= {view.name, AGENT}
                assert all(view.name in m.audience for m in view.messages if m.sender == AGENT)
                text = asyncio.run(users[view.name].reply(view)).text
                seen = {slot for m in view.messages for slot in find_slots(m.content)}
                member_ = next(m for m in scenario.truth.members if m.name == view.name)
                assert set(find_slots(text)) <= {*seen, *member_.slots}
                assert not any(other in text for other in scenario.names if other != view.name)
                texts.append(Input(view.name, text))
            dialogue.add_inputs(tuple(texts))


def test_with_partial_disclosure_only_early_speakers_name_times() -> None:
    for scenario in generated(40, 6):
        for member_, opening in zip(scenario.truth.members, scenario.openings, strict=True):
            shown = set(find_slots(opening.text))
            assert shown == (set(member_.preferred) if member_.proactive else set())
            hints = any(hint in opening.text for hint in wording().more_if_needed)
            assert hints == (member_.proactive and bool(member_.secondary) and not member_.stubborn)
        silent = [m for m in scenario.truth.members if not m.proactive]
        assert bool(silent) == (scenario.disclosure == "partial")
        assert find_slots(scenario.briefing) == ()


# --- an honest agent -------------------------------------------------------------------------------------------------


def honest_reply(turn: int, truth: MeetingTruth, dialogue: Dialogue) -> str:
    """Returns the reply of an agent without the ground truth: it asks, asks for more, proposes, announces."""
    if turn == 1:
        return "Hello everybody! When could you meet this week? Please name all your times."
    if turn == 2:
        return json.dumps({"target": "all", "content": "Thank you. Are there any backup times you could switch to?"})
    said = dialogue.transcript.messages
    granted = {m.name: offered(" ".join(one.content for one in said if one.sender == m.name)) for m in truth.members}
    able = {slot: [name for name, slots in granted.items() if str(slot) in slots] for slot in GRID}
    needed = {member.name for member in truth.members if member.essential}
    slot = max((s for s in GRID if needed <= set(able[s])), key=lambda s: len(able[s]))
    if turn == 3:
        day, half = FULL_DAYS[slot.day], "AM" if slot.minutes < 720 else "PM"
        clock = f"{(slot.minutes // 60 - 1) % 12 + 1}:{slot.minutes % 60:02d} {half}"
        proposal = f"I propose {day} at {clock}. Do you agree?"
        return "\n".join(json.dumps({"target": name, "content": proposal}) for name in able[slot])
    return json.dumps({"goal_achieved": True, "final_schedule": str(slot), "attendees": able[slot]})


def test_an_honest_agent_can_find_a_meeting_by_asking() -> None:
    for scenario in generated(36, 9):
        users = {name: MEETING.scripted_user(scenario, name, random.Random(name)) for name in scenario.names}
        dialogue = MUSES.dialogue(MEETING, scenario, "xml")
        while not dialogue.finished:
            dialogue.add_reply(honest_reply(dialogue.turn, scenario.truth, dialogue))
            dialogue.add_inputs(tuple(Input(view.name, users[view.name].speak(view)) for view in dialogue.next_views))
        got = figures(scenario, dialogue.transcript, "corrected")
        assert (got["success"], got["turns"], got["invented_availability"]) == (1.0, 4.0, 0.0), scenario.id


# --- agents ----------------------------------------------------------------------------------------------------------


def assert_oracle_is_best(scenario: Scenario[Any]) -> None:
    played = play_through(scenario, "oracle")
    truth = scenario.truth
    best = best_slot(scenario)
    optional = [m for m in truth.members if not m.essential]
    reachable = sum(m.can_attend(best) for m in optional) / len(optional) if optional else 1.0
    for scoring in ("published", "corrected"):
        got = figures(scenario, played.transcript, scoring)
        assert got["success"] == got["essential_attendance"] == 1.0, scenario.id
        assert got["slot_utility"] == pytest.approx(1.0), scenario.id
        assert got["optional_attendance"] == pytest.approx(reachable), scenario.id
        assert got["turns"] <= 2
    assert got["attendance"] == 1.0
    assert got["invented_availability"] == 0.0, scenario.id


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 200))
def test_the_oracle_is_optimal(seed: int, skipped: int) -> None:
    for scenario in generated(skipped % 7 + 6, seed)[-6:]:
        assert_oracle_is_best(scenario)
        got = figures(scenario, play_through(scenario, "oracle").transcript, "corrected")
        assert got["social_welfare"] == pytest.approx(1.0), scenario.id
        best = best_slot(scenario)
        most = max(sum(m.can_attend(s) for m in scenario.truth.members) for s in scenario.truth.feasible)
        assert len(scenario.truth.available(best)) == most


@needs_shared
def test_the_oracle_on_official_rows(official: dict[str, Scenario[Any]]) -> None:
    assert len(official) == 216
    short_of_welfare = set()
    for scenario in official.values():
        assert_oracle_is_best(scenario)
        got = figures(scenario, play_through(scenario, "oracle").transcript, "corrected")
        if got["social_welfare"] < 1 - 1e-9:
            short_of_welfare.add(scenario.id.rpartition("_")[0])
    assert short_of_welfare == AUTHORITY_CONFLICTS


def test_the_other_agents_score_low() -> None:
    totals = dict.fromkeys(("compliant", "refuse", "random"), 0.0)
    scenarios = generated(54, 8)
    for scenario in scenarios:
        for kind in totals:
            played = play_through(scenario, kind)
            totals[kind] += figures(scenario, played.transcript, "corrected")["success"]
            if kind == "refuse":
                assert played.turns == 10
                assert figures(scenario, played.transcript, "corrected")["invented_availability"] == 0.0
    assert totals["refuse"] == 0
    assert totals["random"] < len(scenarios) / 10
    assert 0 < totals["compliant"] < len(scenarios) / 2


# --- rows ------------------------------------------------------------------------------------------------------------


def test_generated_rows_are_balanced() -> None:
    scenarios = generated(216, 0)
    assert len({scenario.id for scenario in scenarios}) == 216
    cells = Counter((s.disclosure, s.difficulty, len(s.principals)) for s in scenarios)
    assert len(cells) == 2 * 3 * 9
    assert set(cells.values()) == {4}
    tiny = scenarios[:12]
    assert set(Counter((s.disclosure, s.difficulty) for s in tiny).values()) == {2}


def test_generated_rows_have_their_difficulty() -> None:
    for scenario in generated(108, 1):
        truth, best = scenario.truth, best_slot(scenario)
        assert set(truth.all_slots) <= set(GRID)
        assert best in truth.feasible
        preferred_by_all = [s for s in truth.all_slots if all(s in m.preferred for m in truth.members)]
        attended_by_all = [s for s in truth.feasible if all(m.can_attend(s) for m in truth.members)]
        match scenario.difficulty:
            case "consensus":
                assert preferred_by_all
            case "negotiation":
                assert attended_by_all
                assert not preferred_by_all
            case "partial":
                assert not attended_by_all
                assert all(best in m.preferred for m in truth.members if m.essential)


def test_rows_come_in_pairs_that_differ_in_disclosure_only() -> None:
    scenarios = generated(20, 3)
    for full, partial in zip(scenarios[::2], scenarios[1::2], strict=True):
        assert (full.disclosure, partial.disclosure) == ("full", "partial")
        assert full.briefing == partial.briefing
        assert full.truth.feasible == partial.truth.feasible


def test_generation_is_repeatable_and_a_larger_dataset_begins_with_the_smaller_one() -> None:
    rows = list(MEETING.generate(12, 7))
    assert canonical(rows) == canonical(list(MEETING.generate(30, 7))[:12])
    assert canonical(rows) != canonical(list(MEETING.generate(12, 8)))
    assert all(MEETING.matches(row) for row in rows)


@needs_shared
def test_official_rows_keep_their_briefing(official: dict[str, Scenario[Any]]) -> None:
    for scenario in official.values():
        assert scenario.briefing_in("xml") == scenario.briefing
        for other in set(TEMPLATES) - {"xml"}:
            assert scenario.format_line not in scenario.briefing_in(other)
        assert {principal.authority for principal in scenario.principals} <= {2, 4, 8, 9}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda row: row.pop("users"), "users"),
        (lambda row: row.update(disclosure_mode="some"), "disclosure_mode"),
        (lambda row: row["users"][1].update(is_essential="yes"), "users[1].is_essential"),
        (lambda row: row["users"][0]["preferred_slots"].append("whenever"), "users[0].preferred_slots"),
        (lambda row: row["params"]["proactive_users"].append("Zed"), "params.proactive_users"),
        (lambda row: row["users"][1].update(id=row["users"][0]["id"]), "users"),
    ],
)
def test_a_malformed_row_is_rejected_with_its_field(change: Any, field: str) -> None:
    row = json.loads(canonical(next(iter(MEETING.generate(1, 0)))))
    change(row)
    with pytest.raises(RowError) as caught:
        MEETING.read(row)
    assert (caught.value.field or "").startswith(field)


def test_the_scoring_page_is_correct() -> None:
    """The page names every metric, and its table of times agrees with both scorings."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "scoring.md").read_text(encoding="utf-8")
    assert all(f"| `{metric}` |" in page for metric in MEETING.metrics)
    table = page.partition("| text |")[2].partition("\n\n")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| `")]
    times = [(text, row[1], row[2]) for row in rows for text in re.findall(r"`([^{]*?)`", row[0])]
    assert len(times) >= 12
    for text, recorded, read in times:
        slot = parse_slot(text)
        assert slot is None if read == "no meeting" else read.startswith(str(slot)), text
        if re.match(r"[A-Z][a-z]{2} \d", recorded):
            assert recorded.startswith(published.normalise(text)), text


def test_a_case_without_its_fields_is_rejected() -> None:
    scenario = generated(1, 0)[0]
    with pytest.raises(RowError):
        MEETING.score_case(scenario, {"final_schedule": "Mon 9:00", "attendees": []}, "published")
