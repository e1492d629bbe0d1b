"""Day of a night, and the configurations of its two runs."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.errors import ConfigError
from muses_eval.storage.runs.nights import CANARY, Night


def read_day(text: str | None) -> date | None:
    """Parses a day such as 2026-11-23; None stays None.

    Raises:
        ConfigError: *text* is not a day.
    """
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"--date {text!r}: expected a day such as 2026-11-23") from error


def resolve_night(config: RunConfig, day: date | None, now: datetime) -> Night:
    """Returns the night of *day*, by default of today in the time zone of the config; *now* may be in any time zone.

    Raises:
        ConfigError: the day has not begun in that time zone.
    """
    today = now.astimezone(ZoneInfo(config.nightly.timezone)).date()
    if day is not None and day > today:
        raise ConfigError(
            f"--date {day}: it is still {today} in {config.nightly.timezone}; a night can be played later, not earlier"
        )
    return Night(config.nightly.name, day or today)


def scheduled_start(scheduled: datetime | None, now: datetime) -> datetime:
    """Returns the time that determines the night of a start: its scheduled time, even when it starts late.

    *scheduled* is in the future when the start was triggered early; then *now* counts.
    """
    return now if scheduled is None else min(scheduled, now)


def refuse_run_id(config: RunConfig) -> None:
    """Raises ConfigError when the config has a ``run_id``, because the ids of nights are derived from their day."""
    if config.run_id is not None:
        raise ConfigError(
            f"run_id {config.run_id!r}: nights are named {config.nightly.name}-<date>; leave it out (nightly.name sets"
            " the first part)"
        )


def night_config(config: RunConfig, night: Night) -> RunConfig:
    """Returns the config of the run of a night.

    Raises:
        ConfigError: the config has a ``run_id``.
    """
    refuse_run_id(config)
    return config.model_copy(update={"run_id": night.run_id, "name": night.name})


def canary_config(config: RunConfig, night: Night) -> RunConfig:
    """Returns the config of the canary of a night: a fixed sample, played without the response cache."""
    least = config.nightly.canary
    limit = least if config.limit is None else min(least, config.limit)
    return config.model_copy(
        update={"run_id": night.canary_id, "name": f"{night.name}{CANARY}", "limit": limit, "cache": "off"}
    )
