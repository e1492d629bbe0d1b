"""Text tables keep their form whatever their cells contain."""

import re
import unicodedata

import pytest
from hypothesis import given, strategies as st
from muses_eval.dashboards.tables.narrow_table import Narrowing
from muses_eval.dashboards.tables.screen import Screen
from muses_eval.dashboards.tables.text_table import markdown_table, one_line, printable, text_table

HEADER = ("model", "avg")
HOSTILE = "\x1b[2J\x1b]0;owned\x07 \u202egnp.exe\u202c \u200b\u2066\ud800 \r\b"
"""Text that clears the screen, sets the window title, reverses or hides text, breaks encoders, or overwrites a line."""


def width(line: str) -> int:
    """Returns the width on a terminal, computed independently: 2 for wide characters, 0 for marks and joiners."""
    return sum(
        0 if unicodedata.category(c) in ("Mn", "Me", "Cf") else 1 + (unicodedata.east_asian_width(c) in "WF")
        for c in line
    )


def test_a_table() -> None:
    rows = [["short", "1.0"], ["a longer name", "12.5"]]
    assert text_table(HEADER, rows, numeric=(1,)) == (
        "model           avg\n─────────────  ────\nshort           1.0\na longer name  12.5"
    )


def test_a_table_without_rows() -> None:
    assert text_table(HEADER, []) == "model  avg\n─────  ───"
    assert markdown_table(HEADER, []) == "| model | avg |\n| --- | --- |"


@pytest.mark.parametrize("name", ["通义千问-7B", "モデル", "é", "e\u0301", "☂\ufe0f", "🤖 bot", "한국어", "ﬁ"])
def test_numbers_stand_below_each_other_beside_names_of_any_script(name: str) -> None:
    lines = text_table(HEADER, [[name, "1.0"], ["plain-name", "12.5"]], numeric=(1,)).splitlines()
    assert len({width(line) for line in lines}) == 1


@pytest.mark.parametrize("name", ["a\nb", "a\tb", "a\r\nb", "a\u2028b", "a\x85b", "a\x0bb", "  a  b "])
def test_a_cell_is_one_line(name: str) -> None:
    assert len(text_table(HEADER, [[name, "1"]]).splitlines()) == 3
    assert len(markdown_table(HEADER, [[name, "1"]]).splitlines()) == 3


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("a|b", r"a\|b"),
        (r"a\|b", r"a\\\|b"),
        ("a\\", "a\\\\"),
        ("<img src=x>", "&lt;img src=x>"),
        ("a\n| --- |", r"a \| --- \|"),
    ],
)
def test_no_cell_of_a_markdown_table_can_end_itself(cell: str, shown: str) -> None:
    table = markdown_table(HEADER, [[cell, "1.0"]], numeric=(1,))
    assert table == f"| model | avg |\n| --- | ---: |\n| {shown} | 1.0 |"


def test_what_rules_a_terminal_is_not_printed() -> None:
    for text in (printable(HOSTILE), text_table(HEADER, [[HOSTILE, "1"]]), markdown_table(HEADER, [[HOSTILE, "1"]])):
        assert not {"\x1b", "\x07", "\x08", "\r", "\u202e", "\u202c", "\u200b", "\u2066", "\ud800"} & set(text)
    assert "\ufffd[2J" in printable(HOSTILE)  # shown, not dropped


SCORES = ("queue F1", "instruct acc", "privacy", "utility", "meeting succ", "avg")
WIDE = ("", "model", *SCORES, "episodes", "coverage", "cost")
WIDE_ROWS = [
    ["1", "vllm:Qwen/Qwen3-235B-A22B-Instruct", *["99.9 ± 10.0"] * 6, "1291/1291", "100 %", "$12.34"],
    ["–", "scripted/oracle", *["100.0 ± 0.0"] * 6, "11/1291", "0.852 %", "$0.00"],
]
NARROWING = Narrowing({"instruct acc": "instr acc"}, ("episodes", "cost"))


def test_a_table_that_fits_stays_as_it_is() -> None:
    whole = text_table(WIDE, WIDE_ROWS, range(2, 11))
    assert text_table(WIDE, WIDE_ROWS, range(2, 11), Screen(max(map(len, whole.splitlines()))), NARROWING) == whole


