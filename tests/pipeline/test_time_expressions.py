"""Times as people and models write them: clock formats, languages, dates beside them, times that are taken back."""

import pytest
from hypothesis import given, settings, strategies as st
from muses_eval.pipeline.families.meeting.folded_text import folded
from muses_eval.pipeline.families.meeting.slot import DAYS, Slot
from muses_eval.pipeline.families.meeting.time_expressions import (
    MAX_TEXT,
    find_slots,
    normalized,
    parse_slot,
    time_expressions,
)
from muses_eval.pipeline.families.meeting.weekday_names import weekday_names

from tests.strategies import model_texts


def check(cases: list[tuple[str, str]]) -> None:
    wrong = [(text, want, str(parse_slot(text) or "")) for text, want in cases if str(parse_slot(text) or "") != want]
    assert not wrong


CLOCKS = [
    ("Tue 9:30am", "Tue 9:30"),
    ("Tue 9.30 a.m.", "Tue 9:30"),
    ("Tuesday 09h30", "Tue 9:30"),
    ("Tues., 9:30 o'clock", "Tue 9:30"),
    ("Thursday at 1 p.m.", "Thu 13:00"),
    ("Thu 1pm", "Thu 13:00"),
    ("THU 1 PM", "Thu 13:00"),
    ("Thu 1 p. m.", "Thu 13:00"),
    ("Thu 13h", "Thu 13:00"),
    ("Thu 13 h", "Thu 13:00"),
    ("Thu 1300", "Thu 13:00"),
    ("Thu 1300h", "Thu 13:00"),
    ("Thu 1300 hours", "Thu 13:00"),
    ("Thu 13'00", "Thu 13:00"),
    ("Mon 15,30", "Mon 15:30"),
    ("Mon 10 30", "Mon 10:30"),
    ("Mon 11 h 00", "Mon 11:00"),
    ("Mon 11：00", "Mon 11:00"),
    ("Mon １１:00", "Mon 11:00"),
    ("Mon 07:30", "Mon 7:30"),
    ("Mon 05:00", "Mon 5:00"),
    ("Mon 5:00", "Mon 17:00"),
    ("Mon 8", "Mon 8:00"),
    ("Mon 10", "Mon 10:00"),
    ("Mon 3", "Mon 15:00"),
    ("Wed at noon", "Wed 12:00"),
    ("Wed midday", "Wed 12:00"),
    ("noon on Wednesday", "Wed 12:00"),
    ("Wed 12 noon", "Wed 12:00"),
    ("Wed 12:00 PM (noon)", "Wed 12:00"),
    ("Friday midnight", "Fri 0:00"),
    ("Fri 12:30 AM", "Fri 0:30"),
    ("Fri 00:30", "Fri 0:30"),
    ("Fri 16:00 sharp", "Fri 16:00"),
    ("Fri ~16:00", "Fri 16:00"),
    ("Fri around 4 PM", "Fri 16:00"),
    ("Friday morning at 10", "Fri 10:00"),
    ("Friday afternoon at 4:30", "Fri 16:30"),
    ("Friday afternoon, 2", "Fri 14:00"),
    ("Friday evening at 8", "Fri 20:00"),
    ("at 9 in the morning on Friday", "Fri 9:00"),
    ("Fri 8:30 in the evening", "Fri 20:30"),
    ("Friday, PM 2:00", "Fri 14:00"),
    ("Wed 14:00:00Z", "Wed 14:00"),
    ("Wed 14:00 (UTC+2)", "Wed 14:00"),
    ("Wed 14:00 GMT-5", "Wed 14:00"),
    ("Wed 14:00+01:00", "Wed 14:00"),
    ("Wed 2:00 PM PST / 5:00 PM EST", "Wed 14:00"),
    ("Wed 14:00 local time", "Wed 14:00"),
    ("Wed 25:00", ""),
    ("Wed 14:75", ""),
    ("Wed, 14:00 — 14:30", "Wed 14:00"),
    ("Wed 2–3 pm", "Wed 14:00"),
    ("Wed from 14:00 until 15:00", "Wed 14:00"),
    ("Wed 11am-12pm", "Wed 11:00"),
    ("Wed 11-12", "Wed 11:00"),
    ("Wed 14:00 for 1 h", "Wed 14:00"),
    ("Wed 14:00, 30 minutes", "Wed 14:00"),
    ("30 minutes on Wed at 14:00", "Wed 14:00"),
    ("for 2 hours on Wednesday", ""),
    ("one hour on Wednesday", ""),
    ("one hundred people on Wednesday", ""),
    ("Wednesday, 3 of us", ""),
    ("Wednesday, 3 people", ""),
    ("Wednesday 3 participants at 14:00", "Wed 14:00"),
    ("Wed $14.00", ""),
    ("Wed 14%", ""),
]
WORDS = [
    ("Tuesday at half past nine", "Tue 9:30"),
    ("half past nine on Tuesday", "Tue 9:30"),
    ("Tuesday half past 2", "Tue 14:30"),
    ("Tuesday at half nine", "Tue 9:30"),
    ("Tuesday at nine", "Tue 9:00"),
    ("Tuesday at nine o'clock", "Tue 9:00"),
    ("Tuesday at nine am", "Tue 9:00"),
    ("Tuesday, two p.m.", "Tue 14:00"),
    ("Tuesday at two in the afternoon", "Tue 14:00"),
    ("Tuesday at two thirty", "Tue 14:30"),
    ("Tuesday two-thirty pm", "Tue 14:30"),
    ("Tuesday at quarter to three", "Tue 14:45"),
    ("Tuesday at a quarter past ten", "Tue 10:15"),
    ("Tuesday quarter to 3", "Tue 14:45"),
    ("Tuesday ten past nine", "Tue 9:10"),
    ("Tuesday sixteen hundred", "Tue 16:00"),
    ("Tuesday sixteen thirty", "Tue 16:30"),
    ("Tuesday at ten thirty", "Tue 10:30"),
    ("Monday works for one of us", ""),
    ("Monday is one option", ""),
    ("Monday: two thirty-minute blocks", ""),
    ("one two three", ""),
]
LANGUAGES = [
    ("Montag 9:30 Uhr", "Mon 9:30"),
    ("Montag um 9.30 Uhr", "Mon 9:30"),
    ("Mo., 9:30 Uhr", "Mon 9:30"),
    ("Mo 14 Uhr", "Mon 14:00"),
    ("Di 9:30", "Tue 9:30"),
    ("Do 14:00", "Thu 14:00"),
    ("Dienstag, halb zehn", "Tue 9:30"),
    ("Dienstag um halb 10", "Tue 9:30"),
    ("Dienstag um neun Uhr dreißig", "Tue 9:30"),
    ("Dienstag Viertel vor zehn", "Tue 9:45"),
    ("Dienstag um 3 Uhr nachmittags", "Tue 15:00"),
    ("Dienstag Nachmittag um 3", "Tue 15:00"),
    ("Mittwoch, 14 Uhr 30", "Wed 14:30"),
    ("Donnerstag, den 5. Januar, um 13 Uhr", "Thu 13:00"),
    ("Donnerstag, den 5., um 13 Uhr", "Thu 13:00"),
    ("Freitag, 05.01., 13:00", "Fri 13:00"),
    ("um 13:00 Uhr am Freitag", "Fri 13:00"),
    ("Samstag mittags", "Sat 12:00"),
    ("nicht Montag 9:00, sondern Dienstag 10:00", "Tue 10:00"),
    ("Dienstag 10:00 statt Montag 9:00", "Tue 10:00"),
    ("nach Mittwoch 14:00", ""),
    ("zwischen 9 und 12 am Montag", ""),
    ("Montag", ""),
    ("mardi 9h30", "Tue 9:30"),
    ("mardi à 9 h 30", "Tue 9:30"),
    ("mar. 9h30", "Tue 9:30"),
    ("mardi à 14 heures 30", "Tue 14:30"),
    ("mardi à neuf heures et demie", "Tue 9:30"),
    ("le mardi 5 janvier à 14h", "Tue 14:00"),
    ("à 9h30 mardi", "Tue 9:30"),
    ("à 9h30 le mardi", "Tue 9:30"),
    ("jeudi midi", "Thu 12:00"),
    ("jeudi à 3 heures de l'après-midi", "Thu 15:00"),
    ("jeudi 10h au lieu de mercredi 9h", "Thu 10:00"),
    ("vendredi après 14h", ""),
    ("martes a las 9:30", "Tue 9:30"),
    ("martes a las nueve y media", "Tue 9:30"),
    ("miércoles, 14:30 h", "Wed 14:30"),
    ("miercoles 2:30 p. m.", "Wed 14:30"),
    ("el jueves a las 4 de la tarde", "Thu 16:00"),
    ("el jueves a las 10 de la mañana", "Thu 10:00"),
    ("lunes 5 a las 13:00", "Mon 13:00"),
    ("lunes 5 de enero, 13:00", "Mon 13:00"),
    ("a las 9:30 del martes", "Tue 9:30"),
    ("sábado al mediodía", "Sat 12:00"),
    ("no el lunes 9:00 sino el martes 10:00", "Tue 10:00"),
    ("martes 10:00 en vez del lunes 9:00", "Tue 10:00"),
    ("martedì alle 9:30", "Tue 9:30"),
    ("martedì alle 9 e mezza", "Tue 9:30"),
    ("martedì alle ore 14.30", "Tue 14:30"),
    ("giovedì alle 3 del pomeriggio", "Thu 15:00"),
    ("gio 15:00", "Thu 15:00"),
    ("terça-feira às 9h30", "Tue 9:30"),
    ("terça às 9:30", "Tue 9:30"),
    ("quinta-feira, 14h", "Thu 14:00"),
    ("segunda-feira às nove e meia", "Mon 9:30"),
    ("sexta-feira às 3 da tarde", "Fri 15:00"),
    ("dinsdag 9.30 uur", "Tue 9:30"),
    ("dinsdag om half tien", "Tue 9:30"),
    ("dinsdag om half 10", "Tue 9:30"),
    ("dinsdag 9u30", "Tue 9:30"),
    ("donderdag om 3 uur 's middags", "Thu 15:00"),
    ("kwart voor tien op dinsdag", "Tue 9:45"),
    ("вторник 9:30", "Tue 9:30"),
    ("во вторник в 9:30", "Tue 9:30"),
    ("вт 9:30", "Tue 9:30"),
    ("в среду в 3 часа дня", "Wed 15:00"),
    ("в 10 утра в пятницу", "Fri 10:00"),
    ("четверг, 5 января, 14:30", "Thu 14:30"),
    ("вторник 10:00 вместо понедельника 9:00", "Tue 10:00"),
    ("周二上午9:30", "Tue 9:30"),
    ("星期二 9:30", "Tue 9:30"),
    ("周二下午3点半", "Tue 15:30"),
    ("星期三下午三点半", "Wed 15:30"),
    ("星期三下午两点", "Wed 14:00"),
    ("1月5日（周一）下午1点", "Mon 13:00"),
    ("周四14点30分", "Thu 14:30"),
    ("礼拜五中午12点", "Fri 12:00"),
    ("火曜日 9時半", "Tue 9:30"),
    ("火曜日の午前9時30分", "Tue 9:30"),
    ("火曜 午後3時", "Tue 15:00"),
    ("1月5日(月) 13:00", "Mon 13:00"),
    ("水曜日14時から15時", "Wed 14:00"),
    ("화요일 오전 9시 30분", "Tue 9:30"),
    ("화요일 오후 3시 반", "Tue 15:30"),
    ("수요일 14:00", "Wed 14:00"),
    ("1월 5일(월) 13:00", "Mon 13:00"),
    ("मंगलवार सुबह 9:30", "Tue 9:30"),
    ("मंगलवार को सुबह 9:30 बजे", "Tue 9:30"),
    ("मंगलवार साढ़े नौ बजे", "Tue 9:30"),
    ("बुधवार दोपहर 3 बजे", "Wed 15:00"),
    ("الثلاثاء 9:30", "Tue 9:30"),
    ("يوم الثلاثاء الساعة 9:30 صباحاً", "Tue 9:30"),
    ("الأربعاء الساعة 3 مساءً", "Wed 15:00"),
    ("الثلاثاء الساعة التاسعة والنصف", "Tue 9:30"),
    ("الثلاثاء ٩:٣٠", "Tue 9:30"),
    ("wtorek, 9:30", "Tue 9:30"),
    ("w środę o 14:00", "Wed 14:00"),
    ("tisdag kl. 9.30", "Tue 9:30"),
    ("tirsdag kl 9:30", "Tue 9:30"),
    ("tiistaina klo 9.30", "Tue 9:30"),
    ("Salı 9:30", "Tue 9:30"),
    ("úterý 9:30", "Tue 9:30"),
    ("Τρίτη 9:30", "Tue 9:30"),
    ("Selasa 9.30", "Tue 9:30"),
    ("Thứ Ba 9:30", "Tue 9:30"),
]
NOT_DAYS = [
    "I can do 9:30",
    "So 9:30 it is",
    "ma 9:30 va bene",
    "Sam: 9:30",
    "Ask Dom 9:30 or 10:00",
    "le 3 mars 9:30",
    "my mate at 9:30",
    "the money at 9:30",
    "sunny 9:30",
    "month 9:30",
]
DATES = [
    ("Monday, Jan 5, 13:00", "Mon 13:00"),
    ("Monday 5 January 13:00", "Mon 13:00"),
    ("Monday, 5th of January at 13:00", "Mon 13:00"),
    ("Jan 5 (Mon) 13:00", "Mon 13:00"),
    ("Mon 2026-01-05 13:00", "Mon 13:00"),
    ("2026-01-05 Mon 13:00", "Mon 13:00"),
    ("Monday 2026-01-05T13:00:00", "Mon 13:00"),
    ("Mon 01/05/2026 13:00", "Mon 13:00"),
    ("Mon 5.1.2026 13:00", "Mon 13:00"),
    ("Mon 5/1 at 1pm", "Mon 13:00"),
    ("Monday, January 5, 2026 at 1:00 PM", "Mon 13:00"),
    ("Monday, January 5th 1:00 PM", "Mon 13:00"),
    ("Mon 13:00 (week 3)", "Mon 13:00"),
    ("Meeting 2 of 3: Mon 13:00", "Mon 13:00"),
    ("Option 1: Mon 13:00", "Mon 13:00"),
    ("Conference Room 3B, Mon 13:00", "Mon 13:00"),
    ("Floor 5, Mon at 13:00, 4 attendees", "Mon 13:00"),
    ("January 5, 13:00", ""),
    ("5 January", ""),
    ("2026-01-05", ""),
]
TAKEN_BACK = [
    ("not Monday 9:00 but Tuesday 10:00", "Tue 10:00"),
    ("Mon 9:00 (declined), Tue 10:00", "Tue 10:00"),
    ("Mon 9:00 was rejected, so Tue 10:00", "Tue 10:00"),
    ("Mon 9:00 is out; Tue 10:00", "Tue 10:00"),
    ("Mon 9:00 - cancelled. Tue 10:00", "Tue 10:00"),
    ("Mon 9:00 not possible, Tue 10:00", "Tue 10:00"),
    ("Mon 9:00 doesn't work for Bob, so Tue 10:00", "Tue 10:00"),
    ("Mon 9:00 did not work. Tue 10:00", "Tue 10:00"),
    ("Mon 9:00: Bob unavailable; Tue 10:00: all available", "Tue 10:00"),
    ("Mon 9:00 conflicts with Bob's call, Tue 10:00", "Tue 10:00"),
    ("Bob cannot make Mon 9:00; Tue 10:00", "Tue 10:00"),
    ("Bob is unable to attend on Mon 9:00; Tue 10:00", "Tue 10:00"),
    ("Bob declined Mon 9:00, Tue 10:00", "Tue 10:00"),
    ("Declined: Mon 9:00. Accepted: Tue 10:00", "Tue 10:00"),
    ("neither Mon 9:00 nor Wed 9:00 but Tue 10:00", "Tue 10:00"),
    ("moved from Mon 9:00 to Tue 10:00", "Tue 10:00"),
    ("Rescheduled from Monday at 9:00 to Tuesday at 10:00", "Tue 10:00"),
    ("Mon 9:00 moved to Tue 10:00", "Tue 10:00"),
    ("Mon 9:00 -> Tue 10:00", "Tue 10:00"),
    ("Mon 9:00 → Tue 10:00", "Tue 10:00"),
    ("postponed Mon 9:00 to Tue 10:00", "Tue 10:00"),
    ("Tue 10:00 (moved from Mon 9:00)", "Tue 10:00"),
    ("Tue 10:00 (was Mon 9:00)", "Tue 10:00"),
    ("originally Mon 9:00, now Tue 10:00", "Tue 10:00"),
    ("previously on Mon 9:00, Tue 10:00", "Tue 10:00"),
    ("Mon 9:00 replaced by Tue 10:00", "Tue 10:00"),
    ("Tue 10:00, replacing Mon 9:00", "Tue 10:00"),
    ("Instead of Mon 9:00, Tue 10:00", "Tue 10:00"),
    ("Tue 10:00 in place of Mon 9:00", "Tue 10:00"),
    ("Tue 10:00 rather than Mon 9:00", "Tue 10:00"),
    ("~~Mon 9:00~~ Tue 10:00", "Tue 10:00"),
    ("<s>Mon 9:00</s> Tue 10:00", "Tue 10:00"),
    ("❌ Mon 9:00 ❌, ✅ Tue 10:00", "Tue 10:00"),
    ("anything but Mon 9:00: Tue 10:00", "Tue 10:00"),
    ("Proposed: Mon 9:00. Final: Tue 10:00", "Tue 10:00"),
    ("Backup: Mon 9:00; Tue 10:00", "Tue 10:00"),
    ("Mon 9:00 (backup), Tue 10:00", "Tue 10:00"),
    ("Mon 9:00 or Tue 10:00, final: Tue 10:00", "Tue 10:00"),
    ("Tue 10:00 or Mon 9:00", "Tue 10:00"),
    ("Tue 10:00 / Mon 9:00", "Tue 10:00"),
    ("Tue 10:00 (alternative: Mon 9:00)", "Tue 10:00"),
    ("Tue 10:00 confirmed, Mon 9:00 declined", "Tue 10:00"),
    ("Tue 10:00 (Cyd cannot attend)", "Tue 10:00"),
    ("Tue 10:00, but Cyd can't come", "Tue 10:00"),
    ("Tue 10:00 (no conflicts)", "Tue 10:00"),
    ("Tue 10:00 booked", "Tue 10:00"),
    ("Tue 10:00 (all confirmed; not Mon)", "Tue 10:00"),
    ("Why not Tue 10:00", "Tue 10:00"),
    ("If not, Tue 10:00", "Tue 10:00"),
    ("Tue 10:00 to 11:00", "Tue 10:00"),
    ("Tue 10:00 -> 11:00", "Tue 10:00"),
    ("cancelled: Tue 10:00", ""),
    ("not Tue 10:00", ""),
    ("Tue 10:00 is not possible", ""),
]
NO_TIME = [
    "[Day Time]",
    "<day> <time>",
    "Day HH:MM",
    "Monday",
    "on Monday or Tuesday",
    "13:00",
    "1 pm",
    "Monday morning",
    "Tuesday afternoon",
    "after Tue 14:00",
    "before Wed 10:00",
    "Wed after 10",
    "Wed before noon",
    "Wed 14:00 or later",
    "Wed 14:00 onwards",
    "between 9 and 12 on Mon",
    "Mon between 9:00 and 12:00",
    "TBD",
    "to be decided",
    "next week",
    "",
    "any time on Friday",
    "ASAP",
    "none",
    "N/A",
    "the 3rd slot",
    "soon",
    "Mon/Tue",
    "week of Mon 5 January",
]


