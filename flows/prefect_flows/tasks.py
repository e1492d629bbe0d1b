"""What the Prefect flows share: the server, a task a cell, artifacts.

Importing it reads Prefect's settings, so ``quiet_engines`` comes first.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

from httpx import HTTPError, HTTPStatusError
from muses_eval.dashboards.tables.leaderboard import render_leaderboard
from muses_eval.flows.job.evaluate import OnShard, play_cell
from muses_eval.flows.job.prepare import PreparedRun
from muses_eval.flows.job.report import RunReport
from muses_eval.flows.job.signals import shielded_children
from muses_eval.pipeline.async_utils import gather_all
from muses_eval.pipeline.errors import ConfigError, MusesError
from muses_eval.pipeline.hashing import slug
from muses_eval.pipeline.plan.plan import Cell
from muses_eval.storage.runs.shards import read_index
from muses_eval.workers.play.executor import Executor, OnStart
from muses_eval.workers.play.shard_summary import ShardSummary
from prefect import State, task
from prefect.artifacts import acreate_markdown_artifact, acreate_progress_artifact, aupdate_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.exceptions import TerminationSignal
from prefect.runtime import flow_run

PROGRESS_EVERY_S = 2.0
"""How often a run's progress artifact is brought up to date at the most."""
_REASON_CHARS = 300
_LOG = logging.getLogger(__name__)


def reach_server() -> str:
    """The address of the Prefect server that flows will use; where none is named, an embedded one is started.

    It ends with this process, unless that is killed; by Ctrl-C only after it has noted how the flow ended.

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
def server_errors() -> Iterator[None]:
    """A flow that needs its server until the end.

    Raises:
        MusesError: the server refuses a request, or it does not answer, or with errors, and Prefect has given up on it.
    """
    try:
        yield
    except HTTPStatusError as error:
        if not error.response.is_client_error:
            raise _lost(error) from error
        answer, text = error.response, " ".join(error.response.text.split())[:_REASON_CHARS]
        raise MusesError(
            f"the Prefect server refused {answer.url} ({answer.status_code} {answer.reason_phrase}: {text}); "
            "what was finished is stored. If it asks for a password or key, set PREFECT_API_AUTH_STRING or "
            "PREFECT_API_KEY; then start the same command again"
        ) from error
    except HTTPError as error:
        raise _lost(error) from error


def _lost(error: HTTPError) -> MusesError:
    return MusesError(
        f"the Prefect server was lost ({type(error).__name__}: {error}); what was finished is stored. "
        "When it answers again, start the same command again"
    )


@contextmanager
def display_only() -> Iterator[None]:
    """What is done in here only shows a run; where Prefect has trouble with it, that costs no run."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever Prefect's client raises
        _LOG.warning("the status of the run was not sent to Prefect: %s: %s", type(error).__name__, error)


