"""A night: play what has changed and the canary, say what moved, publish, seal.  Plain functions; Prefect is optional.

1. the canary, a run of its own: a small fixed sample, always played
2. cells that an earlier sealed night has played just so are taken over from it
3. the rest is played
4. the night is held against the last sealed one, the canary against its past; the report is kept with the run
5. both runs are sealed, and the pages are published in the store

Every step can be done again: a second start of the same night goes on where the first one ended, and of two at once
one leaves.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace

from muses_eval.flows.job.evaluate import DIRECT, NO_OBSERVER, Driver, RunObserver, evaluate
from muses_eval.flows.job.prepare import PreparedRun, Warn, open_run
from muses_eval.flows.job.report import RunReport
from muses_eval.flows.job.run_lock import hold_run_lock_async
from muses_eval.flows.job.serving import served_agents, served_users
from muses_eval.flows.job.shared_executor import SharedExecutor
from muses_eval.flows.nightly.night_report import MAX_EARLIER_NIGHTS, NightOutcome, build_report
from muses_eval.flows.nightly.schedule import canary_config, night_config
from muses_eval.flows.settings import Settings
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.errors import StoreError
from muses_eval.pipeline.plan.content_key import NO_ENGINES, content_key
from muses_eval.pipeline.plan.plan import Cell
from muses_eval.storage.objects.object_store import MissingObjectError, ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.manifest import (
    CellRecord,
    RunManifest,
    RunMismatchError,
    find_manifest,
    read_manifest,
    update_manifest,
)
from muses_eval.storage.runs.nights import (
    Night,
    NightReport,
    report_of,
    sealed_nights_before,
    store_report,
)
from muses_eval.storage.runs.reuse import (
    ReusableCell,
    ReuseDecision,
    copy_reused_cells,
    decide_reuse,
    find_reusable_cells,
)
from muses_eval.storage.runs.shards import read_index
from muses_eval.storage.upkeep.compaction import compact

WORK = "muses flow nightly"


@dataclass(frozen=True, slots=True)
class NightResult:
    """The result of a night and of its two runs."""

    report: NightReport
    night: RunReport
    canary: RunReport
    cells: tuple[CellRecord, ...]
    """Cells of the night's run."""
    did_work: bool
    """Whether this start did anything; an earlier one had brought the night to its end otherwise."""


async def nightly(
    config: RunConfig, settings: Settings, night: Night, observer: RunObserver = NO_OBSERVER, driver: Driver = DIRECT
) -> NightResult:
    """The whole night; *config* is what nights play, and ``nightly`` in it says how.

    Raises:
        RunLockedError: somebody else is at this night.
        MusesError: nothing can be played, the store cannot be used, or the night has begun with another config.
    """
    start = time.monotonic()
    tonight, canary = night_config(config, night), canary_config(config, night)
    store = open_store(config.store)
    was_over = await asyncio.to_thread(_is_over, store, night)
    async with SharedExecutor(driver.open_executor) as pool:
        ours = replace(driver, work=WORK, open_executor=pool.share)
        reuse = _CellReuse(pool, settings, observer.warn)
        prepared_canary = await reuse.prepare(canary, ())
        canary_report = await evaluate(canary, settings, observer, ours)
        earlier = await asyncio.to_thread(sealed_nights_before, store, night, MAX_EARLIER_NIGHTS)
        prepared_night = await reuse.prepare(tonight, earlier)
        report = await evaluate(tonight, settings, observer, ours)
    had_work = any(run.pending.episode_count for run in (prepared_canary, prepared_night))
    outcome = NightOutcome(store, night, earlier[0] if earlier else None, report, canary_report, config.nightly.alpha)
    async with hold_run_lock_async(store, night.run_id, WORK):
        kept = await asyncio.to_thread(_keep, outcome, start, had_work=had_work)
    for run_id in (night.canary_id, night.run_id):
        await asyncio.to_thread(compact, store, run_id, WORK)
    await asyncio.to_thread(_publish, store, night)
    cells = (await asyncio.to_thread(find_manifest, store, night.run_id)).cells
    return NightResult(kept, report, canary_report, cells, did_work=had_work or not was_over)


