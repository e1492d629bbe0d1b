"""The Prefect flow ``nightly``: runs :mod:`muses_eval.flows.nightly.night` with one task per cell.

Its leaderboard, cells and pages are artifacts.
"""

from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

from muses_eval.flows.job.evaluate import NO_OBSERVER, Driver, RunObserver
from muses_eval.flows.nightly.fresh_cells import FreshCells
from muses_eval.flows.nightly.night import WORK, NightResult, nightly
from muses_eval.flows.nightly.night_text import cell_rows, flag_line
from muses_eval.flows.nightly.schedule import read_day, resolve_night, scheduled_start
from muses_eval.flows.prefect_flows.artifacts import artifact_key, publish_leaderboard
from muses_eval.flows.prefect_flows.notifications import night_notifications, notify_failure, send_notifications
from muses_eval.flows.prefect_flows.server import suppress_display_errors
from muses_eval.flows.prefect_flows.tasks import play_as_tasks
from muses_eval.flows.prefect_flows.time_limits import flow_time_limit
from muses_eval.flows.settings import read_settings
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.config.run import RunConfig
from prefect import Flow, flow
from prefect.artifacts import acreate_link_artifact, acreate_table_artifact
from prefect.runtime import flow_run

_DRIVER = Driver(WORK, play=play_as_tasks)


def make_nightly_flow(
    observer: RunObserver, parsed: RunConfig | None = None, fresh: FreshCells | None = None
) -> Flow[[dict[str, Any], str | None, str], Coroutine[Any, Any, NightResult]]:
    """Builds the flow; the arguments are those of :func:`.evaluate_flow.make_evaluate_flow` and of :func:`nightly`."""

    @flow(
        name="nightly",
        flow_run_name="{name}",
        on_failure=[notify_failure],
        on_crashed=[notify_failure],
        persist_result=False,
    )
    async def nightly_run(config: dict[str, Any], day: str | None = None, name: str = "nightly") -> NightResult:
        """Plays a night; *config* is as in the YAML file, *day* as 2026-11-23 (default: tonight)."""
        run_config = parsed or parse_config(config, name)
        start = scheduled_start(flow_run.scheduled_start_time, datetime.now(UTC))
        night = resolve_night(run_config, read_day(day), start)
        async with flow_time_limit(run_config.flow.flow_minutes):
            result = await nightly(run_config, read_settings(), night, observer, _DRIVER, fresh=fresh)
        await publish_leaderboard(result.night)
        await _publish_night(result)
        if result.did_work:
            await send_notifications(night_notifications(result.report), run_config.notify)
        return result

    return nightly_run


async def _publish_night(result: NightResult) -> None:
    """Publishes the cells of the night as a table, its changed scores, and a link to its pages."""
    report, key = result.report, artifact_key(result.report.run_id)
    with suppress_display_errors():
        moved = "\n".join(map(flag_line, report.flags)) or "No significant change."
        await acreate_table_artifact(cell_rows(result.cells, report.run_id), key=f"cells-{key}", description=moved)
    with suppress_display_errors():
        await acreate_link_artifact(report.site, link_text=report.run_id, key=f"site-{key}")


nightly_flow = make_nightly_flow(NO_OBSERVER)
"""The flow for deployments; without an observer apart from Prefect."""
