"""Who is invited, read from attendee lists in any form."""

import pytest
from hypothesis import given, settings, strategies as st
from muses_eval.pipeline.families.meeting.attendees import has_declined, parse_attendees
from muses_eval.pipeline.families.meeting.goal_value import is_true

from tests.strategies import JSON_VALUES, model_texts

NAMES = ("Ann", "Bob", "Cyd")
LISTS = [
    (["Ann", "Bob"], "Ann Bob"),
    (["ANN", " bob "], "Ann Bob"),
    (["@Ann", "**Bob**", "<Cyd>"], "Ann Bob Cyd"),
    (["Ann (CEO)", "Bob - CTO"], "Ann Bob"),
    (["Ann (optional)", "Bob (required)", "Cyd (tentative)"], "Ann Bob Cyd"),
    (["Ann", "Bob?", "Cyd (maybe)"], "Ann Bob Cyd"),
    (["Ann (accepted)", "Bob (declined)"], "Ann"),
    (["Ann: attending", "Bob: not attending"], "Ann"),
    (["Ann - yes", "Bob - no"], "Ann"),
    (["Ann ✅", "Bob ❌"], "Ann"),
    (["Ann", "Bob can't make it"], "Ann"),
    (["Ann", "Bob cannot attend"], "Ann"),
    (["Ann", "Bob (unavailable)"], "Ann"),
    (["Ann", "Bob (on leave)", "Cyd (excused)"], "Ann"),
    (["Ann", "Bob (sends regrets)"], "Ann"),
    (["Ann", "without Bob"], "Ann"),
    (["Ann", "Bob", "but not Cyd"], "Ann Bob"),
    (["Ann", "Bob (no conflict)", "Cyd (not optional)"], "Ann Bob Cyd"),
    (["Ann", "Bob (no objections)", "Cyd (can attend)"], "Ann Bob Cyd"),
    (["Ann", "Cyd (not required)"], "Ann Cyd"),
    (["Ann (all day)"], "Ann"),
    (["Ann, Bob - Cyd to be informed afterwards"], "Ann Bob"),
    (["Ann", "Bob (will get the minutes)", "Cyd (will be informed)"], "Ann"),
    (["all"], "Ann Bob Cyd"),
    (["Everyone"], "Ann Bob Cyd"),
    (["everyone except Cyd"], "Ann Bob"),
    (["none"], ""),
    (["nobody"], ""),
    (["TBD"], ""),
    (["Zed"], ""),
    (["Ann, Bob"], "Ann Bob"),
    ([["Ann", "accepted"], ["Bob", "declined"]], "Ann"),
    ([["Ann", True], ["Bob", False]], "Ann"),
    ([["Ann", "Bob"], ["Cyd"]], "Ann Bob Cyd"),
    ([{"name": "Ann"}, {"name": "Bob", "role": "VP"}], "Ann Bob"),
    ([{"name": "Ann", "status": "accepted"}, {"name": "Bob", "status": "declined"}], "Ann"),
    ([{"name": "Ann", "attending": True}, {"name": "Bob", "attending": False}], "Ann"),
    ([{"name": "Ann", "rsvp": "yes"}, {"name": "Bob", "rsvp": "No"}, {"name": "Cyd", "rsvp": "maybe"}], "Ann Cyd"),
    ([{"user": "Ann", "response": "Confirmed"}, {"user": "Bob", "response": "cannot attend"}], "Ann"),
    ([{"userName": "Ann", "canAttend": True}, {"userName": "Bob", "canAttend": False}], "Ann"),
    ([{"name": "Ann", "required": True}, {"name": "Bob", "required": False}], "Ann Bob"),
    ([{"name": "Ann", "optional": True}, {"name": "Bob", "essential": False}], "Ann Bob"),
    ([{"name": "Ann", "declined": False}, {"name": "Bob", "declined": True}], "Ann"),
    ([{"person": "Ann", "note": "no conflict"}, {"person": "Bob", "availability": "unavailable"}], "Ann"),
    ([{"Ann": "yes"}, {"Bob": "no"}], "Ann"),
    ([{"email": "ann@example.com"}, {"email": "bob@example.com"}], "Ann Bob"),
]
OBJECTS = [
    ({"Ann": True, "Bob": False}, "Ann"),
    ({"Ann": "accepted", "Bob": "declined", "Cyd": "tentative"}, "Ann Cyd"),
    ({"Ann": "yes", "Bob": "no", "Cyd": "maybe"}, "Ann Cyd"),
    ({"Ann": "required", "Bob": "optional"}, "Ann Bob"),
    ({"Ann": "CEO", "Bob": "CTO"}, "Ann Bob"),
    ({"Ann": "available", "Bob": "not available"}, "Ann"),
    ({"Ann": 1, "Bob": 0}, "Ann"),
    ({"Ann": "", "Bob": ""}, "Ann Bob"),
    ({"Ann": None, "Bob": None}, "Ann Bob"),
    ({"Ann": {"status": "accepted"}, "Bob": {"status": "declined"}}, "Ann"),
    ({"Ann": {"role": "CEO"}, "Bob": {"attending": False}}, "Ann"),
    ({"Ann": {"optional": True}, "Bob": {"required": False}}, "Ann Bob"),
    ({"ann": "in", "bob": "out"}, "Ann"),
    ({"required": ["Ann", "Bob"], "optional": ["Cyd"]}, "Ann Bob Cyd"),
    ({"essential": ["Ann"], "optional": []}, "Ann"),
    ({"confirmed": ["Ann", "Bob"], "declined": ["Cyd"]}, "Ann Bob"),
    ({"attending": ["Ann"], "not_attending": ["Bob", "Cyd"]}, "Ann"),
    ({"attending": ["Ann"], "notAttending": ["Bob"]}, "Ann"),
    ({"present": "Ann, Bob", "absent": "Cyd"}, "Ann Bob"),
    ({"yes": ["Ann"], "no": ["Bob"], "maybe": ["Cyd"]}, "Ann Cyd"),
    ({"accepted": ["Ann", "Bob"], "pending": ["Cyd"]}, "Ann Bob Cyd"),
    ({"attendees": ["Ann", "Bob"], "excluded": [{"name": "Cyd", "reason": "on leave"}]}, "Ann Bob"),
    ({"list": ["Ann"], "unavailable": {"Bob": "conflict", "Cyd": "sick"}}, "Ann"),
    ({"names": ["Ann", "Bob"], "count": 2}, "Ann Bob"),
    ({"engineering": ["Ann"], "sales": ["Bob"]}, "Ann Bob"),
    ({"host": "Ann", "guests": ["Bob"]}, "Ann Bob"),
    ({"all": True}, "Ann Bob Cyd"),
    ({"all": ["Ann", "Bob"]}, "Ann Bob"),
    ({"participants": {"Ann": "yes", "Bob": "no"}}, "Ann"),
    ({"required": "Ann", "notes": "Cyd was not asked"}, "Ann"),
    ({"name": "Ann"}, "Ann"),
    ({"attending": ["Ann", "Cyd"], "declined": ["Cyd"]}, "Ann"),
]
TEXTS = [
    ("Ann, Bob & Cyd", "Ann Bob Cyd"),
    ("Ann and Bob", "Ann Bob"),
    ("Ann; Bob", "Ann Bob"),
    ("Ann/Bob", "Ann Bob"),
    ("1. Ann\n2. Bob", "Ann Bob"),
    ("- Ann\n- Bob (declined)", "Ann"),
    ("everyone", "Ann Bob Cyd"),
    ("All participants", "Ann Bob Cyd"),
    ("all three", "Ann Bob Cyd"),
    ("All 3 attendees confirmed", "Ann Bob Cyd"),
    ("all required", "Ann Bob Cyd"),
    ("3 of 3 (all)", "Ann Bob Cyd"),
    ("the whole team", "Ann Bob Cyd"),
    ("everyone except Cyd", "Ann Bob"),
    ("everyone except for Cyd and Bob", "Ann"),
    ("everybody but Cyd", "Ann Bob"),
    ("all but Bob", "Ann Cyd"),
    ("all attendees apart from Bob", "Ann Cyd"),
    ("All except Cyd (declined)", "Ann Bob"),
    ("all, excluding Bob", "Ann Cyd"),
    ("everyone (Ann, Bob)", "Ann Bob"),
    ("Everyone who replied: Ann and Bob", "Ann Bob"),
    ("All confirmed attendees: Ann, Cyd", "Ann Cyd"),
    ("everyone, including Cyd", "Ann Bob Cyd"),
    ("everyone (including Cyd)", "Ann Bob Cyd"),
    ("everyone, Cyd optional", "Ann Bob Cyd"),
    ("Ann, Bob and everyone else", "Ann Bob Cyd"),
    ("Ann, Bob (without Cyd)", "Ann Bob"),
    ("Ann and Bob, not Cyd", "Ann Bob"),
    ("Ann and Bob, but not Cyd", "Ann Bob"),
    ("Ann, neither Bob nor Cyd", "Ann"),
    ("only Ann and Bob", "Ann Bob"),
    ("Ann (optional), Bob", "Ann Bob"),
    ("Ann - declined, Bob", "Bob"),
    ("Ann (declined), Bob (accepted)", "Bob"),
    ("Ann cannot attend; Bob and Cyd can", "Bob Cyd"),
    ("Bob and Cyd cannot attend, Ann can", "Ann"),
    ("Ann, Bob and Cyd (declined)", "Ann Bob"),
    ("Ann will attend, Bob won't", "Ann"),
    ("Ann: yes, Bob: no, Cyd: maybe", "Ann Cyd"),
    ("Ann=yes; Bob=no", "Ann"),
    ("Ann → yes, Bob → no", "Ann"),
    ("Attending: Ann, Bob. Declined: Cyd", "Ann Bob"),
    ("Attending: Ann\nNot attending: Bob, Cyd", "Ann"),
    ("Declined: Cyd; Attending: Ann, Bob", "Ann Bob"),
    ("Required: Ann. Optional: Bob.", "Ann Bob"),
    ("Required - Ann, Bob | Absent: Cyd", "Ann Bob"),
    ("Ann, Bob (Cyd declined)", "Ann Bob"),
    ("Ann, Bob; Cyd is on vacation", "Ann Bob"),
    ("Ann, Bob. Cyd has a conflict.", "Ann Bob"),
    ("Ann has no conflict, Bob has a conflict", "Ann"),
    ("Ann instead of Bob", "Ann"),
    ("without Cyd", "Ann Bob"),
    ("alle außer Cyd", "Ann Bob"),
    ("Ann und Bob, ohne Cyd", "Ann Bob"),
    ("tous sauf Cyd", "Ann Bob"),
    ("tout le monde", "Ann Bob Cyd"),
    ("todos excepto Cyd", "Ann Bob"),
    ("tutti tranne Cyd", "Ann Bob"),
    ("todos menos Cyd", "Ann Bob"),
    ("iedereen behalve Cyd", "Ann Bob"),
    ("все кроме Cyd", "Ann Bob"),
    ("所有人，除了Cyd", "Ann Bob"),
    ("全員", "Ann Bob Cyd"),
    ("모두", "Ann Bob Cyd"),
    ("सभी", "Ann Bob Cyd"),
    ("الجميع", "Ann Bob Cyd"),
    ("Ann (abgesagt), Bob", "Bob"),
    ("Ann ne peut pas, Bob oui", "Bob"),
    ("AnnBob", ""),
    ("Anna, Bobby", ""),
    ("none", ""),
]
MIXED = [
    (["Ann (yes)", "Bob (yes)", "Cyd (no)"], "Ann Bob"),
    (["Ann", "Bob", "Cyd (out)"], "Ann Bob"),
    (["Ann - confirmed", "Bob - confirmed", "Cyd - tentative"], "Ann Bob Cyd"),
    ("Ann, Bob (Cyd is unavailable)", "Ann Bob"),
    ("Ann and Bob; Cyd sends apologies", "Ann Bob"),
    ("Ann, Bob, ~~Cyd~~", "Ann Bob"),
    ("All (Ann, Bob, Cyd)", "Ann Bob Cyd"),
    ("Ann + Bob", "Ann Bob"),
    ("ann,bob,cyd", "Ann Bob Cyd"),
    ("Everyone but Bob", "Ann Cyd"),
    ("everyone minus Cyd", "Ann Bob"),
    ("All three users", "Ann Bob Cyd"),
    ("all users", "Ann Bob Cyd"),
    ("All essential participants", "Ann Bob Cyd"),
    ("Ann, Bob and optionally Cyd", "Ann Bob Cyd"),
    ("Ann, Bob (+ Cyd if possible)", "Ann Bob Cyd"),
    ("Ann, Bob, maybe Cyd", "Ann Bob Cyd"),
    ("Ann (chair), Bob (minutes), Cyd (guest)", "Ann Bob Cyd"),
    ("Ann, Bob [Cyd declined]", "Ann Bob"),
    ("2 of 3: Ann, Bob", "Ann Bob"),
    ("Ann & Bob only", "Ann Bob"),
    ("Just Ann and Bob", "Ann Bob"),
    ("Ann, Bob, no Cyd", "Ann Bob"),
    ("Ann, Bob, Cyd was unable to join", "Ann Bob"),
    ("Ann, Bob (excluding Cyd due to a conflict)", "Ann Bob"),
    ("Ann, Bob; not attending - Cyd", "Ann Bob"),
    ("Ann ✓, Bob ✓, Cyd ✗", "Ann Bob"),
    ("Ann: ✅ Bob: ✅ Cyd: ❌", "Ann Bob"),
    ("Ann (Y), Bob (Y), Cyd (N)", "Ann Bob"),
    ({"Ann": "Y", "Bob": "N"}, "Ann"),
    ({"Ann": "✓", "Bob": "✗"}, "Ann"),
    ({"Ann": "will attend", "Bob": "will not attend"}, "Ann"),
    ({"Ann": "confirmed", "Bob": "unconfirmed"}, "Ann Bob"),
    ({"Ann": "required - accepted", "Bob": "optional - declined"}, "Ann"),
    ({"required": {"Ann": "yes", "Bob": "yes"}, "optional": {"Cyd": "no"}}, "Ann Bob"),
    ({"required": "all", "optional": "none"}, "Ann Bob Cyd"),
    ({"invited": ["Ann", "Bob", "Cyd"], "accepted": ["Ann", "Bob"], "declined": ["Cyd"]}, "Ann Bob"),
    ({"attendees": ["Ann", "Bob"], "absentees": ["Cyd"]}, "Ann Bob"),
    ({"in": ["Ann"], "out": ["Bob"]}, "Ann"),
    ({"available": ["Ann", "Bob"], "unavailable": ["Cyd"]}, "Ann Bob"),
    ({"can_attend": ["Ann"], "cannot_attend": ["Bob", "Cyd"]}, "Ann"),
    ({"Attendees": "everyone"}, "Ann Bob Cyd"),
    ({"total": 2, "attendees": ["Ann", "Bob"]}, "Ann Bob"),
    ({"mandatory": ["Ann"], "optional_attending": ["Bob"], "optional_declined": ["Cyd"]}, "Ann Bob"),
    ({"essential": [{"name": "Ann", "confirmed": True}], "optional": [{"name": "Bob", "confirmed": False}]}, "Ann"),
    ([{"name": "Ann", "role": "CEO", "required": True}, {"name": "Bob", "role": "no", "required": False}], "Ann Bob"),
    ([{"name": "Ann", "status": "required"}, {"name": "Cyd", "status": "optional"}], "Ann Cyd"),
    ([{"name": "Ann", "status": "pending"}, {"name": "Bob", "status": "no response"}], "Ann Bob"),
    ([{"attendee": "Ann", "attending": "yes"}, {"attendee": "Bob", "attending": "no"}], "Ann"),
    ([{"name": "Ann", "attendance": "in person"}, {"name": "Bob", "attendance": "absent"}], "Ann"),
    ([{"name": "Ann", "available": True}, {"name": "Bob", "available": False}], "Ann"),
    ([{"id": "Ann"}, {"id": "Bob"}], "Ann Bob"),
    ([{"user_id": "Ann", "type": "essential"}], "Ann"),
    ([{"name": "Ann", "excused": True}, {"name": "Bob"}], "Bob"),
    ([["Ann", "CEO"], ["Bob", "CTO"]], "Ann Bob"),
    (["Ann", "Bob", None, 3], "Ann Bob"),
    (["Ann and Bob", "Cyd"], "Ann Bob Cyd"),
    (["All attendees"], "Ann Bob Cyd"),
    (["Ann", "Bob", "(Cyd declined)"], "Ann Bob"),
    (["Ann", "Bob", "Cyd: declined due to travel"], "Ann Bob"),
    (["Ann (declined earlier, now accepted)"], "Ann"),
    (["Ann", "Bob", "Cyd (optional, cannot attend)"], "Ann Bob"),
    (["Ann", "Bob", "Cyd (optional, not confirmed)"], "Ann Bob Cyd"),
    (["Ann", "Bob", "Cyd (TBC)"], "Ann Bob Cyd"),
    (["Ann", "Bob", "Cyd - waiting for reply"], "Ann Bob Cyd"),
    (["N/A"], ""),
    (["-"], ""),
    ([""], ""),
    ("[names]", ""),
    (["Alice", "Zed"], ""),
    (["Ann", "Everyone"], "Ann Bob Cyd"),
    ("Ann hat zugesagt, Bob hat abgesagt", "Ann"),
    ("Ann y Bob, Cyd no puede", "Ann Bob"),
    ("Ann et Bob (Cyd absent)", "Ann Bob"),
    ("Ann、Bob（Cyd不参加）", "Ann Bob"),
    ("AnnとBob", "Ann Bob"),
    ("Ann과 Bob", "Ann Bob"),
    ("Ann和Bob，Cyd无法参加", "Ann Bob"),
    ("Ann и Bob, Cyd не сможет", "Ann Bob"),
]
NOT_A_LIST = [None, "", [], {}, 0, 3, True, 1.5]
GOAL_YES = [
    True,
    1,
    1.0,
    "true",
    "True",
    "TRUE.",
    "yes",
    "Yes!",
    "done",
    "Achieved",
    "completed",
    "1",
    "y",
    "✅",
    "success",
    "agreed",
    {"value": True},
    {"status": "achieved"},
    {"achieved": "yes", "reason": "all agreed"},
    [True],
    "oui",
    "ja",
    "sí",
    "да",
    "是",
    "はい",
    "yes, everyone confirmed",
    "goal achieved",
]
GOAL_NO = [
    False,
    0,
    0.5,
    -1,
    None,
    "",
    "false",
    "False.",
    "no",
    "No!",
    "not yet",
    "Not achieved",
    "in progress",
    "pending",
    "N/A",
    "none",
    "null",
    "partially",
    "partial",
    "almost",
    "failed",
    "incomplete",
    "unknown",
    "TBD",
    "waiting for Bob",
    "true if Bob agrees",
    "will be true",
    "true/false",
    "[true|false]",
    "true or false",
    "maybe",
    "nein",
    "non",
    "нет",
    "否",
    "まだ",
    "whatever",
    "{bool}",
    {"value": False},
    {"value": "no"},
    {},
    [],
    [False],
    [True, False],
    "once all agree",
    "unachieved",
    "not true",
]