def test_a_narrow_screen_wraps_cells_before_it_leaves_out_columns() -> None:
    lines = text_table(WIDE, WIDE_ROWS, range(2, 11), Screen(96), NARROWING).splitlines()
    assert max(map(width, lines)) <= 96
    assert "left out" not in lines[-1]
    said = " ".join(" ".join(lines).split())
    assert all(text in said for text in ("instr", "acc", "99.9", "± 10.0", "0.852 %", "$12.34", "coverage"))
    lines = text_table(WIDE, WIDE_ROWS, range(2, 11), Screen(80), NARROWING).splitlines()
    assert max(map(width, lines)) <= 80
    assert lines[-1] == "left out, since the terminal is narrow: episodes, cost"


@given(
    st.integers(30, 120),
    st.lists(st.tuples(st.text(max_size=30), st.text("0123.±% /", max_size=14), st.text(max_size=60)), max_size=3),
)
def test_no_line_is_wider_than_the_screen(columns: int, rows: list[tuple[str, str, str]]) -> None:
    shown = text_table(("model", "score", "text"), rows, (1,), Screen(columns))
    assert all(width(line) <= columns for line in shown.splitlines())
    letters = "".join("".join(map(one_line, row)) for row in rows).replace(" ", "")
    assert "left out" in shown or sorted(letters) == sorted("".join("".join(shown.splitlines()[2:]).split()))


def test_colours_only_where_there_are_some() -> None:
    plain, colored = (text_table(WIDE, WIDE_ROWS, range(2, 11), Screen(200, color)) for color in (False, True))
    assert "\x1b" not in plain
    assert re.sub(r"\x1b\[\d+m", "", colored) == plain
    assert colored.startswith("\x1b[1m")


@given(st.text() | st.text("a بक\u094d👩🏽\u200c\u200d\ufe0f\u202e\U0001f3f4\U000e0067\U000e007f\U000e0101漢"))
def test_printable_text_has_no_control_characters_but_line_breaks_and_tabs(text: str) -> None:
    shown = printable(text)
    assert all(c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs") for c in shown)
    assert printable(shown) == shown
    assert len(shown) == len(text)
    shown.encode()
    assert "\n" not in one_line(text)


@pytest.mark.parametrize(
    "text",
    [
        "می\u200cخواهم",
        "کتاب\u200cها و API\u200cها",
        "۲۰\u200cام، ه\u200d.ش",
        "क\u094d\u200dष",
        "क\u094d\u200c",
        "ශ\u0dca\u200dරී",
        "র\u200d\u09cdয",
        "👩\u200d👩\u200d👧",
        "🏳\ufe0f\u200d🌈",
        "👩🏽\u200d⚕\ufe0f ❤\ufe0f 1\ufe0f\u20e3",
        "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
        "葛\U000e0100城",
        "\u06dd١",
    ],
)
def test_invisible_characters_stay_where_a_script_or_an_emoji_needs_them(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("pass\u200dword", "pass�word"),
        ("Bob\u200c", "Bob�"),
        ("سلام\u200c", "سلام�"),
        ("می\u200c\u200cخواهم", "می��خواهم"),
        ("\u200d👩", "�👩"),
        ("👩\u200d", "👩�"),
        ("👩\u200dx", "👩�x"),
        ("admin\u202etxt\u2066\u2069\u200e\u061c", "admin�txt����"),
        ("a\u200b\ufeff\u00ad\u2060\u180eb", "a�����b"),
        ("hi\U000e0068\U000e0069", "hi��"),
        ("\U0001f3f4\U000e0069\U000e0067", "\U0001f3f4��"),
        ("a\U000e0101\U000e0102", "a��"),
        ("a\ufe0f\ufe01", "a\ufe0f�"),
        ("\u3164\u034f\u115f", "���"),
    ],
)
def test_spoofing_characters_are_shown_as_such(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


def test_plain_text_stays_as_it_is() -> None:
    text = "Grüße, 你好!\n\t{json: 1} – “quoted” 🤖"
    assert printable(text) == text
