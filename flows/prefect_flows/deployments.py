"""Registers deployments at a Prefect server.

Registering a deployment again updates it.  A deployment that a configuration no longer has is kept, but its schedules
are paused.  A configuration is identified by its store and its name; without a name, by its file.  The configuration is
a parameter of the deployment.  Keys are not: they are in the environment of the worker.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from httpx import RequestError
from muses_eval.flows.prefect_flows.deployment_file import (
    MOVED_ENTRY_POINTS,
    TAG_PREFIX,
    Deployment,
    ParsedDeployments,
    Schedule,
    WorkPool,
)
from muses_eval.flows.prefect_flows.server import reach_server
from muses_eval.pipeline.errors import ConfigError, MusesError
from prefect import Flow
from prefect.blocks.core import Block
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags, FlowFilter, FlowFilterName
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound, PrefectHTTPStatusError
from prefect.flows import load_flow_from_entrypoint
from prefect.settings import PREFECT_API_URL
from prefect.utilities.callables import parameter_schema
from prefect.workers.process import ProcessWorker

_POOL_TYPE = ProcessWorker.type
_FLOWS = ("evaluate", "maintain", "nightly", "sweep")


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredDeployment:
    """A deployment that was registered at the server."""

    name: str
    """Name for Prefect's commands: flow/deployment."""
    schedules: tuple[str, ...]
    """Readable descriptions of the schedules."""
    pool: str
    queue: str
    instead_of: str | None
    """Tag of the other configuration whose deployment of this name was replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetiredDeployment:
    """A deployment at the server that the configuration no longer has."""

    name: str
    """Name for Prefect's commands: flow/deployment."""
    paused: bool
    """True when the deployment had schedules; they are paused now."""


@dataclass(frozen=True, slots=True)
class DeployResult:
    """Deployments of a configuration at the server."""

    registered: tuple[RegisteredDeployment, ...]
    gone: tuple[RetiredDeployment, ...]


def require_server() -> str:
    """Returns the address of the server at which deployments are registered.

    Raises:
        MusesError: PREFECT_API_URL is not set, or the server does not respond.
    """
    if PREFECT_API_URL.value() is None:
        raise MusesError(
            "deployments need a Prefect server that keeps running: start one with `prefect server start`, and set "
            "PREFECT_API_URL to its address, such as http://127.0.0.1:4200/api"
        )
    return reach_server()


def check_blocks(names: Iterable[str]) -> None:
    """Raises ConfigError when the server does not have one of the blocks that receive notifications."""
    for name in names:
        try:
            Block.load(name)
        except ValueError as error:
            raise ConfigError(
                f"notify: the Prefect server has no block {name!r}; save one there first (docs/operate.md shows how)"
            ) from error


def register(entries: ParsedDeployments) -> DeployResult:
    """Registers deployments and their work pools and queues, and pauses those that the configuration no longer has.

    Raises:
        ConfigError: an entry point is not a flow, or a work pool does not run processes.
        MusesError: the server rejected a request, or does not respond.
    """
    flows = [(deployment, _flow(deployment.entrypoint)) for deployment in entries.deployments]
    try:
        with get_client(sync_client=True) as client:
            _make_pools(client, [deployment.work_pool for deployment in entries.deployments])
            registered = tuple(_register(client, deployment, flow, entries.tag) for deployment, flow in flows)
            return DeployResult(registered, _pause_others(client, entries.tag, {each.name for each in registered}))
    except PrefectHTTPStatusError as error:
        raise MusesError(f"the Prefect server rejected a deployment: {error.response.text}") from error
    except RequestError as error:
        raise MusesError(f"the Prefect server was lost: {type(error).__name__}: {error}") from error


def _flow(entrypoint: str) -> Flow[..., Any]:
    try:
        flow: Flow[..., Any] = load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
    except Exception as error:
        raise ConfigError(f"entrypoint {entrypoint!r}: not a flow ({type(error).__name__}: {error})") from error
    return flow


