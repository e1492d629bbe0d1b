"""GarbageObject collection: deletes objects that no manifest names and no driver writes, after a grace period.

    left by a killed writer       temporary files, and what a check wrote
    sealed object without a name  of a seal that was cut off before its manifest was switched
    folded shard, folded scores   of a sealed run, cut off before they were deleted; each row of them is in the seal
    of a run that is gone         everything of a run without a manifest
    claim that nobody holds       released, or of a driver that is long dead

Foreign objects stay, and so does everything of a run whose manifest cannot be read: it may be of a newer version.  Ages
are measured by the store's clock.  A run is held while its garbage is taken out; one that somebody else holds is
passed over.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from muses_eval.pipeline.errors import StoreError
from muses_eval.storage.objects.inventory import StoredObject, by_run, take_inventory
from muses_eval.storage.objects.object_keys import lock_key, manifest_key
from muses_eval.storage.objects.object_store import MissingObjectError, ObjectInfo, ObjectStore, store_time
from muses_eval.storage.query.polars_frames import scan_objects
from muses_eval.storage.runs.manifest import RunManifest, read_manifest
from muses_eval.storage.runs.run_lock import HEARTBEAT, HeartbeatTiming, RunLockedError, hold_run_lock
from muses_eval.storage.schema.parquet_schema import RESCORED_SCHEMA

if TYPE_CHECKING:
    import polars as pl

GRACE_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class GarbageObject:
    """One object that may go."""

    key: str
    bytes: int
    why: str
    run_id: str | None


@dataclass(frozen=True, slots=True)
class GarbageReport:
    """What was found, and what of it is gone now."""

    garbage: tuple[GarbageObject, ...]
    held: Mapping[str, str]
    """Run -> who holds it; its garbage stays."""
    deleted: bool
    """False: it was only looked at."""


def collect_garbage(
    store: ObjectStore, grace_s: float = GRACE_S, *, dry_run: bool = False, heartbeat: HeartbeatTiming = HEARTBEAT
) -> GarbageReport:
    """Deletes the garbage of a store, or lists it.

    Raises:
        StoreError: the store cannot be read or written.
    """
    if next(store.list(""), None) is None and next(store.temporary_objects(), None) is None:
        return GarbageReport((), {}, not dry_run)
    before = store_time(store) - grace_s
    found = [
        GarbageObject(info.key, info.size, "left by a killed writer", None)
        for info in _old(store.temporary_objects(), before)
    ]
    _delete(store, found, dry_run=dry_run)
    held: dict[str, str] = {}
    for run_id, items in by_run(take_inventory(store)).items():
        mine = list(_garbage_of(store, run_id, items, before))
        if mine and not dry_run:
            try:
                mine = _delete_of_run(store, run_id, items, before, heartbeat)
            except RunLockedError as error:
                held[run_id] = str(error)
                continue
        found += mine
    return GarbageReport(tuple(found), held, not dry_run)


def _delete_of_run(
    store: ObjectStore, run_id: str, items: Sequence[StoredObject], before: float, heartbeat: HeartbeatTiming
) -> list[GarbageObject]:
    """Deletes what is still garbage while the run lock is held."""
    lock_object = lock_key(run_id)
    with hold_run_lock(store, run_id, "muses store gc", heartbeat) as lock:
        garbage = list(_garbage_of(store, run_id, items, before))
        lock.check()  # a driver that has taken the run over may use some of it
        _delete(store, [each for each in garbage if each.key != lock_object])
        is_gone = next(store.list(manifest_key(run_id)), None) is None
    if is_gone or any(each.key == lock_object for each in garbage):
        store.delete(lock_object)  # a process that acquires the lock at this moment writes the object again
    return garbage


def _delete(store: ObjectStore, garbage: Sequence[GarbageObject], *, dry_run: bool = False) -> None:
    for each in () if dry_run else garbage:
        store.delete(each.key)


def _old(infos: Iterator[ObjectInfo], before: float) -> Iterator[ObjectInfo]:
    return (info for info in infos if info.modified < before)


def _garbage_of(
    store: ObjectStore, run_id: str, items: Sequence[StoredObject], before: float
) -> Iterator[GarbageObject]:
    old = [item for item in items if item.info.modified < before]
    if not old:
        return
    try:
        manifest: RunManifest | None = read_manifest(store, run_id)
    except MissingObjectError:
        manifest = None
    except StoreError:
        return
    folded = frozenset(manifest.obsolete_shards if manifest is not None else ())
    if manifest is not None and manifest.state == "sealed":
        folded |= _folded(store, manifest, old)
    for item in old:
        why = _why(item, manifest, folded)
        if why is not None:
            yield GarbageObject(item.info.key, item.info.size, why, run_id)


def _why(item: StoredObject, manifest: RunManifest | None, folded: Collection[str]) -> str | None:
    """Why an old object is garbage; None when it is none."""
    if item.kind == "claim":  # a live one is written anew every few seconds
        return "claim that nobody holds"
    if manifest is None:
        return "of a run that is gone"
    if item.kind == "sealed" and item.info.key not in {entry.key for entry in manifest.sealed}:
        return "of a seal that was cut off"
    return "folded into the sealed objects" if item.info.key in folded else None


def _folded(store: ObjectStore, manifest: RunManifest, items: Sequence[StoredObject]) -> frozenset[str]:
    """Shards and rescored parts each row of which the sealed objects have, or have better."""
    import polars as pl

    shards = [item.info.key for item in items if item.kind == "shard"]
    parts = [item.info.key for item in items if item.kind == "rescored"]
    if not shards and not parts:
        return frozenset()
    columns = ("episode_id", "outcome", "scorer_version")
    try:
        sealed = scan_objects(store, [entry.key for entry in manifest.sealed]).select(columns).collect()
        old = scan_objects(store, shards, object_column="object").select("object", *columns[:2]).collect()
        again = scan_objects(store, parts, RESCORED_SCHEMA, "object")
        rescored = again.select("object", "episode_id", version="scorer_version").collect()
    except (pl.exceptions.PolarsError, OSError):  # what cannot be read is not taken for folded; `verify` names it
        return frozenset()
    is_scored = pl.col("outcome") == "scored"
    here = sealed.select("episode_id", pl.lit(True).alias("here"), is_scored.alias("done"), "scorer_version")
    better = (is_scored & ~pl.col("done")) | pl.col("here").is_null()
    newer = (pl.col("done") & (pl.col("version") > pl.col("scorer_version"))) | pl.col("here").is_null()
    kept = {
        *_objects(old.join(here, "episode_id", "left"), better),
        *_objects(rescored.join(here, "episode_id", "left"), newer),
    }
    return frozenset(key for key in (*shards, *parts) if store.uri(key) not in kept)


def _objects(rows: "pl.DataFrame", condition: "pl.Expr") -> list[str]:
    """The objects that have a row of which the condition holds."""
    return rows.filter(condition)["object"].unique().to_list()
