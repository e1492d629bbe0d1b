"""The last nights of a store, one summary per night."""

from dataclasses import dataclass
from datetime import date

from muses_eval.pipeline.errors import StoreError
from muses_eval.storage.objects.object_store import MissingObjectError, ObjectStore
from muses_eval.storage.runs.manifest import RunManifest, read_manifest
from muses_eval.storage.runs.nights import Flag, Night, report_of, stored_nights
from muses_eval.storage.runs.shards import read_index


@dataclass(frozen=True, slots=True, kw_only=True)
class NightSummary:
    """One night as ``muses flow status`` shows it; None stands for an unknown value."""

    run_id: str
    day: date
    state: str
    """State of the run of the night: open, sealed or unreadable."""
    protocol: str | None
    planned: int | None
    scored: int | None
    complete: bool | None
    """True when every model reached the coverage; None when the night has not finished."""
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
    """Returns at most *most* nights of this name, the newest first."""
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
            protocol=None,
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
        protocol=manifest.protocol,
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