@pytest.mark.parametrize("cases", [LISTS, OBJECTS, TEXTS, MIXED], ids=["lists", "objects", "texts", "mixed"])
def test_attendees_are_read(cases: list[tuple[object, str]]) -> None:
    read = [(value, wanted, " ".join(parse_attendees(value, NAMES))) for value, wanted in cases]
    assert not [each for each in read if each[1] != each[2]]


@pytest.mark.parametrize("value", NOT_A_LIST, ids=repr)
def test_without_a_list_everybody_is_invited(value: object) -> None:
    assert parse_attendees(value, NAMES) == NAMES


def test_names_are_compared_as_a_reader_would() -> None:
    names = ("José", "Ann Lee", "Ann", "O'Neil")
    assert parse_attendees("jose, Ann Lee", names) == ("José", "Ann Lee")
    assert parse_attendees(["ANN", "o’neil"], names) == ("Ann", "O'Neil")
    assert parse_attendees("both", ("Ann", "Bob")) == ("Ann", "Bob")


@pytest.mark.parametrize("value", GOAL_YES, ids=repr)
def test_the_goal_is_achieved(value: object) -> None:
    assert is_true(value)


@pytest.mark.parametrize("value", GOAL_NO, ids=repr)
def test_the_goal_is_not_achieved(value: object) -> None:
    assert not is_true(value)


