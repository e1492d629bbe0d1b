"""Runs a night; Prefect is optional.

1. Play the canary, a separate run of a small fixed sample that is always played.
2. Reuse the cells that an earlier sealed night played under the same conditions.
3. Play the other cells.
4. Compare the night with the last sealed night, and the canary with earlier canaries.  Replay what is flagged; store
   the report with the run.
5. Seal the runs, and publish the pages in the store.

Every step can be repeated: a second start of the same night continues where the first one ended.  Of two concurrent
starts, one exits.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace

from muses_eval.flows.job.async_run_lock import hold_run_lock_async
from muses_eval.flows.job.evaluate import DIRECT, NO_OBSERVER, Driver, RunObserver, evaluate
from muses_eval.flows.job.prepare import PreparedRun, Warn, open_run
from muses_eval.flows.job.report import RunReport
from muses_eval.flows.job.serving import served_agents, served_users
from muses_eval.flows.job.shared_executor import SharedExecutor
from muses_eval.flows.nightly.confirmation import confirm_changes
from muses_eval.flows.nightly.fresh_cells import FreshCells, copied_episodes, note_fresh_cells
from muses_eval.flows.nightly.night_report import (
    MAX_EARLIER_NIGHTS,
    NightChanges,
    NightOutcome,
    build_report,
    find_changes,
)
from muses_eval.flows.nightly.schedule import canary_config, night_config
from muses_eval.flows.settings import Settings
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.errors import StoreError
from muses_eval.pipeline.plan.content_key import NO_ENGINES, content_key
from muses_eval.pipeline.plan.plan import Cell
from muses_eval.storage.analysis.night_marks import night_marks
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
    """False when an earlier start had already finished the night."""


async def nightly(  # noqa: PLR0913 - independent options
    config: RunConfig,
    settings: Settings,
    night: Night,
    observer: RunObserver = NO_OBSERVER,
    driver: Driver = DIRECT,
    *,
    fresh: FreshCells | None = None,
) -> NightResult:
    """Runs a night; *config* is the config of all nights, with the settings of its section ``nightly``.

    *fresh* are cells that are played anew, also where the night has taken them over already; None: no cells.

    Raises:
        ConfigError: the night has no cells of a model or family in *fresh*.
        RunLockedError: another process runs this night.
        MusesError: nothing can be played, the store cannot be used, or the night was started with another config.
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
        prepared_night = await reuse.prepare(tonight, earlier, fresh)
        again = frozenset[str]()
        if fresh is not None:
            tonight = tonight.model_copy(update={"cache": "off"})
            chosen = fresh.choose(prepared_night.plan)
            again = await asyncio.to_thread(copied_episodes, store, night.run_id, chosen)
        report = await evaluate(tonight, settings, observer, replace(ours, again=again))
        if again:
            await asyncio.to_thread(note_fresh_cells, store, night.run_id)
        had_work = bool(again) or any(run.pending.episode_count for run in (prepared_canary, prepared_night))
        before = earlier[0] if earlier else None
        outcome = NightOutcome(store, night, before, report, canary_report, config.nightly.alpha)
        kept, replays = await asyncio.to_thread(_valid_report, outcome, had_work=had_work), tuple[RunReport, ...]()
        if kept is None:

            async def play(replay: RunConfig) -> RunReport:
                await reuse.prepare(replay, ())
                return await evaluate(replay, settings, observer, ours)

            found = await asyncio.to_thread(find_changes, outcome)
            changes, replays = await confirm_changes(outcome, found, tonight, canary, play)
            async with hold_run_lock_async(store, night.run_id, WORK):
                kept = await asyncio.to_thread(_keep, outcome, changes, replays, start)
    for run_id in (night.canary_id, night.run_id, *(each.run_id for each in replays)):
        await asyncio.to_thread(compact, store, run_id, WORK)
    await asyncio.to_thread(_publish, store, night)
    cells = (await asyncio.to_thread(find_manifest, store, night.run_id)).cells
    drifted = [(flag.model, flag.column) for flag in kept.flags if flag.kind == "drift"]
    marks = night_marks(night.run_id, cells, drifted)
    marked = replace(report, rows=tuple(replace(row, marks=marks.get(row.model, {})) for row in report.rows))
    return NightResult(kept, marked, canary_report, cells, did_work=had_work or not was_over)


