"""The Prefect flow ``evaluate``: runs :mod:`muses_eval.flows.job.evaluate` with one task per cell.

Progress and leaderboard are artifacts.  The flow uses the server at PREFECT_API_URL, or an embedded server that starts
and ends with it.
"""

from collections.abc import Coroutine
from typing import Any

from muses_eval.flows.job.evaluate import NO_OBSERVER, Driver, RunObserver, evaluate
from muses_eval.flows.job.report import RunReport
from muses_eval.flows.prefect_flows.artifacts import publish_leaderboard
from muses_eval.flows.prefect_flows.notifications import notify_failure
from muses_eval.flows.prefect_flows.tasks import play_as_tasks
from muses_eval.flows.prefect_flows.time_limits import flow_time_limit
from muses_eval.flows.settings import read_settings
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.config.run import RunConfig
from prefect import Flow, flow

_DRIVER = Driver("muses flow evaluate", play=play_as_tasks)


def make_evaluate_flow(
    observer: RunObserver, parsed: RunConfig | None = None
) -> Flow[[dict[str, Any], str], Coroutine[Any, Any, RunReport]]:
    """Builds the flow.  It is a closure because the parameters of a flow have to be JSON.

    Args:
        observer: the observer of the run.
        parsed: the configuration, when the caller has parsed it; the flow's parameter is then only shown by Prefect and
            read by the failure hook.  None: the flow parses its parameter.
    """

    @flow(
        name="evaluate",
        flow_run_name="evaluate-{name}",
        on_failure=[notify_failure],
        on_crashed=[notify_failure],
        persist_result=False,
    )
    async def evaluate_run(config: dict[str, Any], name: str = "run") -> RunReport:
        """Plays every pending episode of a run and publishes the leaderboard; *config* is as in the YAML file."""
        run_config = parsed or parse_config(config, name)
        async with flow_time_limit(run_config.flow.flow_minutes):
            result = await evaluate(run_config, read_settings(), observer, _DRIVER)
        await publish_leaderboard(result)
        return result

    return evaluate_run


evaluate_flow = make_evaluate_flow(NO_OBSERVER)
"""The flow for deployments; without an observer apart from Prefect."""
