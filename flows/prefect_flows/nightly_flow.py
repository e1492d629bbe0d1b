"""The Prefect flow ``nightly``: the job of :mod:`flows.nightly.night`, a task a cell, what came of it as artifacts."""

from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

from prefect import Flow, flow
from prefect.artifacts import acreate_link_artifact, acreate_table_artifact
from prefect.runtime import flow_run

from flows.job.evaluate import NOBODY, Driver, Watcher
from flows.nightly.night import WORK, NightResult, nightly
from flows.nightly.night_text import cell_rows, flag_line
from flows.nightly.schedule import due, read_day, the_night
from flows.prefect_flows.notify import notices_of_night, tell, tell_failure
from flows.prefect_flows.tasks import artifact_key, for_watchers, orderly, play_as_tasks, publish_leaderboard
from flows.settings import read_settings
from pipeline.config.parse import parse_config

_DRIVER = Driver(WORK, play=play_as_tasks)


def make_nightly_flow(watcher: Watcher) -> Flow[[dict[str, Any], str | None, str], Coroutine[Any, Any, NightResult]]:
    """The flow, for one watcher.  A closure, since a flow's parameters have to be JSON."""

    @flow(
        name="nightly",
        flow_run_name="{name}",
        on_failure=[tell_failure],
        on_crashed=[tell_failure],
        persist_result=False,
    )
    async def nightly_run(config: dict[str, Any], day: str | None = None, name: str = "nightly") -> NightResult:
        """Plays a night; *config* as in the YAML file, *day* as 2026-11-23, left out: tonight."""
        parsed, settings = parse_config(config, name), read_settings()
        night = the_night(parsed, read_day(day), due(flow_run.scheduled_start_time, datetime.now(UTC)))
        async with orderly(parsed.flow.flow_minutes):
            result = await nightly(parsed, settings, night, watcher, _DRIVER)
        await publish_leaderboard(result.night)
        await _publish_night(result)
        if result.is_news:
            await tell(notices_of_night(result.report), parsed.notify)
        return result

    return nightly_run


async def _publish_night(result: NightResult) -> None:
    """The night's cells as a table with what moved, and where its pages are."""
    report, key = result.report, artifact_key(result.report.run_id)
    with for_watchers():
        moved = "\n".join(map(flag_line, report.flags)) or "No change that chance does not explain."
        await acreate_table_artifact(cell_rows(result.cells, report.run_id), key=f"cells-{key}", description=moved)
    with for_watchers():
        await acreate_link_artifact(report.site, link_text=report.run_id, key=f"site-{key}")


nightly_flow = make_nightly_flow(NOBODY)
"""The flow for deployments: nobody watches but Prefect."""
