"""A wrong cron expression is refused when the config is read, and Prefect accepts every other."""

import asyncio
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings, strategies as st
from muses_eval.pipeline.cron import cron_problem

GOOD = [
    "0 2 * * *",
    "*/15 * * * *",
    "0 6,18 * * mon-fri",
    "30 4 1 jan,JUL *",
    "0 0 1-15/5 * 7",
    "59 23 31 12 0",
    "0 0 29 2 *",
    "0 0 31 2/1 *",
    "0 0 13 * fri",
]
BAD = {
    "": "number of fields: 0",
    "0 2 * *": "number of fields: 4",
    "0 2 * * * *": "number of fields: 6",
    "@daily": "number of fields: 1",
    "60 2 * * *": "bad minute",
    "0 24 * * *": "bad hour",
    "0 2 0 * *": "bad day-of-month",
    "0 2 * 13 *": "bad month",
    "0 2 * * 8": "bad day-of-week",
    "0 2 * * noday": "bad 'noday'",
    "0 2 * * abc": "bad day-of-week",
    "0 5-3 * * *": "bad hour",
    "*/0 * * * *": "bad minute",
    "*-5 * * * *": "bad minute",
    "0 2,, * * *": "bad '2,,'",
    "-5 * * * *": "bad '-5'",
    "² 2 * * *": "bad '²'",
    "0 0 L * *": "bad 'L'",
    "0 0 LW * *": "bad 'LW'",
    "0 0 * * 5L": "bad '5L'",
    "0 0 * * mon#2": "bad 'mon#2'",
    # None of these months has such a day, so the schedule would never fire.
    "0 0 31 2 *": "bad day-of-month",
    "0 0 30 2 *": "bad day-of-month",
    "0 0 31 4,jun *": "bad day-of-month",
    "0 0 30-31 feb *": "bad day-of-month",
    "0 0 31 2 1": "bad day-of-month",
}
NUMBERS = ("0", "1", "2", "5", "12", "29", "30", "31", "60", "1-5", "5-1", "30-31", "*/2", "*/31", "1-9/3", "1,2")
WORD = st.sampled_from(("*", *NUMBERS, "mon", "jan", "feb", "x", "L", "5L", "1#5"))


@pytest.mark.parametrize("text", GOOD)
def test_good_ones(text: str) -> None:
    assert cron_problem(text) is None


@pytest.mark.parametrize("text", BAD)
def test_bad_ones_are_refused_with_what_was_expected(text: str) -> None:
    problem = cron_problem(text) or ""
    assert problem.startswith(f"{BAD[text]}; expected five fields, such as '0 2 * * *': minute 0-59, hour 0-23")


@given(st.lists(WORD, min_size=5, max_size=5).map(" ".join))
@settings(deadline=None)
def test_prefect_fires_what_is_let_through(text: str) -> None:
    from prefect.server.schemas.schedules import CronSchedule

    if cron_problem(text) is None:
        start = datetime(2026, 11, 30, tzinfo=UTC)
        assert len(asyncio.run(CronSchedule(cron=text).get_dates(n=1, start=start))) == 1
