"""The Prefect flow ``sweep``: runs :mod:`muses_eval.flows.sweep.sweep` with one task per cell.

Its results are artifacts.
"""

from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from shlex import join
from typing import Any

from muses_eval.dashboards.tables.sweep import render_sweep
from muses_eval.dashboards.tables.sweep_scores import render_scores
from muses_eval.flows.job.evaluate import NO_OBSERVER, Driver, RunObserver
from muses_eval.flows.prefect_flows.artifacts import artifact_key, publish_leaderboard
from muses_eval.flows.prefect_flows.notifications import Notification, notify_failure, send_notifications
from muses_eval.flows.prefect_flows.server import suppress_display_errors
from muses_eval.flows.prefect_flows.tasks import play_as_tasks
from muses_eval.flows.prefect_flows.time_limits import flow_time_limit
from muses_eval.flows.settings import read_settings
from muses_eval.flows.sweep.sweep import SweepReport, sweep
from muses_eval.pipeline.config.grid import MOST_CELLS, SweepRun, expand
from muses_eval.pipeline.text.credential_masking import mask_credentials
from prefect import Flow, flow
from prefect.artifacts import acreate_markdown_artifact
from prefect.runtime import flow_run

_DRIVER = Driver("muses flow sweep", play=play_as_tasks)


def make_sweep_flow(
    observer: RunObserver, expanded: Sequence[SweepRun] = ()
) -> Flow[[dict[str, Any], str, int], Coroutine[Any, Any, SweepReport]]:
    """Builds the flow; *expanded* has the runs of the grid, when the caller has expanded it."""

    @flow(
        name="sweep",
        flow_run_name="sweep-{name}",
        on_failure=[notify_failure],
        on_crashed=[notify_failure],
        persist_result=False,
    )
    async def sweep_runs(config: dict[str, Any], name: str = "sweep", most_cells: int = MOST_CELLS) -> SweepReport:
        """Plays every pending episode of the runs of a grid; *config* is as in the YAML file."""
        runs = expanded or expand(config, name, most_cells)
        async with flow_time_limit(runs[0].config.flow.flow_minutes):
            result = await sweep(name, runs, read_settings(), observer, _DRIVER)
        await _publish(result)
        await send_notifications(_notifications(result), runs[0].config.notify)
        return result

    return sweep_runs


def _notifications(result: SweepReport) -> tuple[Notification, ...]:
    """Returns a notification when runs ended early, because the flow itself then still completes."""
    errors = tuple(f"{run.run_id}: {run.error}" for run in result.runs if run.error is not None)
    if not errors:
        return ()
    return (
        Notification(
            event="failure",
            what=f"sweep {result.name}: {len(errors)} of {len(result.runs)} runs ended early",
            where=f"store {result.store}",
            since=f"{datetime.now(UTC) - timedelta(seconds=result.seconds):%Y-%m-%d %H:%M:%S} UTC",
            details=errors,
            more=join(("prefect", "flow-run", "logs", str(flow_run.id))),
        ),
    )


async def _publish(result: SweepReport) -> None:
    """Publishes the table of complete cells, and the leaderboard of every run."""
    early = (
        f"- {run.run_id} ended early: {mask_credentials(run.error)[0]}" for run in result.runs if run.error is not None
    )
    with suppress_display_errors():
        await acreate_markdown_artifact(
            "\n".join((render_sweep(result.lines, "md"), "", render_scores(result.scores, "md"), "", *early)),
            key=f"sweep-{artifact_key(result.name)}",
            description=f"Sweep {result.name} in {result.store}",
        )
    for run in result.runs:
        if run.report is not None:
            await publish_leaderboard(run.report)


sweep_flow = make_sweep_flow(NO_OBSERVER)
"""The flow for deployments; without an observer apart from Prefect."""
