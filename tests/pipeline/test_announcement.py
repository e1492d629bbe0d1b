"""The agent's announcement: keys, wrappers, templates, conditions, and which of several counts."""

import json

import pytest
from hypothesis import given, settings, strategies as st
from muses_eval.pipeline.families.meeting.announcement import find_announcement
from muses_eval.pipeline.families.meeting.schedule_values import parse_schedule
from muses_eval.pipeline.families.meeting.slot import Slot

from tests.strategies import JSON_VALUES, model_texts

NAMES = ("Ann", "Bob", "Cyd")
TUE = Slot(1, 570)
PLAIN = {"goal_achieved": True, "final_schedule": "Tue 9:30", "attendees": ["Ann", "Bob"], "final_report": "ok"}
TEXT = json.dumps(PLAIN)
DRAFT = json.dumps({**PLAIN, "final_schedule": "Mon 9:00", "attendees": ["Cyd"]})
REAL = [
    TEXT,
    f"Done! {TEXT}",
    f"{TEXT}\n\nThank you all.",
    f"```json\n{TEXT}\n```",
    f"```\n{json.dumps(PLAIN, indent=2)}\n```",
    f"[{TEXT}]",
    f"Here is the final result: {TEXT}",
    f"Everyone agreed, so here it is: {TEXT}",
    f"All three have confirmed.\n{TEXT}",
    f"Once everyone had replied, Tue 9:30 was left. {TEXT}",
    f"When Bob confirmed, everything was settled: {TEXT}",
    f"Now that everyone has confirmed: {TEXT}",
    f"Since all agreed: {TEXT}",
    f"Here is my answer in the required format:\n{TEXT}",
    f"I asked whether you can come if needed. Final decision:\n{TEXT}",
    f"If anything changes, let me know.\n\n{TEXT}",
    f"{TEXT}\nIf anything changes, let me know.",
    f"{TEXT} If anything changes, let me know.",
    f"I will now announce the meeting: {TEXT}",
    f'{{"target": "Ann", "content": "See you there"}}\n{TEXT}',
    f'{TEXT}\n{{"target": "all", "content": "See you there"}}',
    f"{DRAFT}\nCorrection: {TEXT}",
    f"{TEXT}\n{json.dumps({'summary': 'all agreed', 'reasoning': 'Mon 9:00 was out'})}",
    f"{TEXT}\n{json.dumps({'goal_achieved': True, 'reasoning': 'Mon 9:00 was out'})}",
    f"{TEXT}\n{json.dumps({'goal_achieved': True, 'summary': {'rejected': 'Mon 9:00'}})}",
    json.dumps({"result": PLAIN}),
    json.dumps({"action": {"finish": PLAIN}}),
    json.dumps({"actions": [{"type": "finish", **PLAIN}]}),
    json.dumps({"output": TEXT}),
    json.dumps({"thought": "Everybody agreed.", **PLAIN}),
    json.dumps({**PLAIN, "previous": json.loads(DRAFT)}),
    json.dumps({"information": PLAIN}),
    json.dumps({"goalAchieved": True, "finalSchedule": "Tue 9:30", "attendees": ["Ann", "Bob"], "finalReport": "ok"}),
    json.dumps({"Goal Achieved": "yes", "Final Schedule": "Tue 9:30", "Attendees": "Ann, Bob", "final-report": "ok"}),
    json.dumps({"goal_achieved": "true", "schedule": "Tue 9:30", "participants": ["Ann", "Bob"], "report": "ok"}),
    json.dumps({"goal_achieved": 1, "meeting_time": "Tue 9:30", "attendees": ["Ann", "Bob"], "final_report": "ok"}),
    json.dumps(
        {
            "goal_achieved": {"value": True},
            "final_schedule": {"day": "Tuesday", "time": "9:30 AM"},
            "attendees": {"Ann": "yes", "Bob": "yes", "Cyd": "no"},
            "final_report": "ok",
        }
    ),
    json.dumps(
        {"goal_achieved": True, "final_report": "ok", "meeting": {"time": "Tue 9:30", "attendees": ["Ann", "Bob"]}}
    ),
    '{"goal_achieved": true, "final_report": "ok"}\n{"final_schedule": "Tue 9:30", "attendees": ["Ann", "Bob"]}',
    json.dumps(
        {
            "status": {"goal_achieved": True, "final_report": "ok"},
            "details": {"final_schedule": "Tue 9:30", "attendees": ["Ann", "Bob"]},
        }
    ),
    "goal_achieved: true\nfinal_schedule: Tue 9:30\nattendees:\n  - Ann\n  - Bob\nfinal_report: ok",
    "**Goal achieved:** yes\n**Final schedule:** Tuesday at 9:30\n**Attendees:** Ann, Bob\n**Final report:** ok",
    f"<think>{DRAFT}</think>{TEXT}",
]
NOT_REAL = [
    "",
    "Tue 9:30 it is.",
    json.dumps({**PLAIN, "goal_achieved": False}),
    json.dumps({**PLAIN, "goal_achieved": "false"}),
    json.dumps({**PLAIN, "goal_achieved": "not yet"}),
    json.dumps({**PLAIN, "goal_achieved": None}),
    json.dumps({"final_schedule": "Tue 9:30", "attendees": ["Ann"]}),
    json.dumps({**PLAIN, "final_schedule": "[Day Time]"}),
    json.dumps({**PLAIN, "final_schedule": "<day> <time>"}),
    json.dumps({**PLAIN, "final_schedule": "Day HH:MM", "attendees": ["name1", "name2"]}),
    json.dumps({**PLAIN, "final_schedule": "..."}),
    f"If everybody agrees: {TEXT}",
    f"If all of you say yes, I will send this: {TEXT}",
    f"Once everyone confirms, I will output {TEXT}",
    f"Once everyone has confirmed, I will output:\n```json\n{TEXT}\n```",
    f"As soon as Bob agrees I'll announce {TEXT}",
    f"I will output {TEXT} once all agree.",
    f"I will output {TEXT} when everyone has confirmed.",
    f"{TEXT} - if Bob agrees.",
    f"After everyone agrees: {TEXT}",
    f"For example: {TEXT}",
    f"I must respond in this format: {TEXT}",
    f"The format is {TEXT}",
    f"A template such as {TEXT} would end it.",
    f"I cannot announce {TEXT} yet.",
    f"I won't output {TEXT} before Bob answers.",
    f"Wenn alle zustimmen: {TEXT}",
    f"Si tout le monde est d'accord : {TEXT}",
    f"Cuando todos confirmen: {TEXT}",
    f"如果大家都同意：{TEXT}",
    json.dumps({"if_all_agree": PLAIN}),
    json.dumps({"example": PLAIN}),
    json.dumps({"target": "Ann", "content": f"I will send {TEXT} then."}),
    json.dumps({"target": "Ann", "content": TEXT}),
    f"<think>{TEXT}</think> Ann, does Tue 9:30 work?",
    f"<think>{TEXT}",
    "goal_achieved: false\nfinal_schedule: Tue 9:30",
    "goal_achieved: true\nfinal_schedule: [Day Time]",
]
VALUES = [
    ("Tue 9:30", "Tue 9:30"),
    ({"day": "Tuesday", "time": "9:30"}, "Tue 9:30"),
    ({"time": "9:30 AM", "day": "Tue"}, "Tue 9:30"),
    ({"weekday": "Tue", "time": "09:30", "timezone": "UTC"}, "Tue 9:30"),
    ({"date": "Tuesday", "start": "9:30", "end": "10:00"}, "Tue 9:30"),
    ({"date": "2026-01-06", "weekday": "Tuesday", "time": "9:30"}, "Tue 9:30"),
    ({"date": "Tuesday, Jan 6", "time": "9:30"}, "Tue 9:30"),
    ({"dayOfWeek": "TUESDAY", "startTime": "09:30", "endTime": "10:00"}, "Tue 9:30"),
    ({"end": "10:00", "start": "9:30", "day": "Tue"}, "Tue 9:30"),
    ({"day": "Tue", "time": 930}, "Tue 9:30"),
    ({"day": "Tue", "time": 9}, "Tue 9:00"),
    ({"day": "Tue", "time": 9.5}, "Tue 9:30"),
    ({"day": "Tue", "time": "0930"}, "Tue 9:30"),
    ({"day": "Tue", "hour": 9, "minute": 30}, "Tue 9:30"),
    ({"day": "Tue", "hour": "9", "minute": "30", "period": "AM"}, "Tue 9:30"),
    ({"day": "Tue", "hour": 2, "minute": 0, "ampm": "PM"}, "Tue 14:00"),
    ({"day": "Tue", "hour": 9}, "Tue 9:00"),
    ({"day": "Tue", "time": {"start": "9:30", "end": "10:00"}}, "Tue 9:30"),
    ({"day": "Tue", "time": {"hour": 9, "minute": 30}}, "Tue 9:30"),
    ({"day": "Tue", "time": ["9:30", "10:00"]}, "Tue 9:30"),
    ({"day": "Tue", "slot": "9:30-10:00"}, "Tue 9:30"),
    ({"slot": {"day": "Tue", "time": "9:30"}}, "Tue 9:30"),
    ({"start": "Tue 9:30", "end": "Tue 10:00"}, "Tue 9:30"),
    ({"end": "Tue 10:00", "start": "Tue 9:30"}, "Tue 9:30"),
    ({"to": "Tue 10:00", "from": "Tue 9:30"}, "Tue 9:30"),
    ({"start": {"day": "Tue", "time": "9:30"}, "end": {"day": "Tue", "time": "10:00"}}, "Tue 9:30"),
    ({"datetime": "Tue 9:30"}, "Tue 9:30"),
    ({"meeting": {"when": "Tuesday at 9:30", "where": "Room 4"}}, "Tue 9:30"),
    ({"old": "Mon 9:00", "new": "Tue 9:30"}, "Tue 9:30"),
    ({"proposed": "Mon 9:00", "confirmed": "Tue 9:30"}, "Tue 9:30"),
    ({"backup": "Mon 9:00", "time": "Tue 9:30"}, "Tue 9:30"),
    ({"rejected": ["Mon 9:00"], "final": "Tue 9:30"}, "Tue 9:30"),
    ({"Tuesday": "9:30"}, "Tue 9:30"),
    ({"Tue": ["9:30"]}, "Tue 9:30"),
    ({"tag": "Dienstag", "uhrzeit": "9:30"}, "Tue 9:30"),
    ({"jour": "mardi", "heure": "9h30"}, "Tue 9:30"),
    (["Tue 9:30", "Wed 10:00"], "Tue 9:30"),
    (["Tue", "9:30"], "Tue 9:30"),
    ([{"day": "Tue", "time": "9:30"}], "Tue 9:30"),
    ({"day": "Tue"}, ""),
    ({"time": "9:30"}, ""),
    ({"day": "[Day]", "time": "[Time]"}, ""),
    ({"alternatives": ["Tue 9:30"]}, ""),
    ({"attendees": 3}, ""),
    (930, ""),
    (True, ""),
    (None, ""),
    ([], ""),
    ({}, ""),
]


