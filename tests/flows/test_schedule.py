"""Schedule of nights: the day of a night, the configs of its two runs, and invalid input."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from muses_eval.flows.nightly.schedule import canary_config, night_config, read_day, resolve_night, scheduled_start
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.errors import ConfigError
from muses_eval.storage.runs.nights import Night

LATE = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)


def config(**nightly: Any) -> RunConfig:
    return parse_config({"models": ["scripted/oracle"], "nightly": nightly}, "here.yaml")


@pytest.mark.parametrize(
    ("timezone", "day"),
    [("UTC", "2026-11-22"), ("Europe/Berlin", "2026-11-23"), ("America/Los_Angeles", "2026-11-22")],
)
def test_tonight_is_where_the_evaluation_is_at_home(timezone: str, day: str) -> None:
    night = resolve_night(config(timezone=timezone, name="board"), None, LATE)
    assert night == Night("board", date.fromisoformat(day))


def test_a_night_can_be_played_later_not_earlier() -> None:
    assert resolve_night(config(), date(2026, 11, 1), LATE).run_id == "nightly-2026-11-01"
    with pytest.raises(ConfigError, match=r"--date 2026-11-23: it is still 2026-11-22 in UTC"):
        resolve_night(config(), date(2026, 11, 23), LATE)


def test_a_night_is_that_of_its_schedule_however_late_it_begins() -> None:
    one_o_clock = datetime(2026, 11, 23, 1, tzinfo=UTC)
    assert scheduled_start(one_o_clock, one_o_clock + timedelta(hours=30)) == one_o_clock
    assert scheduled_start(one_o_clock, one_o_clock - timedelta(hours=30)) == one_o_clock - timedelta(hours=30)
    assert scheduled_start(None, one_o_clock) == one_o_clock


def test_what_is_played() -> None:
    """The canary plays a sample of the night's episodes without the response cache."""
    night = Night("nightly", date(2026, 11, 22))
    base = config(canary=7).model_copy(update={"cache": "store"})
    tonight, canary = night_config(base, night), canary_config(base, night)
    assert (tonight.run_id, tonight.limit, tonight.cache) == (night.run_id, None, "store")
    assert (canary.run_id, canary.limit, canary.cache) == (night.canary_id, 7, "off")
    assert canary_config(base.model_copy(update={"limit": 5}), night).limit == 5


def test_a_run_id_is_refused() -> None:
    named = parse_config({"models": ["scripted/oracle"], "run_id": "mine"}, "here.yaml")
    with pytest.raises(ConfigError, match=r"run_id 'mine': nights are named nightly-<date>; leave it out"):
        night_config(named, Night("nightly", date(2026, 11, 22)))


def test_days() -> None:
    assert read_day(None) is None
    assert read_day("2026-02-28") == date(2026, 2, 28)
    for text in ("2026-02-30", "yesterday", ""):
        with pytest.raises(ConfigError, match="expected a day such as 2026-11-23"):
            read_day(text)


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"nightly": {"timezone": "Europe/Berln"}}, "nightly.timezone: no time zone 'Europe/Berln'; did you mean"),
        ({"nightly": {"timezone": "Mars"}}, "nightly.timezone: no time zone 'Mars'"),
        (
            {"nightly": {"timezone": "posix/Europe/Berlin"}},
            "nightly.timezone: no time zone 'posix/Eur",
        ),
        ({"nightly": {"timezone": "Europe"}}, "nightly.timezone: no time zone 'Europe'"),
        ({"nightly": {"timezone": "../../etc/passwd"}}, "nightly.timezone: no time zone"),
        ({"nightly": {"timezone": ""}}, "nightly.timezone: no time zone ''; write one such as Europe/Berlin"),
        ({"nightly": {"cron": "0 25 * * *"}}, "nightly.cron: '0 25 * * *': bad hour; expected five fields"),
        ({"nightly": {"cron": "every night"}}, "nightly.cron: 'every night': number of fields: 2; expected five"),
        ({"nightly": {"canary": 0}}, "nightly.canary:"),
        ({"nightly": {"name": "a-canary"}}, "nightly.name: 'a-canary': names that end in -canary"),
        ({"nightly": {"name": "a/b"}}, "nightly.name: expected letters, digits"),
        ({"nightly": {"alpha": 1}}, "nightly.alpha:"),
        ({"nightly": {"cronn": "0 1 * * *"}}, "nightly.cronn: unknown key; did you mean 'cron'?"),
        ({"maintain": {"timezone": "Nowhere"}}, "maintain.timezone: no time zone 'Nowhere'"),
        ({"maintain": {"retention": [{"days": 3}]}}, "maintain.retention[0].name: missing"),
        ({"maintain": {"retention": [{"name": "x", "days": 0}]}}, "maintain.retention[0].days:"),
        (
            {"maintain": {"retention": [{"name": "x", "day": 1}]}},
            "maintain.retention[0].day: unknown key; did you mean",
        ),
        ({"maintain": {"grace_hours": 0}}, "maintain.grace_hours:"),
    ],
)
def test_bad_sections(section: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_config({"models": ["scripted/oracle"], **section}, "here.yaml")
    assert f"here.yaml: {expected}" in str(refused.value)
