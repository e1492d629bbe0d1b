"""Maintenance of a store: deletes old runs, verifies, seals complete runs, and collects garbage.

Runs whose lock is held are skipped, and a dry run changes nothing.  Prefect runs each stage as a task.
"""

import asyncio
from collections import ChainMap
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypeVar

from muses_eval.pipeline.config.schedule import MaintainConfig
from muses_eval.pipeline.errors import StoreError
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.runs.manifest import find_manifest, list_run_ids
from muses_eval.storage.runs.nights import CANARY, Night
from muses_eval.storage.runs.run_lock import RunLockedError
from muses_eval.storage.upkeep.compaction import compact
from muses_eval.storage.upkeep.garbage_collection import GarbageReport, collect_garbage
from muses_eval.storage.upkeep.retention import ExpiredRun, PruneReport, RetentionRule, prune_runs
from muses_eval.storage.upkeep.verify import VerificationReport, verify_each

T = TypeVar("T")
WORK = "muses flow maintain"


class Stage(Protocol):
    """Function that runs one stage of the maintenance in a thread."""

    def __call__(self, name: str, work: Callable[[], T], /) -> Awaitable[T]: ...


async def in_thread(_: str, work: Callable[[], T], /) -> T:
    """Runs *work* in a thread, without Prefect."""
    return await asyncio.to_thread(work)


@dataclass(frozen=True, slots=True)
class SealResult:
    """Result of sealing the open runs."""

    sealed: tuple[str, ...]
    """Sealed runs; in a dry run, those that would be sealed."""
    left_open: Mapping[str, str]
    """Run -> why it stays open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintainReport:
    """Result of the maintenance; in a dry run, what it would do."""

    store: str
    dry_run: bool
    checks: tuple[VerificationReport, ...]
    sealing: SealResult
    deleted: tuple[ExpiredRun, ...]
    held: Mapping[str, str]
    """Skipped run -> the process that holds its lock."""
    garbage: GarbageReport

    @property
    def is_whole(self) -> bool:
        """True when every object can be read and agrees with the manifests."""
        return not any(check.findings for check in self.checks)


async def maintain(
    store: ObjectStore, rules: MaintainConfig, *, dry_run: bool = False, stage: Stage = in_thread
) -> MaintainReport:
    """Maintains a store: retention, verification, sealing and garbage collection.

    Raises:
        StoreError: the store cannot be read or written.
    """
    # Retention comes first, because sealing a run changes its age.
    pruned = await stage("retention", lambda: _prune(store, rules, dry_run=dry_run))
    deleted = {run.run_id: run for each in pruned for run in each.runs}
    kept = [run_id for run_id in list_run_ids(store) if run_id not in deleted]
    checks = await stage("verify", lambda: tuple(verify_each(store, kept)))
    sealing = await stage("seal", lambda: seal_complete(store, checks, dry_run=dry_run))
    grace_s = timedelta(hours=rules.grace_hours).total_seconds()
    garbage = await stage("gc", lambda: collect_garbage(store, grace_s, dry_run=dry_run))
    return MaintainReport(
        store=store.url,
        dry_run=dry_run,
        checks=checks,
        sealing=sealing,
        deleted=tuple(deleted.values()),
        held=dict(ChainMap(*(dict(each.held) for each in pruned), dict(garbage.held))),
        garbage=garbage,
    )


def seal_complete(store: ObjectStore, checks: tuple[VerificationReport, ...], *, dry_run: bool = False) -> SealResult:
    """Seals the open runs that are completely scored; runs with pending episodes stay open, to be resumed."""
    sealed: list[str] = []
    left_open: dict[str, str] = {}
    for check in checks:
        if check.state != "open":
            continue
        reason = _why_open(check)
        try:
            reason = reason or _unended_night(store, check.run_id)
            if reason is None and not dry_run:
                compact(store, check.run_id, WORK)
        except (RunLockedError, StoreError) as error:
            reason = str(error)
        if reason is None:
            sealed.append(check.run_id)
        else:
            left_open[check.run_id] = reason
    return SealResult(tuple(sealed), left_open)


def _unended_night(store: ObjectStore, run_id: str) -> str | None:
    """Returns why a night should not be sealed: its changes have not been sent yet."""
    night, manifest = Night.parse(run_id), find_manifest(store, run_id)
    if night is None or not manifest.cells or manifest.night is not None or night.run_id != run_id:
        return None
    if night.name.endswith(CANARY) or night.is_replay:
        return None  # the night itself seals its runs, after its report
    return f"its night has not finished; `muses flow nightly CONFIG --date {night.day}` finishes it"


def _why_open(check: VerificationReport) -> str | None:
    """Returns why a run should not be sealed; None when it should."""
    if check.findings:
        return f"damaged: {', '.join(finding.key for finding in check.findings)}"
    if check.scored < check.planned:
        return f"{check.scored} of {check.planned} episodes are scored; starting it again plays the rest"
    return None


def _prune(store: ObjectStore, rules: MaintainConfig, *, dry_run: bool) -> list[PruneReport]:
    return [
        prune_runs(store, RetentionRule(timedelta(days=rule.days).total_seconds(), rule.name), dry_run=dry_run)
        for rule in rules.retention
    ]