@settings(deadline=None)
@given(
    JSON_VALUES
    | model_texts()
    | st.lists(st.sampled_from([*NAMES, "not ", "all ", "except ", ": no", "(", ")"])).map("".join)
)
def test_no_value_raises(value: object) -> None:
    assert set(parse_attendees(value, NAMES)) <= set(NAMES)
    has_declined(value)
    is_true(value)


@settings(deadline=None)
@given(st.lists(st.sampled_from(NAMES), unique=True, min_size=1), st.sampled_from((", ", " & ", "\n", "; ", " / ")))
def test_plain_lists_in_any_order_invite_whom_they_name(listed: list[str], link: str) -> None:
    wanted = tuple(name for name in NAMES if name in listed)
    assert parse_attendees(listed, NAMES) == parse_attendees(link.join(listed), NAMES) == wanted
    assert parse_attendees(dict.fromkeys(listed, "yes"), NAMES) == wanted
    others = tuple(name for name in NAMES if name not in listed)
    assert parse_attendees(f"everyone except {', '.join(listed)}", NAMES) == others
    assert parse_attendees({"declined": listed, "attending": list(others)}, NAMES) == others


@pytest.mark.parametrize(
    "value",
    [
        "Ann, " * 40_000,
        "except " * 30_000,
        "(" * 200_000,
        [["Ann"] * 1000] * 200,
        [{"Ann": ["no"]}] * 5_000,
        "Ann (" * 40_000,
    ],
    ids=["names", "words", "brackets", "lists", "objects", "open brackets"],
)
def test_long_lists_are_read_in_bounded_time(value: object) -> None:
    parse_attendees(value, NAMES)