@pytest.mark.parametrize("reply", REAL)
def test_an_announcement_is_found_in_any_form(reply: str) -> None:
    found = find_announcement(reply, NAMES)
    assert found is not None
    assert (found.slot, found.invited) == (TUE, ("Ann", "Bob"))
    assert found.report == "ok"


@pytest.mark.parametrize("reply", NOT_REAL)
def test_what_announces_nothing(reply: str) -> None:
    assert find_announcement(reply, NAMES) is None


@pytest.mark.parametrize(("value", "read"), VALUES, ids=str)
def test_the_time_is_read_from_any_value(value: object, read: str) -> None:
    assert str(parse_schedule(value) or "") == read


def test_an_announcement_without_a_readable_time_still_ends_the_episode() -> None:
    for schedule in ("Friday", "9:00", "TBD", 930, None):
        found = find_announcement(json.dumps({**PLAIN, "final_schedule": schedule}), NAMES)
        assert found is not None
        assert found.slot is None


@settings(deadline=None)
@given(JSON_VALUES)
def test_no_value_of_a_schedule_raises(value: object) -> None:
    parse_schedule(value)
    find_announcement(json.dumps({"goal_achieved": True, "final_schedule": value, "attendees": value}), NAMES)


@settings(deadline=None)
@given(
    model_texts()
    | st.lists(st.sampled_from([TEXT, DRAFT, "If ", "for example: ", "\n", "goal_achieved: true\n"])).map("".join)
)
def test_no_reply_raises(reply: str) -> None:
    find_announcement(reply, NAMES)


NESTED: object = "Tue 9:30"
for _ in range(400):
    NESTED = {"time": NESTED, "slot": NESTED} if _ < 3 else {"slot": NESTED}


@pytest.mark.parametrize(
    "reply",
    [
        '{"goal_achieved": true}' * 9_000,
        f"{TEXT} " * 2_000,
        json.dumps({**PLAIN, "final_schedule": [["Mon"] * 40] * 1_000}),
        json.dumps({**PLAIN, "final_schedule": {f"k{i}": {"time": "9:30"} for i in range(5_000)}}),
        json.dumps({**PLAIN, "final_schedule": NESTED}),
        "goal_achieved: true\n" * 10_000,
        "if " * 60_000 + TEXT,
        "[" * 100_000 + TEXT,
    ],
    ids=["goals", "announcements", "lists", "objects", "nested", "lines", "words", "brackets"],
)
def test_long_replies_are_read_in_bounded_time(reply: str) -> None:
    find_announcement(reply, NAMES)
