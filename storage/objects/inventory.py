"""What lies in a store: every object with its kind and the run that it belongs to, from one listing."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from muses_eval.storage.objects.object_keys import (
    RescoredKey,
    SealedKey,
    ShardKey,
    parse_lock_key,
    parse_manifest_key,
    run_prefixes,
)
from muses_eval.storage.objects.object_store import ObjectInfo, ObjectStore

ObjectKind = Literal["manifest", "shard", "sealed", "rescored", "claim", "cache", "site", "foreign"]
"""``foreign``: nothing of ours; it is shown, and never touched."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object."""

    info: ObjectInfo
    kind: ObjectKind
    run_id: str | None
    """None: of no run."""


@dataclass(frozen=True, slots=True)
class StorageUsage:
    """Objects of one kind, of one run or of none."""

    run_id: str | None
    kind: ObjectKind
    objects: int
    bytes: int


def take_inventory(store: ObjectStore, run_id: str | None = None) -> list[StoredObject]:
    """All objects of a store, or of one run, each kind sorted by key."""
    prefixes = [""] if run_id is None else run_prefixes(run_id)
    items = (classify(info) for prefix in prefixes for info in store.list(prefix))
    return [item for item in items if run_id in (None, item.run_id)]


def classify(info: ObjectInfo) -> StoredObject:
    """What an object is, by its name."""
    for kind in (ShardKey, SealedKey, RescoredKey):
        parsed = kind.parse(info.key)
        if parsed is not None:
            return StoredObject(info, _KINDS[kind], parsed.run_id)
    if (run_id := parse_manifest_key(info.key)) is not None:
        return StoredObject(info, "manifest", run_id)
    if (run_id := parse_lock_key(info.key)) is not None:
        return StoredObject(info, "claim", run_id)
    match info.key.partition("/"):
        case "cache", "/", _:
            return StoredObject(info, "cache", None)
        case "site", "/", _:
            return StoredObject(info, "site", None)
    return StoredObject(info, "foreign", None)


_KINDS: Mapping[type, ObjectKind] = {ShardKey: "shard", SealedKey: "sealed", RescoredKey: "rescored"}


def by_run(items: Iterable[StoredObject]) -> dict[str, list[StoredObject]]:
    """Run -> its objects."""
    runs: dict[str, list[StoredObject]] = defaultdict(list)
    for item in items:
        if item.run_id is not None:
            runs[item.run_id].append(item)
    return dict(runs)


def storage_usage(items: Iterable[StoredObject]) -> list[StorageUsage]:
    """What each run and each kind takes, runs in their order, what is of no run last."""
    totals: dict[tuple[str | None, ObjectKind], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for item in items:
        objects, size = totals[item.run_id, item.kind]
        totals[item.run_id, item.kind] = objects + 1, size + item.info.size
    order = sorted(totals, key=lambda each: (each[0] is None, each[0] or "", each[1]))
    return [StorageUsage(run_id, kind, *totals[run_id, kind]) for run_id, kind in order]


def last_modified(items: Iterable[StoredObject]) -> float:
    """When a run was last written to, by the store's clock; that it was held or looked at is no change."""
    return max((item.info.modified for item in items if item.kind != "claim"), default=0.0)
