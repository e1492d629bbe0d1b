"""The Prefect flow ``maintain``: runs :mod:`muses_eval.flows.nightly.maintain` with one task per stage."""

import asyncio
import shlex
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from muses_eval.flows.nightly.maintain import MaintainReport, maintain
from muses_eval.flows.nightly.night_text import upkeep_lines
from muses_eval.flows.prefect_flows.notifications import Notification, notify_failure, send_notifications
from muses_eval.flows.prefect_flows.server import suppress_display_errors
from muses_eval.flows.prefect_flows.time_limits import flow_time_limit
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.storage.objects.open_store import open_store
from prefect import Flow, flow, task
from prefect.artifacts import acreate_markdown_artifact
from prefect.cache_policies import NO_CACHE

T = TypeVar("T")


def make_maintain_flow(
    parsed: RunConfig | None = None,
) -> Flow[[dict[str, Any], bool, str], Coroutine[Any, Any, MaintainReport]]:
    """Builds the flow; *parsed* is the configuration, when the caller has parsed it."""

    @flow(
        name="maintain",
        flow_run_name="maintain-{name}",
        on_failure=[notify_failure],
        on_crashed=[notify_failure],
        persist_result=False,
    )
    async def maintain_store(config: dict[str, Any], dry_run: bool = False, name: str = "store") -> MaintainReport:
        """Maintains the store of a configuration by the rules of its section ``maintain``."""
        run_config = parsed or parse_config(config, name)
        async with flow_time_limit(run_config.flow.flow_minutes):
            store = open_store(run_config.store)
            report = await maintain(store, run_config.maintain, dry_run=dry_run, stage=_as_task)
        with suppress_display_errors():
            lines = "\n".join(f"- {line.strip()}" for line in upkeep_lines(report))
            await acreate_markdown_artifact(lines, key="maintain", description=report.store)
        if not report.is_whole:
            await send_notifications((_damage_notification(report),), run_config.notify)
        return report

    return maintain_store


def _damage_notification(report: MaintainReport) -> Notification:
    damaged = [check.run_id for check in report.checks if check.findings]
    return Notification(
        event="failure",
        what=f"damaged runs: {', '.join(damaged)}",
        where=f"store {report.store}",
        since="found by the last maintenance",
        more=shlex.join(("muses", "store", "verify", damaged[0], "--store", report.store)),
        details=tuple(upkeep_lines(report)),
    )


async def _as_task(name: str, work: Callable[[], T], /) -> T:
    @task(name=name, cache_policy=NO_CACHE, persist_result=False)
    async def stage() -> T:
        return await asyncio.to_thread(work)

    return await stage()


maintain_flow = make_maintain_flow()
"""The flow for deployments."""
