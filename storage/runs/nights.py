"""Nights: the runs of a nightly evaluation, and their reports.

    <name>-2026-11-23          the run of the night
    <name>-canary-2026-11-23   its canary: a small fixed sample that is played every night
    <name>-confirm-2026-11-23  the replay of its flagged cells, and <name>-canary-confirm-2026-11-23 that of its canary

The report of a night is stored in the manifest of its run, under ``night``, and is deleted with the run.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from itertools import islice
from typing import Any, Literal

from muses_eval.pipeline.errors import StoreError
from muses_eval.pipeline.protocols import ProtocolName
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.runs.manifest import RunManifest, list_run_ids, read_manifest, update_manifest
from muses_eval.storage.schema.parquet_schema import EARLIER_PROTOCOL

FlagKind = Literal["drift", "regression", "improvement"]
"""``drift``: the scores of the canary changed although our code and configuration did not.  ``regression`` and
``improvement``: the scores of tonight's run differ from those of the last sealed night."""

CANARY = "-canary"
"""Suffix of the name of a canary."""
_REPLAY = "-confirm"
_REPLAY_NAME = re.compile(rf"{_REPLAY}\d?\Z", re.ASCII)
_DAY = re.compile(r"(?P<name>.+)-(?P<day>\d{4}-\d{2}-\d{2})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Night:
    """One night of a nightly evaluation."""

    name: str
    day: date
    """Date in the time zone of the nightly evaluation."""

    @property
    def run_id(self) -> str:
        return f"{self.name}-{self.day.isoformat()}"

    @property
    def canary(self) -> "Night":
        return Night(f"{self.name}{CANARY}", self.day)

    @property
    def canary_id(self) -> str:
        return self.canary.run_id

    def replay(self, number: int) -> "Night":
        """Returns the replay with this number, from 1, of the night's flagged cells."""
        return Night(f"{self.name}{_REPLAY}{'' if number == 1 else number}", self.day)

    @property
    def is_replay(self) -> bool:
        return _REPLAY_NAME.search(self.name) is not None

    @classmethod
    def parse(cls, run_id: str) -> "Night | None":
        """Parses the run id of a night or a canary; None for the id of any other run."""
        match = _DAY.fullmatch(run_id)
        if match is None:
            return None
        try:
            return cls(match["name"], date.fromisoformat(match["day"]))
        except ValueError:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A statistically significant change.  Scores are 0 to 1, over the scenarios that both sides have in common."""

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
    """P-value, corrected for all compared models and columns."""
    scenarios: int
    against: str
    """Id of the run, or of the first canary, in which ``before`` was measured."""
    runs: int
    """Number of runs over which ``before`` is averaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NightReport:
    """The result of a night, all its starts together."""

    run_id: str
    canary_id: str
    store: str
    protocol: ProtocolName = EARLIER_PROTOCOL
    started_at: datetime
    """Time of the first start, in UTC."""
    seconds: float
    """Duration of all starts that had work to do."""
    planned: int
    """Number of planned episodes of the night's run, without the canary."""
    scored: int
    canary_planned: int
    canary_scored: int
    complete: bool
    """True when every model reached the configured coverage in every family, in both runs."""
    budget_reached: bool
    cost_usd: float | None
    """Cost of both runs; None when it is unknown."""
    cells_played: int
    cells_reused: int
    before: str | None
    """Run id of the last sealed night; None for the first night."""
    flags: tuple[Flag, ...]
    """Changes; drift and regressions only if a replay confirmed them, or was not possible."""
    unconfirmed: tuple[Flag, ...] = ()
    """Drift and regressions that a replay did not confirm."""
    problems: tuple[str, ...]
    """Failures of the last start, the most frequent first."""
    notes: tuple[str, ...]
    """Remarks for people."""
    site: str
    """Address of the night's pages."""

    @property
    def coverage(self) -> float:
        return self.scored / self.planned if self.planned else 0.0

    @property
    def alarms(self) -> tuple[Flag, ...]:
        """Flags of drift and regression."""
        return tuple(flag for flag in self.flags if flag.kind != "improvement")


def is_replay(run_id: str) -> bool:
    """Returns True for the id of a replay of flagged cells."""
    night = Night.parse(run_id)
    return night is not None and night.is_replay


def store_report(store: ObjectStore, report: NightReport) -> None:
    """Stores a night's report in the manifest of its run.  Raises as :func:`update_manifest` does."""
    value = {**asdict(report), "started_at": report.started_at.isoformat()}
    update_manifest(store, report.run_id, lambda manifest: replace(manifest, night=value))


def report_of(manifest: RunManifest) -> NightReport | None:
    """Returns the report in a manifest; None for other runs and for unfinished nights.

    Raises:
        StoreError: this version cannot read the report.
    """
    if manifest.night is None:
        return None
    value: dict[str, Any] = dict(manifest.night)
    try:
        value["started_at"] = datetime.fromisoformat(value["started_at"])
        value["flags"] = tuple(Flag(**flag) for flag in value["flags"])
        value["unconfirmed"] = tuple(Flag(**flag) for flag in value.get("unconfirmed", ()))
        value |= {name: tuple(value[name]) for name in ("problems", "notes")}
        return NightReport(**value)
    except (TypeError, KeyError, ValueError) as error:
        raise StoreError(
            f"the run {manifest.run_id!r} has a night's report that cannot be read ({type(error).__name__}: {error});"
            " another version of muses-eval may have written it"
        ) from error


def stored_nights(store: ObjectStore, name: str) -> list[Night]:
    """Returns the stored nights of this name, the newest first."""
    found = (Night.parse(run_id) for run_id in list_run_ids(store))
    return sorted((night for night in found if night is not None and night.name == name), reverse=True)


def sealed_nights_before(store: ObjectStore, night: Night, most: int) -> list[RunManifest]:
    """Returns the manifests of up to *most* sealed nights before this one, the newest first."""
    earlier = (each for each in stored_nights(store, night.name) if each.day < night.day)
    return list(islice(_readable(store, (each.run_id for each in earlier), state="sealed"), most))


def canaries_before(store: ObjectStore, night: Night, most: int) -> list[RunManifest]:
    """Returns the manifests of up to *most* canaries before this night's, the newest first."""
    canaries = stored_nights(store, f"{night.name}{CANARY}")
    earlier = [each.run_id for each in canaries if each.day < night.day]
    return list(_readable(store, earlier[:most]))


def _readable(store: ObjectStore, run_ids: Iterable[str], state: str | None = None) -> Iterator[RunManifest]:
    """Yields the readable manifests of these runs; only runs in *state* unless it is None."""
    for run_id in run_ids:
        try:
            manifest = read_manifest(store, run_id)
        except StoreError:  # deleted, damaged or of a newer version: an old run must not stop a new night
            continue
        if state in (None, manifest.state):
            yield manifest


def rows_version(manifest: RunManifest, family: str) -> str | None:
    """Returns the version of a family's scenarios in a run's plan; None when the manifest does not contain it."""
    rows = manifest.made_with.get("rows")
    version = rows.get(family) if isinstance(rows, Mapping) else None
    return version if isinstance(version, str) else None
