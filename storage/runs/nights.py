"""Nights: the runs of a nightly evaluation, and what is kept of each.

    <name>-2026-11-23          the night's run
    <name>-canary-2026-11-23   its canary: a small fixed sample that is played every night

A night's report is kept in the manifest of its run, under ``night``; it goes when the run goes.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from itertools import islice
from typing import Any, Literal

from muses_eval.pipeline.errors import StoreError
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.runs.manifest import RunManifest, list_run_ids, read_manifest, update_manifest

FlagKind = Literal["drift", "regression", "improvement"]
"""``drift``: the canary scores otherwise than it did, though nothing of ours has changed.  ``regression`` and
``improvement``: what was played tonight scores otherwise than in the last sealed night."""

CANARY = "-canary"
"""What the name of a night's canary ends with."""
_DAY = re.compile(r"(?P<name>.+)-(?P<day>\d{4}-\d{2}-\d{2})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Night:
    """One night of a nightly evaluation."""

    name: str
    day: date
    """Where the nightly evaluation is at home."""

    @property
    def run_id(self) -> str:
        return f"{self.name}-{self.day.isoformat()}"

    @property
    def canary_id(self) -> str:
        return f"{self.name}{CANARY}-{self.day.isoformat()}"

    @classmethod
    def parse(cls, run_id: str) -> "Night | None":
        """The night that a run's id names; None for the id of any other run."""
        match = _DAY.fullmatch(run_id)
        if match is None:
            return None
        try:
            return cls(match["name"], date.fromisoformat(match["day"]))
        except ValueError:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A change that chance does not explain.  Scores are 0 to 1, over the scenarios that both sides have."""

    kind: FlagKind
    model: str
    column: str
    """Column of the leaderboard, for example ``privacy``."""
    now: float
    before: float
    difference: float
    """now - before."""
    se: float | None
    p_adjusted: float
    """Corrected for all models and columns that were asked about."""
    scenarios: int
    against: str
    """The run, or the first of the canaries, that ``before`` was measured in."""
    runs: int
    """How many runs ``before`` is a mean of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NightReport:
    """What came of a night, all its starts together."""

    run_id: str
    canary_id: str
    store: str
    started_at: datetime
    """UTC, of the first start."""
    seconds: float
    """Duration of all starts that had work to do."""
    planned: int
    """Episodes of the night's run; those of the canary are counted apart."""
    scored: int
    canary_planned: int
    canary_scored: int
    complete: bool
    """Whether every model of every family reached the coverage that the config asks for, in both runs."""
    budget_reached: bool
    cost_usd: float | None
    """Cost of both runs; None when it is unknown."""
    cells_played: int
    cells_reused: int
    before: str | None
    """The last sealed night; None: there is no earlier one."""
    flags: tuple[Flag, ...]
    problems: tuple[str, ...]
    """What failed in the last start, the most frequent first, for people."""
    notes: tuple[str, ...]
    """What a person should know beside the numbers."""
    site: str
    """Where the night's pages begin."""

    @property
    def coverage(self) -> float:
        return self.scored / self.planned if self.planned else 0.0

    @property
    def alarms(self) -> tuple[Flag, ...]:
        """The flags that somebody should look at."""
        return tuple(flag for flag in self.flags if flag.kind != "improvement")


def store_report(store: ObjectStore, report: NightReport) -> None:
    """Stores a night's report with its run.  Raises as :func:`storage.runs.manifest.update_manifest` does."""
    value = {**asdict(report), "started_at": report.started_at.isoformat()}
    update_manifest(store, report.run_id, lambda manifest: replace(manifest, night=value))


def report_of(manifest: RunManifest) -> NightReport | None:
    """The report that a run has; None: it is no night's, or its night has not come to an end.

    Raises:
        StoreError: it is not one that this version reads.
    """
    if manifest.night is None:
        return None
    value: dict[str, Any] = dict(manifest.night)
    try:
        value["started_at"] = datetime.fromisoformat(value["started_at"])
        value["flags"] = tuple(Flag(**flag) for flag in value["flags"])
        value |= {name: tuple(value[name]) for name in ("problems", "notes")}
        return NightReport(**value)
    except (TypeError, KeyError, ValueError) as error:
        raise StoreError(
            f"the run {manifest.run_id!r} has a night's report that cannot be read ({type(error).__name__}: {error});"
            " another version of muses-eval may have written it"
        ) from error


def stored_nights(store: ObjectStore, name: str) -> list[Night]:
    """The nights of this name that have a run, the newest first."""
    found = (Night.parse(run_id) for run_id in list_run_ids(store))
    return sorted((night for night in found if night is not None and night.name == name), reverse=True)


def sealed_nights_before(store: ObjectStore, night: Night, most: int) -> list[RunManifest]:
    """The manifests of the sealed nights before this one, the newest first."""
    earlier = (each for each in stored_nights(store, night.name) if each.day < night.day)
    return list(islice(_readable(store, (each.run_id for each in earlier), state="sealed"), most))


def canaries_before(store: ObjectStore, night: Night, most: int) -> list[RunManifest]:
    """The manifests of the canaries before this night's, the newest first."""
    canaries = stored_nights(store, f"{night.name}{CANARY}")
    earlier = [each.run_id for each in canaries if each.day < night.day]
    return list(_readable(store, earlier[:most]))


def _readable(store: ObjectStore, run_ids: Iterable[str], state: str | None = None) -> Iterator[RunManifest]:
    """The manifests that can be read, of runs in this state where one is named."""
    for run_id in run_ids:
        try:
            manifest = read_manifest(store, run_id)
        except StoreError:  # deleted since it was listed, damaged, of a newer version: one of them ends no later night
            continue
        if state in (None, manifest.state):
            yield manifest


def rows_version(manifest: RunManifest, family: str) -> str | None:
    """Which scenarios of a family a run was planned over; None: its manifest does not say."""
    rows = manifest.made_with.get("rows")
    version = rows.get(family) if isinstance(rows, Mapping) else None
    return version if isinstance(version, str) else None
