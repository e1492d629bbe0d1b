"""Garbage collection: deletes unreferenced objects after a grace period.

    temporary files            left by killed writers and checks
    unreferenced sealed        of a compaction that was interrupted before it replaced the manifest
    obsolete shards, scores    of a compaction that was interrupted before it deleted them; the sealed objects contain
                               all of their rows
    objects without manifest   everything of a deleted run
    run locks                  released, or without a heartbeat for the grace period
    code of agents             that no run names

Foreign objects are kept, and so are all objects of a run whose manifest cannot be read, because a newer version may
have written it.  Ages are measured by the store's clock.  The run lock is held while a run's garbage is deleted; a run
that another process holds is skipped.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from muses_eval.pipeline.errors import StoreError
from muses_eval.storage.objects.inventory import StoredObject, by_run, take_inventory
from muses_eval.storage.objects.object_keys import lock_key, manifest_key
from muses_eval.storage.objects.object_store import MissingObjectError, ObjectInfo, ObjectStore, store_time
from muses_eval.storage.query.polars_frames import scan_objects
from muses_eval.storage.runs.manifest import RunManifest, read_manifest, readable_manifests
from muses_eval.storage.runs.run_lock import HEARTBEAT, HeartbeatTiming, RunLockedError, hold_run_lock
from muses_eval.storage.schema.parquet_schema import RESCORED_SCHEMA

if TYPE_CHECKING:
    import polars as pl

GRACE_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class GarbageObject:
    """One object that can be deleted."""

    key: str
    bytes: int
    why: str
    run_id: str | None


@dataclass(frozen=True, slots=True)
class GarbageReport:
    """The garbage that was found, and whether it was deleted."""

    garbage: tuple[GarbageObject, ...]
    held: Mapping[str, str]
    """Run id -> message that names the holder of its lock; the garbage of that run is kept."""
    deleted: bool
    """False for a dry run."""


def collect_garbage(
    store: ObjectStore, grace_s: float = GRACE_S, *, dry_run: bool = False, heartbeat: HeartbeatTiming = HEARTBEAT
) -> GarbageReport:
    """Deletes the garbage of a store; lists it when *dry_run* is set.

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
    inventory = take_inventory(store)
    unnamed = list(_unnamed_archives(store, inventory, before))
    _delete(store, unnamed, dry_run=dry_run)
    found += unnamed
    for run_id, items in by_run(inventory).items():
        mine = list(_garbage_of(store, run_id, items, before))
        if mine and not dry_run:
            try:
                mine = _delete_of_run(store, run_id, items, before, heartbeat)
            except RunLockedError as error:
                held[run_id] = str(error)
                continue
        found += mine
    return GarbageReport(tuple(found), held, not dry_run)


def _unnamed_archives(store: ObjectStore, inventory: Sequence[StoredObject], before: float) -> Iterator[GarbageObject]:
    """Yields the old archives that no manifest names; none when a manifest cannot be read, since it may name any."""
    old = [item for item in inventory if item.kind == "agent" and item.info.modified < before]
    if not old:
        return
    manifests, unreadable = readable_manifests(store)
    named = frozenset[str]().union(*(manifest.agent_archives for manifest in manifests))
    for item in () if unreadable else old:
        if item.info.key not in named:
            yield GarbageObject(item.info.key, item.info.size, "code of an agent that no run names", None)


def _delete_of_run(
    store: ObjectStore, run_id: str, items: Sequence[StoredObject], before: float, heartbeat: HeartbeatTiming
) -> list[GarbageObject]:
    """Deletes what is still garbage while the run lock is held."""
    lock_object = lock_key(run_id)
    with hold_run_lock(store, run_id, "muses store gc", heartbeat) as lock:
        garbage = list(_garbage_of(store, run_id, items, before))
        lock.check()  # a driver that took the run over may use some of it
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
    obsolete = frozenset(manifest.obsolete_shards if manifest is not None else ())
    if manifest is not None and manifest.state == "sealed":
        obsolete |= _obsolete(store, manifest, old)
    for item in old:
        why = _why(item, manifest, obsolete)
        if why is not None:
            yield GarbageObject(item.info.key, item.info.size, why, run_id)


def _why(item: StoredObject, manifest: RunManifest | None, obsolete: Collection[str]) -> str | None:
    """Returns the reason why an old object is garbage; None when it is not."""
    if item.kind == "claim":  # a held lock is written every few seconds
        return "run lock that no process holds"
    if manifest is None:
        return "of a deleted run"
    if item.kind == "sealed" and item.info.key not in {entry.key for entry in manifest.sealed}:
        return "of an interrupted compaction"
    return "replaced by the sealed objects" if item.info.key in obsolete else None


def _obsolete(store: ObjectStore, manifest: RunManifest, items: Sequence[StoredObject]) -> frozenset[str]:
    """Returns the shards and rescored parts whose rows are all in the sealed objects, or in a newer version."""
    import polars as pl

    shards = [item.info.key for item in items if item.kind == "shard"]
    parts = [item.info.key for item in items if item.kind == "rescored"]
    if not shards and not parts:
        return frozenset()
    columns = ("episode_id", "outcome", "scorer_version")
    explained = pl.col("evidence").is_not_null()
    try:
        sealed = (
            scan_objects(store, [entry.key for entry in manifest.sealed])
            .select(*columns, explained=explained)
            .collect()
        )
        old = scan_objects(store, shards, object_column="object").select("object", *columns[:2]).collect()
        again = scan_objects(store, parts, RESCORED_SCHEMA, "object")
        rescored = again.select("object", "episode_id", version="scorer_version", adds=explained).collect()
    except (pl.exceptions.PolarsError, OSError):  # unreadable objects are kept; `verify` names them
        return frozenset()
    is_scored = pl.col("outcome") == "scored"
    here = sealed.select("episode_id", "scorer_version", "explained", here=pl.lit(True), done=is_scored)
    better = (is_scored & ~pl.col("done")) | pl.col("here").is_null()
    adds = (pl.col("version") == pl.col("scorer_version")) & pl.col("adds") & ~pl.col("explained")
    newer = (pl.col("done") & ((pl.col("version") > pl.col("scorer_version")) | adds)) | pl.col("here").is_null()
    kept = {
        *_objects(old.join(here, "episode_id", "left"), better),
        *_objects(rescored.join(here, "episode_id", "left"), newer),
    }
    return frozenset(key for key in (*shards, *parts) if store.uri(key) not in kept)


def _objects(rows: "pl.DataFrame", condition: "pl.Expr") -> list[str]:
    """Returns the objects with a row for which the condition holds."""
    return rows.filter(condition)["object"].unique().to_list()