def _is_over(store: ObjectStore, night: Night) -> bool:
    """Whether both runs are sealed, as an earlier start leaves them when it has come to the end."""
    try:
        return all(read_manifest(store, run_id).state == "sealed" for run_id in (night.canary_id, night.run_id))
    except MissingObjectError:
        return False


@dataclass(frozen=True, slots=True)
class _CellReuse:
    """Settles what of a run is played and what is taken over, before it is played."""

    pool: SharedExecutor
    settings: Settings
    warn: Warn

    async def prepare(self, config: RunConfig, earlier: Sequence[RunManifest]) -> PreparedRun:
        """Notes what decides the cells of a run, and takes over what *earlier* nights, the newest first, have of them.

        Returns the run before that.
        """
        async with _same_night(open_run(config, self.warn, WORK)) as run:
            self.pool.expect(served_agents(run.plan), served_users(run.plan))
            has_work = bool(run.pending.episode_count)
            engines = await self.pool.engines(config.execution, self.settings) if has_work else NO_ENGINES
            await asyncio.to_thread(_reuse_cells, run, earlier, engines, self.warn)
            return run


@asynccontextmanager
async def _same_night(run: AbstractAsyncContextManager[PreparedRun]) -> AsyncIterator[PreparedRun]:
    """The run.  What others can do when theirs was planned otherwise, take another name, a night cannot."""
    try:
        async with run as begun:
            yield begun
    except RunMismatchError as error:
        raise StoreError(
            f"{error.differences}\nA night goes on with the config that it began with: undo the changes, or wait for"
            " the next night, which begins with them."
        ) from error


def _reuse_cells(run: PreparedRun, earlier: Sequence[RunManifest], engines: Mapping[str, str], warn: Warn) -> None:
    store, run_id = run.store, run.plan.run_id
    cells = [cell for cell in run.plan.cells if cell.episode_count]
    planned = [(cell, content_key(cell, run.dataset, run.plan.users, engines)) for cell in cells]
    sources = _sources(run, earlier, planned, warn) if run.pending.cells else {}
    decisions = decide_reuse(planned, run.pending.cells, find_manifest(store, run_id).cells, run_id, sources)
    _note_cells(store, run_id, decisions)
    try:
        copy_reused_cells(store, decisions, run_id, run.index)
    except StoreError as error:
        warn(f"not everything is taken over, and the rest is played: {error}")
        pending = run.plan.without(read_index(store, run_id).scored).cells
        _note_cells(store, run_id, decide_reuse(planned, pending, [each.record for each in decisions], run_id, {}))


def _sources(
    run: PreparedRun, earlier: Sequence[RunManifest], planned: Sequence[tuple[Cell, str]], warn: Warn
) -> dict[str, ReusableCell]:
    """Returns the newest reusable source of each cell.  A night without any missing cell is not read."""
    found: dict[str, ReusableCell] = {}
    for night in earlier:
        there = {record.content_key for record in night.cells}
        missing = [(cell, key) for cell, key in planned if key in there and key not in found]
        try:
            if missing:
                found |= find_reusable_cells(night, read_index(run.store, night.run_id).scored, missing)
        except StoreError as error:
            warn(f"nothing is taken over from {night.run_id}: {error}")
    return found


def _note_cells(store: ObjectStore, run_id: str, decisions: Sequence[ReuseDecision]) -> None:
    cells = tuple(decision.record for decision in decisions)
    update_manifest(store, run_id, lambda manifest: replace(manifest, cells=cells))


def _keep(outcome: NightOutcome, start: float, *, had_work: bool) -> NightReport:
    """Stores the night's report and returns it.  A start that had nothing to do leaves one that says all as it is."""
    earlier = report_of(find_manifest(outcome.store, outcome.night.run_id))
    scored = (outcome.played.outcomes["scored"], outcome.canary.outcomes["scored"])
    if earlier is not None and not had_work and (earlier.scored, earlier.canary_scored) == scored:
        return earlier
    before_s = 0.0 if earlier is None else earlier.seconds
    report = build_report(outcome, before_s + time.monotonic() - start)
    store_report(outcome.store, report)
    return report


def _publish(store: ObjectStore, night: Night) -> None:
    from muses_eval.flows.nightly.publish_site import publish

    publish(store, (night.run_id, night.canary_id))
