"""Day of a night, and the configurations of its two runs."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.errors import ConfigError
from muses_eval.storage.runs.nights import CANARY, Night


def read_day(text: str | None) -> date | None:
    """A day as 2026-11-23.

    Raises:
        ConfigError: it is none.
    """
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"--date {text!r}: expected a day as 2026-11-23") from error


def resolve_night(config: RunConfig, day: date | None, now: datetime) -> Night:
    """The night of a day; without one, that of today where the nightly evaluation is at home.  *now*: any time zone's.

    Raises:
        ConfigError: that day has not begun there.
    """
    today = now.astimezone(ZoneInfo(config.nightly.timezone)).date()
    if day is not None and day > today:
        raise ConfigError(
            f"--date {day}: it is still {today} in {config.nightly.timezone}; a night can be played later, not earlier"
        )
    return Night(config.nightly.name, day or today)


def scheduled_start(scheduled: datetime | None, now: datetime) -> datetime:
    """When a night that begins now was to begin: at its schedule's time, however late and however often it is started.

    *scheduled* lies ahead where somebody has started it before its time.
    """
    return now if scheduled is None else min(scheduled, now)


def refuse_run_id(config: RunConfig) -> None:
    """Raises ConfigError for a config that names one run: nights have names of their own."""
    if config.run_id is not None:
        raise ConfigError(
            f"run_id {config.run_id!r}: nights are named {config.nightly.name}-<date>; leave it out (nightly.name says"
            " how they begin)"
        )


def night_config(config: RunConfig, night: Night) -> RunConfig:
    """What the night plays.

    Raises:
        ConfigError: the config names one run.
    """
    refuse_run_id(config)
    return config.model_copy(update={"run_id": night.run_id, "name": night.name})


def canary_config(config: RunConfig, night: Night) -> RunConfig:
    """What its canary plays: a sample that stays the same, asked anew whatever the cache holds."""
    least = config.nightly.canary
    limit = least if config.limit is None else min(least, config.limit)
    return config.model_copy(
        update={"run_id": night.canary_id, "name": f"{night.name}{CANARY}", "limit": limit, "cache": "off"}
    )
