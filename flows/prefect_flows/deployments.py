"""``muses deploy``: the deployments of infra/prefect.yaml, completed by a configuration and registered at a server.

Registering again changes what is there; nothing is registered twice.  What the same configuration had registered before
and has no longer is kept, but starts by itself no more.  It is the same by its name, or else its file, and its store.
A configuration travels as a deployment's parameter; keys do not: the worker has them in its environment.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from httpx import RequestError
from muses_eval.flows.prefect_flows.deployment_file import TAG_PREFIX, Deployment, ParsedDeployments, Schedule, WorkPool
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
_OLD_ENTRY_POINT_PREFIX = "flows."
"""Prefix of the entry points of version 0.1.0; later ones begin with ``muses_eval.``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredDeployment:
    """One deployment at the server."""

    name: str
    """As Prefect's commands take it: flow/deployment."""
    schedules: tuple[str, ...]
    """For people."""
    pool: str
    queue: str
    instead_of: str | None
    """The tag of another configuration, which had a deployment of that name until now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetiredDeployment:
    """One deployment at the server that the configuration has no longer."""

    name: str
    """As Prefect's commands take it."""
    paused: bool
    """Whether it had schedules; they are paused."""


@dataclass(frozen=True, slots=True)
class DeployResult:
    """What the server has of a configuration."""

    registered: tuple[RegisteredDeployment, ...]
    gone: tuple[RetiredDeployment, ...]


def require_server() -> str:
    """The address of the server that deployments are registered at.

    Raises:
        MusesError: none is named, or it does not answer.
    """
    if PREFECT_API_URL.value() is None:
        raise MusesError(
            "deployments need a Prefect server that stays: start one with `prefect server start`, and set "
            "PREFECT_API_URL to its address, such as http://127.0.0.1:4200/api"
        )
    return reach_server()


def check_blocks(names: Iterable[str]) -> None:
    """Raises ConfigError for a block that messages are to go to and the server does not have."""
    for name in names:
        try:
            Block.load(name)
        except ValueError as error:
            raise ConfigError(
                f"notify: the Prefect server has no block {name!r}; save one there first (docs/operate.md shows how)"
            ) from error


def register(entries: ParsedDeployments) -> DeployResult:
    """Registers deployments, with the work pools and queues that they wait in, and pauses those that are gone.

    Raises:
        ConfigError: an entrypoint is no flow, or a work pool is not one of processes.
        MusesError: the server refuses, or is gone.
    """
    flows = [(deployment, _flow(deployment.entrypoint)) for deployment in entries.deployments]
    try:
        with get_client(sync_client=True) as client:
            _make_pools(client, [deployment.work_pool for deployment in entries.deployments])
            registered = tuple(_register(client, deployment, flow, entries.tag) for deployment, flow in flows)
            return DeployResult(registered, _pause_others(client, entries.tag, {each.name for each in registered}))
    except PrefectHTTPStatusError as error:
        raise MusesError(f"the Prefect server refuses a deployment: {error.response.text}") from error
    except RequestError as error:
        raise MusesError(f"the Prefect server is gone: {type(error).__name__}: {error}") from error


def _flow(entrypoint: str) -> Flow[..., Any]:
    try:
        flow: Flow[..., Any] = load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
    except Exception as error:
        raise ConfigError(f"entrypoint {entrypoint!r}: no flow is there ({type(error).__name__}: {error})") from error
    return flow


def _make_pools(client: SyncPrefectClient, pools: Iterable[WorkPool]) -> None:
    """Makes what is missing.  What is there keeps its priority and its limits, which may have been set by hand."""
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
            f"work pool {name!r} is of type {pool.type}, and deployments of a folder need one of type {_POOL_TYPE}; "
            "give the pool another name in the file of deployments, and hand that over with --prefect-file"
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
            if each.entrypoint is not None and each.entrypoint.startswith(_OLD_ENTRY_POINT_PREFIX)
        )


def _pause_others(client: SyncPrefectClient, tag: str, kept: Collection[str]) -> tuple[RetiredDeployment, ...]:
    """Pauses the schedules of the deployments with this tag that are not *kept*.

    The schedules, not the deployments: registered again, one has its schedule anew, and one that somebody has paused by
    hand stays so.
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
