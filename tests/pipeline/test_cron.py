"""Cron expressions: a wrong one is refused where it is written, and what is let through is one to Prefect as well."""

import pytest
from hypothesis import given, settings, strategies as st

from pipeline.cron import cron_problem

GOOD = [
    "0 2 * * *",
    "*/15 * * * *",
    "0 6,18 * * mon-fri",
    "30 4 1 jan,JUL *",
    "0 0 1-15/5 * 7",
    "59 23 31 12 0",
    "0 0 29 2 *",
    "0 0 31 2/1 *",
    "0 0 31 2 1",
]
BAD = {
    "": "five fields",
    "0 2 * *": "five fields",
    "0 2 * * * *": "five fields",
    "@daily": "five fields",
    "60 2 * * *": "'60' is no minute: expected 0-59",
    "0 24 * * *": "'24' is no hour",
    "0 2 0 * *": "'0' is no day of month",
    "0 2 * 13 *": "'13' is no month: expected 1-12 or jan-dec",
    "0 2 * * 8": "'8' is no day of week",
    "0 2 * * noday": "'noday' is no day of week: expected 0-7 or sun-sat",
    "0 5-3 * * *": "'5-3' is no hour",
    "*/0 * * * *": "'*/0' is no minute",
    "*-5 * * * *": "'*-5' is no minute",
    "0 2,, * * *": "'' is no hour",
    "-5 * * * *": "'-5' is no minute",
    "² 2 * * *": "is no minute",
    "*/90 * * * *": "'*/90' is no minute",
    "0 0 31 2 *": "no month of '2' has a day '31'",
    "0 0 31 4,jun *": "no month of '4,jun' has a day '31'",
    "0 0 30-31 feb *": "no month of 'feb' has a day '30-31'",
}
WORD = st.sampled_from(["*", "0", "1", "5", "12", "31", "60", "1-5", "5-1", "*/2", "1-9/3", "mon", "jan", "x", "1,2"])


@pytest.mark.parametrize("text", GOOD)
def test_good_ones(text: str) -> None:
    assert cron_problem(text) is None


@pytest.mark.parametrize("text", BAD)
def test_bad_ones_are_told_what_is_expected(text: str) -> None:
    assert BAD[text] in (cron_problem(text) or "")


@given(st.lists(WORD, min_size=4, max_size=6).map(" ".join))
@settings(deadline=None)
def test_what_is_let_through_is_a_schedule_to_prefect(text: str) -> None:
    from prefect.client.schemas.schedules import CronSchedule

    if cron_problem(text) is None:
        assert CronSchedule(cron=text).cron == text
