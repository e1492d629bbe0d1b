"""Prefect artifacts of a run: its progress and its leaderboard."""

import asyncio
from collections.abc import Callable
from uuid import UUID

from muses_eval.dashboards.tables.leaderboard import render_leaderboard
from muses_eval.flows.job.prepare import PreparedRun
from muses_eval.flows.job.report import RunReport
from muses_eval.flows.prefect_flows.server import suppress_display_errors
from muses_eval.pipeline.hashing import slug
from muses_eval.workers.play.shard_summary import ShardSummary
from prefect.artifacts import acreate_markdown_artifact, acreate_progress_artifact, aupdate_progress_artifact

PROGRESS_EVERY_S = 2.0
"""Minimum time between two updates of a progress artifact."""


class ProgressArtifact:
    """Progress of a run as a Prefect artifact: the percentage of planned episodes that are done."""

    def __init__(self, run: PreparedRun, artifact_id: UUID | None) -> None:
        self._done, self._planned, self._artifact_id = run.episodes_done, run.plan.episode_count, artifact_id

    @classmethod
    async def start(cls, run: PreparedRun) -> "ProgressArtifact":
        artifact_id = None
        with suppress_display_errors():
            artifact_id = await acreate_progress_artifact(
                progress=100 * run.episodes_done / run.plan.episode_count,
                key=f"progress-{artifact_key(run.plan.run_id)}",
                description=f"Episodes of run {run.plan.run_id}",
            )
        return cls(run, artifact_id)

    def add(self, summary: ShardSummary) -> None:
        self._done += sum(summary.outcomes.values())

    async def keep(self, also: Callable[[], None]) -> None:
        """Publishes the progress, and calls *also*, until it is cancelled."""
        while True:
            await asyncio.sleep(PROGRESS_EVERY_S)
            also()
            await self.publish()

    async def publish(self) -> None:
        if self._artifact_id is not None:
            with suppress_display_errors():
                await aupdate_progress_artifact(
                    self._artifact_id, progress=min(100.0, 100 * self._done / self._planned)
                )


async def publish_leaderboard(report: RunReport) -> None:
    """Publishes the leaderboard of a run as a Markdown artifact."""
    with suppress_display_errors():
        await acreate_markdown_artifact(
            render_leaderboard(report.rows, "md"),
            key=f"leaderboard-{artifact_key(report.run_id)}",
            description=f"Leaderboard of run {report.run_id} in {report.store}",
        )


def artifact_key(run_id: str) -> str:
    """Returns *run_id* as an artifact key: lower-case letters, digits and dashes."""
    return slug(run_id).lower().replace(".", "-").replace("_", "-")
