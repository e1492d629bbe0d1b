"""Schedules and Prefect options: retries, time limits, nights, store maintenance, retention."""

import difflib
import zoneinfo

from muses_eval.pipeline.config.section import SEGMENT, Integer, Number, Section
from muses_eval.pipeline.cron import cron_problem
from pydantic import Field, field_validator


class FlowConfig(Section):
    """Retries and time limits of a run that Prefect executes."""

    cell_retries: Integer = Field(2, ge=0)
    """Retries of a cell after its first attempt; episodes that are scored by then are not replayed."""
    retry_seconds: Number = Field(30.0, ge=0)
    """Pause between two attempts."""
    cell_minutes: Number | None = Field(None, gt=0)
    """Time limit of one attempt; a cell that takes longer is stopped, and the other cells continue."""
    flow_minutes: Number | None = Field(None, gt=0)
    """Time limit of the whole flow; finished episodes are kept, and the next start plays the rest."""


class _Schedule(Section):
    """Schedule of a deployed job."""

    cron: str
    timezone: str = "UTC"
    """Time zone as the tz database names it: Europe/Berlin, UTC."""

    @field_validator("cron")
    @classmethod
    def _five_fields(cls, value: str) -> str:
        if problem := cron_problem(value):
            raise ValueError(f"{value!r}: {problem}")
        return value

    @field_validator("timezone")
    @classmethod
    def _exists(cls, value: str) -> str:
        there = zoneinfo.available_timezones()
        if value not in there:
            near = difflib.get_close_matches(value, there, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "write one such as Europe/Berlin, America/New_York or UTC"
            raise ValueError(f"no time zone {value!r}; {hint}")
        return value


class NightlyConfig(_Schedule):
    """A leaderboard that is updated every night."""

    cron: str = "0 1 * * *"
    name: str = Field("nightly", pattern=SEGMENT)
    """Runs are called <name>-<date> and <name>-canary-<date>, by the date in ``timezone``."""
    canary: Integer = Field(20, ge=2)
    """Scenarios per family that are played every night, also when everything else is reused."""
    alpha: Number = Field(0.01, gt=0, lt=1)
    """Probability of a false flag of one kind on a night when nothing changed."""
    confirm: Integer = Field(1, ge=0, le=3)
    """Number of times that flagged cells are replayed before a regression or drift is reported."""

    @field_validator("name")
    @classmethod
    def _no_canary(cls, value: str) -> str:
        for suffix, owner in (("-canary", "canaries"), ("-confirm", "replays of flagged cells")):
            if value.endswith(suffix):
                raise ValueError(f"{value!r}: names that end in {suffix} are reserved for {owner}; choose another name")
        return value


class RetentionConfig(Section):
    """Rule that deletes runs after a time without writes."""

    name: str
    """Pattern of the run's id, for example nightly-*."""
    days: Number = Field(gt=0)


class MaintainConfig(_Schedule):
    """Scheduled maintenance of the store."""

    cron: str = "0 5 * * *"
    grace_hours: Number = Field(24.0, ge=1)
    """Minimum age of garbage before it is deleted."""
    retention: tuple[RetentionConfig, ...] = ()
    """Retention rules; without any, no run is ever deleted."""
