"""Verification of a run: reads every object completely and compares it with the manifest."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
from muses_eval.pipeline.errors import StoreError
from muses_eval.pipeline.text.count_text import count_text
from muses_eval.storage.objects.agent_archive import unpack_code
from muses_eval.storage.objects.object_keys import RescoredKey, ShardKey, manifest_key, rescored_keys, trace_keys
from muses_eval.storage.objects.object_store import MissingObjectError, ObjectStore
from muses_eval.storage.runs.manifest import NoSuchRunError, RunManifest, SealedObject, find_manifest, read_manifest
from muses_eval.storage.runs.shards import DamagedObjectError, verified_columns
from muses_eval.storage.schema.parquet_schema import RESCORED_SCHEMA

_COLUMNS = ("episode_id", "run_id", "outcome")
_READERS = 4
_TRIES = 5

DefectKind = Literal["damaged", "missing", "changed", "misplaced", "unreadable"]
"""``changed``: readable, but different from the manifest.  ``misplaced``: contains rows of another run.
``unreadable``: written by a newer version, or not a manifest."""


@dataclass(frozen=True, slots=True)
class Defect:
    """One defect of an object."""

    key: str
    trouble: DefectKind
    problem: str
    lost: str
    """Description of the lost data."""


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """The stored episodes of a run, and its defects."""

    run_id: str
    state: str
    """State in the manifest; empty when the manifest cannot be read."""
    planned: int
    stored: int
    """Number of distinct episodes in the live objects."""
    scored: int
    objects: int
    """Number of objects that were read, obsolete ones included."""
    bytes: int
    findings: tuple[Defect, ...]


@dataclass(frozen=True, slots=True)
class _Read:
    """One object after it was read."""

    size: int
    rows: pa.Table | None
    """Rows to count; None when there are none."""
    finding: Defect | None
    is_there: bool = True


def verify(store: ObjectStore, run_id: str) -> VerificationReport:
    """Verifies a run; starts again when the run is compacted meanwhile.

    Raises:
        NoSuchRunError: there is no such run.
        StoreError: the store cannot be read, or the run kept being changed.
    """
    for _ in range(_TRIES):
        shards, parts = list(trace_keys(store, run_id)), list(rescored_keys(store, run_id))
        try:
            manifest = read_manifest(store, run_id)
        except MissingObjectError:
            manifest = find_manifest(store, run_id)
        except StoreError as error:
            return _without_manifest(run_id, error)
        read = _read_all(store, manifest, [*map(str, shards), *map(str, parts)])
        # Compaction replaces the manifest before it deletes anything.
        if all(each.is_there for each in read.values()) or _still_holds(store, manifest):
            return _check(manifest, read, list(_archive_defects(store, manifest)))
    raise StoreError(
        f"store {store.url}: the run {run_id!r} kept being compacted while it was read; start the command again"
    )


def verify_each(store: ObjectStore, run_ids: Iterable[str]) -> Iterator[VerificationReport]:
    """Verifies runs.  A run that is deleted meanwhile is skipped.

    Raises:
        StoreError: the store cannot be read, or a run kept being changed.
    """
    for run_id in run_ids:
        with suppress(NoSuchRunError):
            yield verify(store, run_id)


def _read_all(store: ObjectStore, manifest: RunManifest, listed: Sequence[str]) -> Mapping[str, _Read]:
    sealed = {entry.key: entry for entry in manifest.sealed}
    keys = [*sealed, *listed]
    with ThreadPoolExecutor(_READERS) as threads:
        read = threads.map(lambda key: _read(store, manifest.run_id, key, sealed.get(key)), keys)
        return dict(zip(keys, read, strict=True))


def _still_holds(store: ObjectStore, manifest: RunManifest) -> bool:
    try:
        return read_manifest(store, manifest.run_id) == manifest
    except StoreError:  # deleted or damaged meanwhile
        return False


def _archive_defects(store: ObjectStore, manifest: RunManifest) -> Iterator[Defect]:
    """Yields the defects of the archives with the code of the run's agents."""
    for key in sorted(manifest.agent_archives):
        lost = "the code of an agent; the next start of the run stores it again, if its files are the same"
        try:
            unpack_code(key, store.get(key))
        except MissingObjectError:
            yield Defect(key, "missing", "the manifest names it, but it does not exist", lost)
        except StoreError as error:
            yield Defect(key, "damaged", str(error), f"{lost} and this object is deleted first")