async def play_as_tasks(run: PreparedRun, executor: Executor, on_shard: OnShard) -> list[ShardSummary]:
    """Plays what a run owes: a task a cell, and the run's progress as an artifact.

    A cell that fails is tried again, with what it owes by then; one that takes too long is left as it is.  Neither
    stops the others.
    """
    limits, summaries = run.config.flow, list[ShardSummary]()
    failures: list[Exception] = []
    progress = await _Progress.start(run)
    page = flow_run.ui_url or ""
    if run.lock is not None and page.startswith("http"):  # an embedded server has none
        run.lock.add_link("Prefect", page)

    def stored(summary: ShardSummary) -> None:
        summaries.append(summary)
        progress.add(summary)
        on_shard(summary)

    async def one_cell(cell: Cell) -> None:
        first = True

        # The cell comes from here, not as a parameter: Prefect walks through parameters, and a cell is large.
        @task(
            name="play-cell",
            task_run_name=lambda: f"{run.plan.run_id}: {cell.label}",  # Prefect would format a text
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
            async with _limited(limits.cell_minutes) as begun:
                for pending in now.pending.cells:
                    if _key(pending) == _key(cell):
                        await play_cell(now, pending, executor, stored, begun)

        try:
            await play_one_cell()
        except CellTimeLimitError as error:
            _LOG.warning("%s is left as it is: %s", cell.label, error)
        except Exception as error:  # noqa: BLE001 - raised below, when the other cells are done
            failures.append(error)

    keeping = asyncio.create_task(progress.keep())
    keeping.add_done_callback(_raise_failure)
    try:
        await gather_all(one_cell(cell) for cell in run.cells_to_play)
    finally:
        keeping.cancel()
        await progress.publish()
    if failures:
        raise failures[0]
    return summaries


def _raise_failure(task: asyncio.Task[None]) -> None:
    """Raises the error of a task that is never awaited: Prefect raises its SIGTERM in whichever task runs."""
    if not task.cancelled():
        task.result()


def _may_succeed_later(_: object, __: object, state: State[Any]) -> bool:
    """Whether trying a cell again could end otherwise: a config stays wrong, and a limit of time is one."""
    return not isinstance(state.data, ConfigError | CellTimeLimitError)


def _refresh_pending(run: PreparedRun) -> PreparedRun:
    """The run with what it owes after an earlier try."""
    index = read_index(run.store, run.plan.run_id)
    return replace(run, index=index, pending=run.plan.without(index.scored))


def _key(cell: Cell) -> tuple[str, str, str]:
    return cell.model.name, cell.family, cell.template


def _seconds(minutes: float | None) -> float | None:
    return None if minutes is None else 60 * minutes


class CellTimeLimitError(TimeoutError):
    """A cell took longer than it may; what was finished is stored.  Prefect calls the task's state TimedOut."""


@asynccontextmanager
async def _limited(minutes: float | None) -> AsyncIterator[OnStart]:
    """So long a cell may be played; what is yielded starts the clock, and does nothing when called again.

    A cell waits for room, and for the servers of its model, as long as others need them: that is no fault of its own.

    Raises:
        CellTimeLimitError: it took longer.
    """

    def begun() -> None:
        if minutes is not None and limit.when() is None:
            limit.reschedule(asyncio.get_running_loop().time() + 60 * minutes)

    try:
        async with asyncio.timeout(None) as limit:
            yield begun
    except Exception as error:
        if not limit.expired():
            raise
        then = f", and then: {error}" if str(error) else ""  # what was finished could not be stored, for one
        raise CellTimeLimitError(f"played for more than {minutes:g} minutes{then}") from error


class FlowTimeLimitError(MusesError):
    """A flow took longer than it may; what was finished is stored."""

    exit_code = 3


@asynccontextmanager
async def flow_time_limit(minutes: float | None) -> AsyncIterator[None]:
    """The body of a flow: cancelled by SIGTERM or after so many minutes, it stores what it has and lets everything go.

    Raises:
        FlowTimeLimitError: it took longer.
    """
    try:
        with _cancelled_by_lost_signals():
            async with asyncio.timeout(_seconds(minutes)) as limit:
                yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise FlowTimeLimitError(
            f"ended after {minutes:g} minutes, as flow.flow_minutes says; finished episodes are stored, and the next "
            "start plays the rest"
        ) from error


@contextmanager
def _cancelled_by_lost_signals() -> Iterator[None]:
    """Prefect's SIGTERM raises wherever the process happens to be; where that is a callback, asyncio swallows it."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    before = loop.get_exception_handler()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if isinstance(context.get("exception"), TerminationSignal) and task is not None:
            task.cancel()
        elif before is not None:
            before(loop, context)
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(handle)
    try:
        yield
    finally:
        loop.set_exception_handler(before)


class _Progress:
    """The run's progress artifact in Prefect: episodes done of episodes planned."""

    def __init__(self, run: PreparedRun, artifact_id: UUID | None) -> None:
        self._done, self._planned, self._artifact_id = run.episodes_done, run.plan.episode_count, artifact_id

    @classmethod
    async def start(cls, run: PreparedRun) -> "_Progress":
        artifact_id = None
        with display_only():
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
        if self._artifact_id is not None:
            with display_only():
                await aupdate_progress_artifact(
                    self._artifact_id, progress=min(100.0, 100 * self._done / self._planned)
                )


async def publish_leaderboard(report: RunReport) -> None:
    """The run's leaderboard as an artifact."""
    with display_only():
        await acreate_markdown_artifact(
            render_leaderboard(report.leaderboard, "md"),
            key=f"leaderboard-{artifact_key(report.run_id)}",
            description=f"Leaderboard of run {report.run_id} in {report.store}",
        )


def artifact_key(run_id: str) -> str:
    """Artifact keys allow lower-case letters, digits and dashes."""
    return slug(run_id).lower().replace(".", "-").replace("_", "-")
