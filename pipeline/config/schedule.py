"""What starts by itself and what Prefect does beyond playing: retries, nights, upkeep, retention."""

import difflib
import zoneinfo

from muses_eval.pipeline.config.section import SEGMENT, Number, Section, Whole
from muses_eval.pipeline.cron import cron_problem
from pydantic import Field, field_validator


class FlowConfig(Section):
    """What Prefect does beyond playing: it tries a cell again, and ends what takes too long."""

    cell_retries: Whole = Field(2, ge=0)
    """After the first try of a cell; what is scored by then is not played again."""
    retry_seconds: Number = Field(30.0, ge=0)
    """Between two tries."""
    cell_minutes: Number | None = Field(None, gt=0)
    """For one try; a cell that takes longer is left as it is, and the others go on."""
    flow_minutes: Number | None = Field(None, gt=0)
    """For the whole flow; what is finished then is kept, and the next start plays the rest."""


class _Schedule(Section):
    """When a job starts by itself, once it is deployed."""

    cron: str
    timezone: str = "UTC"
    """As the tz database names it: Europe/Berlin, UTC."""

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
            hint = f"did you mean {near[0]!r}?" if near else "write one as Europe/Berlin, America/New_York or UTC"
            raise ValueError(f"no time zone {value!r}; {hint}")
        return value


class NightlyConfig(_Schedule):
    """A leaderboard that renews itself every night."""

    cron: str = "0 1 * * *"
    name: str = Field("nightly", pattern=SEGMENT)
    """Runs are called <name>-<date> and <name>-canary-<date>, by the date in ``timezone``."""
    canary: Whole = Field(20, ge=2)
    """Scenarios a family that are played every night, whatever is reused."""
    alpha: Number = Field(0.01, gt=0, lt=1)
    """The chance, in a night in which nothing has changed, of a flag of a kind."""

    @field_validator("name")
    @classmethod
    def _no_canary(cls, value: str) -> str:
        if value.endswith("-canary"):
            raise ValueError(f"{value!r}: the canaries of another nightly evaluation are called so; write another")
        return value


class RetentionConfig(Section):
    """Runs that are deleted when nothing has been written to them for so long."""

    name: str
    """Pattern of the run's id, as nightly-*."""
    days: Number = Field(gt=0)


class MaintainConfig(_Schedule):
    """The upkeep of the store."""

    cron: str = "0 5 * * *"
    grace_hours: Number = Field(24.0, ge=1)
    """How old garbage has to be."""
    retention: tuple[RetentionConfig, ...] = ()
    """Left out: no run is ever deleted."""