def _is_over(store: ObjectStore, night: Night) -> bool:
    """Returns True when both runs are sealed, so that an earlier start finished the night."""
    try:
        return all(read_manifest(store, run_id).state == "sealed" for run_id in (night.canary_id, night.run_id))
    except MissingObjectError:
        return False


@dataclass(frozen=True, slots=True)
class _CellReuse:
    """Decides which cells of a run are reused from earlier nights and which are played."""

    pool: SharedExecutor
    settings: Settings
    warn: Warn

    async def prepare(
        self, config: RunConfig, earlier: Sequence[RunManifest], fresh: FreshCells | None = None
    ) -> PreparedRun:
        """Records the content keys of the cells of a run, and reuses cells of *earlier* nights, the newest first.

        No cell of *fresh* is reused.  Returns the run as it was before the reuse.
        """
        async with _same_night(open_run(config, self.warn, WORK)) as run:
            self.pool.expect(served_agents(run.plan), served_users(run.plan))
            has_work = bool(run.pending.episode_count)
            engines = await self.pool.engines(config.execution, self.settings) if has_work else NO_ENGINES
            await asyncio.to_thread(_reuse_cells, run, earlier, engines, self.warn, fresh)
            return run


@asynccontextmanager
async def _same_night(run: AbstractAsyncContextManager[PreparedRun]) -> AsyncIterator[PreparedRun]:
    """Yields the run; unlike other runs, a night that was planned differently cannot take another name."""
    try:
        async with run as begun:
            yield begun
    except RunMismatchError as error:
        raise StoreError(
            f"{error.differences}\nA night continues with the config with which it started: undo the changes, or wait"
            " for the next night, which starts with them."
        ) from error


def _reuse_cells(
    run: PreparedRun, earlier: Sequence[RunManifest], engines: Mapping[str, str], warn: Warn, fresh: FreshCells | None
) -> None:
    store, run_id = run.store, run.plan.run_id
    cells = [cell for cell in run.plan.cells if cell.episode_count]
    planned = [(cell, content_key(cell, run.dataset, run.plan.users, engines, run.plan.protocol)) for cell in cells]
    played = [] if fresh is None else fresh.choose(run.plan)
    reusable = [(cell, key) for cell, key in planned if cell not in played]
    sources = _sources(run, earlier, reusable, warn) if run.pending.cells else {}
    decisions = decide_reuse(planned, run.pending.cells, find_manifest(store, run_id).cells, run_id, sources)
    _note_cells(store, run_id, decisions)
    try:
        copy_reused_cells(store, decisions, run_id, run.index)
    except StoreError as error:
        warn(f"some cells cannot be reused and are played: {error}")
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
            warn(f"no cell is reused from {night.run_id}: {error}")
    return found


def _note_cells(store: ObjectStore, run_id: str, decisions: Sequence[ReuseDecision]) -> None:
    cells = tuple(decision.record for decision in decisions)
    update_manifest(store, run_id, lambda manifest: replace(manifest, cells=cells))


def _valid_report(outcome: NightOutcome, *, had_work: bool) -> NightReport | None:
    """Returns the report of an earlier start when it is still correct."""
    earlier = report_of(find_manifest(outcome.store, outcome.night.run_id))
    scored = (outcome.played.outcomes["scored"], outcome.canary.outcomes["scored"])
    if earlier is not None and not had_work and (earlier.scored, earlier.canary_scored) == scored:
        return earlier
    return None


def _keep(outcome: NightOutcome, changes: NightChanges, replays: Sequence[RunReport], start: float) -> NightReport:
    """Stores and returns the report of the night."""
    earlier = report_of(find_manifest(outcome.store, outcome.night.run_id))
    before_s = 0.0 if earlier is None else earlier.seconds
    report = build_report(outcome, changes, replays, before_s + time.monotonic() - start)
    store_report(outcome.store, report)
    return report


def _publish(store: ObjectStore, night: Night) -> None:
    from muses_eval.flows.nightly.publish_site import publish

    publish(store, (night.run_id, night.canary_id))