@pytest.mark.parametrize(
    "cases", [CLOCKS, WORDS, LANGUAGES, DATES, TAKEN_BACK], ids=["clocks", "words", "languages", "dates", "taken back"]
)
def test_the_time_of_a_schedule_is_read(cases: list[tuple[str, str]]) -> None:
    check(cases)


def test_a_schedule_without_a_day_and_a_time_has_no_slot() -> None:
    check([(text, "") for text in (*NO_TIME, *NOT_DAYS)])


@settings(deadline=None)
@given(st.integers(0, 6), st.sampled_from(("names", "inner")), st.data())
def test_every_weekday_name_is_read_before_a_time(day: int, table: str, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(getattr(weekday_names(), table)[day]))
    assert parse_slot(f"{name} 9:30") == parse_slot(f"{name.upper()}, 9:30") == Slot(day, 570)


def test_no_weekday_name_has_two_meanings() -> None:
    tables = weekday_names()
    for days in (tables.names, tables.inner):
        everything = [folded(name) for names in days for name in set(map(folded, names))]
        assert len(everything) == len(set(everything))


FRAGMENTS = st.sampled_from(
    (
        "mon",
        "Tuesday",
        "di",
        "周二",
        "火曜",
        "화요일",
        "9:30",
        "9h",
        "half past ",
        "halb ",
        "three",
        "三点半",
        "오후",
        "下午",
        " pm",
        " in the morning",
        "not ",
        "instead of ",
        "moved from ",
        " to ",
        " -> ",
        "(cancelled)",
        "~~",
        "<s>",
        "</s>",
        "9" * 5000,
        "2026-01-05T",
        " and ",
        ", ",
        "\n",
        "between ",
        "after ",
        "٩:٣٠",
        "²",
        "½",
        "ǆ",
        "İ",
        "\u0301" * 50,
    )
)