def _make_pools(client: SyncPrefectClient, pools: Iterable[WorkPool]) -> None:
    """Creates missing pools and queues.  Existing ones keep their priorities and limits, possibly set by hand."""
    queues: dict[str, dict[str, None]] = {}
    for pool in pools:
        queues.setdefault(pool.name, {})[pool.work_queue_name] = None
    for name, wanted in queues.items():
        _make_pool(client, name)
        for priority, queue in enumerate(wanted, start=1):
            try:
                client.read_work_queue_by_name(queue, work_pool_name=name)
            except ObjectNotFound:
                client.create_work_queue(queue, priority=priority, work_pool_name=name)


def _make_pool(client: SyncPrefectClient, name: str) -> None:
    template = ProcessWorker.get_default_base_job_template()
    try:
        pool = client.create_work_pool(WorkPoolCreate(name=name, type=_POOL_TYPE, base_job_template=template))
    except ObjectAlreadyExists:
        pool = client.read_work_pool(name)
    if pool.type != _POOL_TYPE:
        raise ConfigError(
            f"work pool {name!r} is of type {pool.type}, but deployments of a folder need a pool of type {_POOL_TYPE}; "
            "give the pool another name in the file of deployments, and pass the file with --prefect-file"
        )


def _register(
    client: SyncPrefectClient, deployment: Deployment, flow: Flow[..., Any], tag: str
) -> RegisteredDeployment:
    pool, name = deployment.work_pool, f"{flow.name}/{deployment.name}"
    instead_of = _other_owner(client, name, tag)
    client.create_deployment(
        flow_id=client.create_flow_from_name(flow.name),
        name=deployment.name,
        description=deployment.description,
        tags=[*deployment.tags, tag],
        entrypoint=deployment.entrypoint,
        parameters=deployment.parameters,
        parameter_openapi_schema=parameter_schema(flow).model_dump(exclude_unset=True),
        schedules=[DeploymentScheduleCreate(schedule=schedule) for schedule in deployment.schedules],
        work_pool_name=pool.name,
        work_queue_name=pool.work_queue_name,
        job_variables=pool.job_variables,
        pull_steps=[],
    )
    return RegisteredDeployment(
        name=name,
        schedules=tuple(map(_shown, deployment.schedules)),
        pool=pool.name,
        queue=pool.work_queue_name,
        instead_of=instead_of,
    )


def _other_owner(client: SyncPrefectClient, name: str, tag: str) -> str | None:
    try:
        tags = client.read_deployment_by_name(name).tags
    except ObjectNotFound:
        return None
    return next((each for each in tags if each.startswith(TAG_PREFIX) and each != tag), None)


def outdated_deployments() -> list[str]:
    """Returns the deployments of version 0.1.0, as flow/deployment; a worker cannot import their entry points."""
    with get_client(sync_client=True) as client:
        return sorted(
            f"{client.read_flow(each.flow_id).name}/{each.name}"
            for each in client.read_deployments(flow_filter=FlowFilter(name=FlowFilterName(any_=list(_FLOWS))))
            if each.entrypoint in MOVED_ENTRY_POINTS
        )


def _pause_others(client: SyncPrefectClient, tag: str, kept: Collection[str]) -> tuple[RetiredDeployment, ...]:
    """Pauses the schedules of the deployments with this tag that are not *kept*.

    Schedules are paused instead of deployments, so that a deployment that is registered again has an active schedule
    unless the deployment was paused by hand.
    """
    tagged = client.read_deployments(deployment_filter=DeploymentFilter(tags=DeploymentFilterTags(all_=[tag])))
    others = {f"{client.read_flow(each.flow_id).name}/{each.name}": each for each in tagged}
    return tuple(
        RetiredDeployment(name=name, paused=_pause(client, others[name]))
        for name in sorted(set(others).difference(kept))
    )


def _pause(client: SyncPrefectClient, deployment: DeploymentResponse) -> bool:
    for schedule in deployment.schedules:
        if schedule.active:
            client.update_deployment_schedule(deployment.id, schedule.id, active=False)
    return bool(deployment.schedules)


def _shown(schedule: Schedule) -> str:
    zone = schedule.timezone or "UTC"
    match schedule:
        case CronSchedule():
            return f"{schedule.cron} ({zone})"
        case IntervalSchedule():
            return f"every {schedule.interval.total_seconds():g} s"
        case RRuleSchedule():
            return f"{schedule.rrule} ({zone})"
