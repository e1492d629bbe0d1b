"""Plays a run as Prefect tasks: one task per cell."""

import asyncio
import logging
import time
from dataclasses import replace
from typing import Any

from muses_eval.flows.job.evaluate import play_cell
from muses_eval.flows.job.prepare import OnShard, PreparedRun
from muses_eval.flows.job.progress_log import ProgressLog
from muses_eval.flows.prefect_flows.artifacts import ProgressArtifact
from muses_eval.flows.prefect_flows.time_limits import CellTimeLimitError, cell_time_limit
from muses_eval.pipeline.async_utils import gather_all
from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.plan.plan import Cell
from muses_eval.storage.runs.shards import read_index
from muses_eval.workers.play.executor import Executor
from muses_eval.workers.play.shard_summary import ShardSummary
from prefect import State, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

_LOG = logging.getLogger(__name__)


async def play_as_tasks(run: PreparedRun, executor: Executor, on_shard: OnShard) -> list[ShardSummary]:
    """Plays the pending episodes of a run with one task per cell, and publishes the progress as an artifact.

    A cell that fails is retried with the episodes that are then pending; a cell that exceeds its time limit is not.
    Neither stops the other cells.
    """
    limits, summaries = run.config.flow, list[ShardSummary]()
    failures: list[Exception] = []
    progress = await ProgressArtifact.start(run)
    progress_log = ProgressLog(get_run_logger().info, time.monotonic)
    progress_log.begin(run)
    progress_log.say_now()
    page = flow_run.ui_url or ""
    if run.lock is not None and page.startswith("http"):  # an embedded server has no pages
        run.lock.add_link("Prefect", page)

    def stored(summary: ShardSummary) -> None:
        summaries.append(summary)
        progress.add(summary)
        progress_log.add(summary)
        on_shard(summary)

    async def one_cell(cell: Cell) -> None:
        first = True

        # The cell is not a parameter because Prefect traverses parameters, and a cell is large.
        @task(
            name="play-cell",
            task_run_name=lambda: f"{run.plan.run_id}: {cell.label}",  # Prefect would format a string
            cache_policy=NO_CACHE,
            persist_result=False,
            retries=limits.cell_retries,
            retry_delay_seconds=limits.retry_seconds,
            retry_condition_fn=_may_succeed_later,
        )
        async def play_one_cell() -> None:
            nonlocal first
            now = run if first else await asyncio.to_thread(_refresh_pending, run)
            first = False
            async with cell_time_limit(limits.cell_minutes) as begun:
                for pending in now.pending.cells:
                    if _key(pending) == _key(cell):
                        await play_cell(now, pending, executor, stored, begun)

        try:
            await play_one_cell()
        except CellTimeLimitError as error:
            _LOG.warning("%s is not complete: %s", cell.label, error)
        except Exception as error:  # noqa: BLE001 - raised below, after the other cells
            failures.append(error)

    keeping = asyncio.create_task(progress.keep(progress_log.tick))
    keeping.add_done_callback(_raise_failure)
    try:
        await gather_all(one_cell(cell) for cell in run.cells_to_play)
    finally:
        keeping.cancel()
        await progress.publish()
        progress_log.say_now()
    if failures:
        raise failures[0]
    return summaries


def _raise_failure(task: asyncio.Task[None]) -> None:
    """Raises the error of a task that is never awaited: Prefect raises its SIGTERM in whichever task runs."""
    if not task.cancelled():
        task.result()


def _may_succeed_later(_: object, __: object, state: State[Any]) -> bool:
    """Returns False for errors that a retry cannot fix: an invalid config, and an exceeded time limit."""
    return not isinstance(state.data, ConfigError | CellTimeLimitError)


def _refresh_pending(run: PreparedRun) -> PreparedRun:
    """Returns the run with those of its pending episodes that are still pending after an earlier attempt."""
    index = read_index(run.store, run.plan.run_id)
    return replace(run, index=index, pending=run.pending.without(index.scored))


def _key(cell: Cell) -> tuple[str, str, str]:
    return cell.entry, cell.family, cell.template