def _check(manifest: RunManifest, read: Mapping[str, _Read], archives: Sequence[Defect]) -> VerificationReport:
    sealed = {entry.key for entry in manifest.sealed}
    counted = [each for key, each in read.items() if key in sealed or manifest.state == "open"]
    stored, scored = _counts([each.rows for each in counted if each.rows is not None])
    return VerificationReport(
        run_id=manifest.run_id,
        state=manifest.state,
        planned=sum(manifest.planned.values()),
        stored=stored,
        scored=scored,
        objects=len(read),
        bytes=sum(each.size for each in read.values()),
        findings=(*(each.finding for each in read.values() if each.finding), *archives),
    )


def _without_manifest(run_id: str, error: StoreError) -> VerificationReport:
    finding = Defect(manifest_key(run_id), "unreadable", str(error), "the plan of the run, and its list of objects")
    return VerificationReport(run_id, "", 0, 0, 0, 0, 0, (finding,))


def _read(store: ObjectStore, run_id: str, key: str, sealed: SealedObject | None) -> _Read:
    try:
        data = store.get(key)
    except MissingObjectError:
        if sealed is None:  # deleted since it was listed, by a compaction
            return _Read(0, None, None, is_there=False)
        missing = Defect(key, "missing", "the manifest names it, but it does not exist", _lost(key, sealed))
        return _Read(0, None, missing, is_there=False)
    is_part = RescoredKey.parse(key) is not None
    columns = RESCORED_SCHEMA.names[:2] if is_part else list(_COLUMNS)
    try:
        rows = verified_columns(store, key, data, columns)
    except DamagedObjectError as error:
        return _Read(len(data), None, Defect(key, "damaged", error.problem, _lost(key, sealed)))
    except StoreError as error:
        return _Read(len(data), None, Defect(key, "unreadable", str(error), _lost(key, sealed)))
    finding = next(_mismatches(run_id, key, data, rows, sealed), None)
    return _Read(len(data), None if is_part else rows, finding)


def _mismatches(run_id: str, key: str, data: bytes, rows: pa.Table, sealed: SealedObject | None) -> Iterator[Defect]:
    if sealed is not None:
        said = {"bytes": sealed.bytes, "episodes": sealed.episodes, "sha256": sealed.sha256}
        found = {"bytes": len(data), "episodes": rows.num_rows, "sha256": hashlib.sha256(data).hexdigest()}
        for what, value in found.items():
            if value != said[what]:
                problem = f"the manifest says {what} {said[what]}, it has {value}"
                yield Defect(key, "changed", problem, _lost(key, sealed))
    others = sorted(set(map(str, rows.column("run_id").unique().to_pylist())) - {run_id})
    if others:
        yield Defect(key, "misplaced", f"it contains rows of {', '.join(others)}", "nothing")


def _lost(key: str, sealed: SealedObject | None) -> str:
    if sealed is not None:
        return count_text(sealed.episodes, "episode")
    shard, part = ShardKey.parse(key), RescoredKey.parse(key)
    if shard is not None:
        return f"shard {shard.number} of {shard.model} on {shard.family}, attempt {shard.attempt}"
    return f"new scores of {part.family}: `muses rescore` makes them again" if part is not None else "nothing"


def _counts(tables: list[pa.Table]) -> tuple[int, int]:
    """Returns the number of distinct episodes, and the number of those that are scored."""
    if not tables:
        return 0, 0
    rows = pa.concat_tables([table.select(["episode_id", "outcome"]) for table in tables])
    scored = rows.filter(pc.equal(rows.column("outcome"), pa.scalar("scored")))
    return len(rows.column("episode_id").unique()), len(scored.column("episode_id").unique())
