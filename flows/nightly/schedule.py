"""Which night it is, which runs belong to it, and what the last nights of a store came to."""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.errors import ConfigError, StoreError
from muses_eval.storage.objects.object_store import MissingObjectError, ObjectStore
from muses_eval.storage.runs.manifest import RunManifest, read_manifest
from muses_eval.storage.runs.nights import CANARY, Flag, Night, report_of, stored_nights
from muses_eval.storage.runs.shards import read_index


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


@dataclass(frozen=True, slots=True, kw_only=True)
class NightSummary:
    """One night as ``muses flow status`` shows it.  None: not known."""

    run_id: str
    day: date
    state: str
    """open, sealed, or unreadable."""
    planned: int | None
    scored: int | None
    complete: bool | None
    """None: the night has not come to an end."""
    cost_usd: float | None
    seconds: float | None
    cells_played: int
    cells_reused: int
    flags: tuple[Flag, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def coverage(self) -> float | None:
        return self.scored / self.planned if self.planned and self.scored is not None else None


def last_nights(store: ObjectStore, name: str, most: int) -> list[NightSummary]:
    """The last nights of this name, the newest first."""
    return [line for night in stored_nights(store, name)[:most] if (line := _line(store, night)) is not None]


def _line(store: ObjectStore, night: Night) -> NightSummary | None:
    try:
        manifest = read_manifest(store, night.run_id)
        return _readable(store, night, manifest)
    except MissingObjectError:  # deleted since it was listed
        return None
    except StoreError as error:
        return NightSummary(
            run_id=night.run_id,
            day=night.day,
            state="unreadable",
            planned=None,
            scored=None,
            complete=None,
            cost_usd=None,
            seconds=None,
            cells_played=0,
            cells_reused=0,
            flags=(),
            problems=(str(error),),
            notes=(),
        )


def _readable(store: ObjectStore, night: Night, manifest: RunManifest) -> NightSummary:
    report = report_of(manifest)
    reused = sum(cell.played_in != manifest.run_id for cell in manifest.cells)
    return NightSummary(
        run_id=night.run_id,
        day=night.day,
        state=manifest.state,
        planned=sum(manifest.planned.values()),
        scored=len(read_index(store, night.run_id).scored) if report is None else report.scored,
        complete=None if report is None else report.complete,
        cost_usd=None if report is None else report.cost_usd,
        seconds=None if report is None else report.seconds,
        cells_played=len(manifest.cells) - reused,
        cells_reused=reused,
        flags=() if report is None else report.flags,
        problems=() if report is None else report.problems,
        notes=() if report is None else report.notes,
    )
