"""The inventory of a store: every object with its kind and its run, from one listing."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from muses_eval.storage.objects.agent_archive import parse_archive_key
from muses_eval.storage.objects.object_keys import (
    RescoredKey,
    SealedKey,
    ShardKey,
    parse_lock_key,
    parse_manifest_key,
    run_prefixes,
)
from muses_eval.storage.objects.object_store import ObjectInfo, ObjectStore

ObjectKind = Literal["manifest", "shard", "sealed", "rescored", "claim", "agent", "cache", "site", "foreign"]
"""``claim`` is a run lock, ``agent`` the code of an agent.  ``foreign`` objects are not ours: they are listed, and
never changed."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of a store."""

    info: ObjectInfo
    kind: ObjectKind
    run_id: str | None
    """None for an object that belongs to no run."""


@dataclass(frozen=True, slots=True)
class StorageUsage:
    """Number and size of the objects of one kind that belong to one run, or to none."""

    run_id: str | None
    kind: ObjectKind
    objects: int
    bytes: int


def take_inventory(store: ObjectStore, run_id: str | None = None) -> list[StoredObject]:
    """Returns all objects of a store, or of one run, sorted by key within each kind."""
    prefixes = [""] if run_id is None else run_prefixes(run_id)
    items = (classify(info) for prefix in prefixes for info in store.list(prefix))
    return [item for item in items if run_id in (None, item.run_id)]


def classify(info: ObjectInfo) -> StoredObject:
    """Returns an object with its kind and run, according to its key."""
    for kind in (ShardKey, SealedKey, RescoredKey):
        parsed = kind.parse(info.key)
        if parsed is not None:
            return StoredObject(info, _KINDS[kind], parsed.run_id)
    if (run_id := parse_manifest_key(info.key)) is not None:
        return StoredObject(info, "manifest", run_id)
    if (run_id := parse_lock_key(info.key)) is not None:
        return StoredObject(info, "claim", run_id)
    if parse_archive_key(info.key) is not None:
        return StoredObject(info, "agent", None)
    folder, slash, _ = info.key.partition("/")
    return StoredObject(info, _FOLDERS.get(folder + slash, "foreign"), None)


_FOLDERS: Mapping[str, ObjectKind] = {"cache/": "cache", "site/": "site"}
_KINDS: Mapping[type, ObjectKind] = {ShardKey: "shard", SealedKey: "sealed", RescoredKey: "rescored"}


def by_run(items: Iterable[StoredObject]) -> dict[str, list[StoredObject]]:
    """Returns run id -> objects of the run."""
    runs: dict[str, list[StoredObject]] = defaultdict(list)
    for item in items:
        if item.run_id is not None:
            runs[item.run_id].append(item)
    return dict(runs)


def storage_usage(items: Iterable[StoredObject]) -> list[StorageUsage]:
    """Returns the storage used by each run and kind, sorted by run; objects without a run come last."""
    totals: dict[tuple[str | None, ObjectKind], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for item in items:
        objects, size = totals[item.run_id, item.kind]
        totals[item.run_id, item.kind] = objects + 1, size + item.info.size
    order = sorted(totals, key=lambda each: (each[0] is None, each[0] or "", each[1]))
    return [StorageUsage(run_id, kind, *totals[run_id, kind]) for run_id, kind in order]


def last_modified(items: Iterable[StoredObject]) -> float:
    """Returns the time of a run's last write, by the store's clock.  Its lock object does not count."""
    return max((item.info.modified for item in items if item.kind != "claim"), default=0.0)
