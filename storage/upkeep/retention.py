"""Retention: deletes whole runs, selected by age and name.

The manifest is deleted first, so that a crash leaves no run that looks complete; the remaining objects are garbage.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from muses_eval.storage.objects.inventory import StoredObject, by_run, last_modified, take_inventory
from muses_eval.storage.objects.object_keys import lock_key, manifest_key
from muses_eval.storage.objects.object_store import ObjectStore, delete_all, store_time
from muses_eval.storage.runs.run_lock import HEARTBEAT, HeartbeatTiming, RunLockedError, hold_run_lock


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """A selection of runs: those that meet all conditions."""

    older_than_s: float | None = None
    """Minimum time since the last write to the run; None for any age."""
    name: str | None = None
    """Pattern of the run id, with shell wildcards; None for any run."""


@dataclass(frozen=True, slots=True)
class ExpiredRun:
    """A run that a rule selects."""

    run_id: str
    age_s: float
    objects: int
    bytes: int


@dataclass(frozen=True, slots=True)
class PruneReport:
    """The runs that a rule selected, and whether they were deleted."""

    runs: tuple[ExpiredRun, ...]
    held: Mapping[str, str]
    """Run id -> message that names the holder of its lock; that run is kept."""
    deleted: bool
    """False for a dry run."""


def prune_runs(
    store: ObjectStore, rule: RetentionRule, *, dry_run: bool = False, heartbeat: HeartbeatTiming = HEARTBEAT
) -> PruneReport:
    """Deletes the runs that a rule selects; lists them when *dry_run* is set.

    Raises:
        StoreError: the store cannot be read or written.
    """
    runs = by_run(take_inventory(store))
    chosen = list(expired_runs(runs, rule, store_time(store))) if runs else []
    if dry_run:
        return PruneReport(tuple(chosen), {}, deleted=False)
    gone: list[ExpiredRun] = []
    held: dict[str, str] = {}
    for run in chosen:
        try:
            gone += _delete_run(store, run.run_id, rule, heartbeat)
        except RunLockedError as error:
            held[run.run_id] = str(error)
    return PruneReport(tuple(gone), held, deleted=True)


def expired_runs(runs: Mapping[str, Sequence[StoredObject]], rule: RetentionRule, now: float) -> Iterator[ExpiredRun]:
    """Yields the runs that a rule selects; objects without a manifest are garbage, not a run."""
    for run_id, items in sorted(runs.items()):
        age = now - last_modified(items)
        is_old = rule.older_than_s is None or age > rule.older_than_s
        is_named = rule.name is None or fnmatchcase(run_id, rule.name)
        if is_old and is_named and any(item.kind == "manifest" for item in items):
            yield ExpiredRun(run_id, age, len(items), sum(item.info.size for item in items))


def _delete_run(store: ObjectStore, run_id: str, rule: RetentionRule, heartbeat: HeartbeatTiming) -> list[ExpiredRun]:
    """Deletes one run and returns it; returns nothing when the rule no longer selects it."""
    with hold_run_lock(store, run_id, "muses store prune", heartbeat) as lock:
        items = take_inventory(store, run_id)
        chosen = list(expired_runs({run_id: items}, rule, store_time(store)))
        if not chosen:
            return []
        lock.check()
        store.delete(manifest_key(run_id))
        delete_all(store, [item.info.key for item in items if item.kind not in ("manifest", "claim")])
    store.delete(lock_key(run_id))
    return chosen
