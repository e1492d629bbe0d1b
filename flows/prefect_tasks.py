"""What the Prefect flows share: the server, a task a cell, artifacts.

Importing it reads Prefect's settings, so ``quiet_engines`` comes first.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect import task
from prefect.artifacts import acreate_markdown_artifact, acreate_progress_artifact, aupdate_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client

from dashboards.leaderboard import render_leaderboard
from flows.evaluate import OnShard, play_cell
from flows.prepare import PreparedRun
from flows.report import RunReport
from flows.signals import shielded_children
from pipeline.errors import MusesError
from pipeline.hashing import slug
from pipeline.plan import Cell
from pipeline.tasks import all_of
from workers.executor import Executor
from workers.shard import ShardSummary

PROGRESS_EVERY_S = 2.0
"""How often a run's progress artifact is brought up to date at the most."""
_LOG = logging.getLogger(__name__)


def reach_server() -> str:
    """The address of the Prefect server that flows will use; where none is named, an embedded one is started.

    It ends with this process, however that ends, but not by Ctrl-C: then it still has to note how the flow ended.

    Raises:
        MusesError: no server answers.
    """
    try:
        with shielded_children(), get_client(sync_client=True) as client:
            url, trouble = str(client.api_url).rstrip("/"), client.api_healthcheck()
    except RuntimeError as error:
        raise MusesError(f"Prefect's embedded server did not start: {error}") from error
    if trouble is not None:
        raise MusesError(
            f"no Prefect server answers at {url} ({trouble}); start one with `prefect server start`, "
            "correct PREFECT_API_URL, or unset it to use an embedded one"
        )
    return url


@contextmanager
def for_watchers() -> Iterator[None]:
    """What is done in here only shows a run; where Prefect has trouble with it, that costs no run."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever Prefect's client raises
        _LOG.warning("Prefect was not told how the run stands: %s: %s", type(error).__name__, error)


async def play_as_tasks(run: PreparedRun, executor: Executor, on_shard: OnShard) -> list[ShardSummary]:
    """Plays what a run owes: a task a cell, and the run's progress as an artifact."""
    progress = await _Progress.start(run)

    def stored(summary: ShardSummary) -> None:
        progress.add(summary)
        on_shard(summary)

    async def one_cell(cell: Cell) -> list[ShardSummary]:
        # The cell comes from here, not as a parameter: Prefect walks through parameters, and a cell is large.
        @task(name="play-cell", task_run_name=cell.label, cache_policy=NO_CACHE, persist_result=False)
        async def play_one_cell() -> list[ShardSummary]:
            return await play_cell(run, cell, executor, stored)

        return await play_one_cell()

    keeping = asyncio.create_task(progress.keep())
    try:
        by_cell = await all_of(one_cell(cell) for cell in run.cells_to_play)
    finally:
        keeping.cancel()
        await progress.publish()
    return [summary for summaries in by_cell for summary in summaries]


class _Progress:
    """The run's progress artifact in Prefect: episodes done of episodes planned."""

    def __init__(self, run: PreparedRun, artifact_id: Any) -> None:  # noqa: ANN401 - a UUID, typed loosely upstream
        self._done, self._planned, self._artifact_id = run.episodes_done, run.plan.episode_count, artifact_id

    @classmethod
    async def start(cls, run: PreparedRun) -> "_Progress":
        artifact_id = await acreate_progress_artifact(
            progress=100 * run.episodes_done / run.plan.episode_count,
            key=f"progress-{artifact_key(run.plan.run_id)}",
            description=f"Episodes of run {run.plan.run_id}",
        )
        return cls(run, artifact_id)

    def add(self, summary: ShardSummary) -> None:
        self._done += sum(summary.outcomes.values())

    async def keep(self) -> None:
        while True:
            await asyncio.sleep(PROGRESS_EVERY_S)
            await self.publish()

    async def publish(self) -> None:
        with for_watchers():
            await aupdate_progress_artifact(self._artifact_id, progress=min(100.0, 100 * self._done / self._planned))


async def publish_leaderboard(report: RunReport) -> None:
    """The run's leaderboard as an artifact."""
    with for_watchers():
        await acreate_markdown_artifact(
            render_leaderboard(report.leaderboard, "md"),
            key=f"leaderboard-{artifact_key(report.run_id)}",
            description=f"Leaderboard of run {report.run_id} in {report.store}",
        )


def artifact_key(run_id: str) -> str:
    """Artifact keys allow lower-case letters, digits and dashes."""
    return slug(run_id).lower().replace(".", "-").replace("_", "-")