@settings(deadline=None)
@given(
    st.lists(FRAGMENTS | st.text(max_size=8), max_size=25).map("".join) | model_texts(), st.none() | st.integers(0, 6)
)
def test_no_text_raises(text: str, day: int | None) -> None:
    for expression in time_expressions(text, day):
        assert 0 <= expression.start <= len(normalized(text))
        assert 0 <= expression.first <= expression.last < 24 * 60
    assert set(find_slots(text)) >= {slot for slot in [parse_slot(text)] if slot and slot in find_slots(text)}


@pytest.mark.parametrize(
    "text",
    [
        "9" * 200_000,
        "mon " * 50_000,
        "half past " * 20_000,
        "下午" * 100_000,
        "not " * 50_000,
        "~~" * 100_000,
        "<s>" * 66_000,
        "in the morning " * 14_000,
        "9:30 " * 40_000,
        "mon 9:30 -> " * 17_000,
        "\u0301" * 200_000,
        " " * 200_000,
        "mon" + " " * 199_000,
        "a" * 200_000,
        "moved " * 33_000,
        "twenty " * 30_000,
        "1/1/" * 50_000,
        "の" * 200_000,
    ],
)
def test_long_texts_are_read_in_bounded_time(text: str) -> None:
    """Only the beginning is read, and no pattern backtracks over it; a test that does not end would fail here."""
    time_expressions(text)


def test_times_without_a_day_belong_to_the_given_day() -> None:
    assert [e.slot for e in time_expressions("10:00 works, 2 pm does not", 1)] == [Slot(1, 600), Slot(1, 840)]
    assert [e.slot for e in time_expressions("Wed at 10:00", 1)] == [Slot(2, 600)]
    assert time_expressions("10:00 works") == time_expressions("fine with me", 1) == ()
    assert DAYS[time_expressions("after 10", 4)[0].day] == "Fri"


def test_only_the_beginning_of_a_long_text_is_read() -> None:
    assert parse_slot(" " * (MAX_TEXT - 20) + "Mon 13:00") == Slot(0, 780)
    assert parse_slot(" " * MAX_TEXT + "Mon 13:00") is None
