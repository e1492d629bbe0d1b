"""State of the Prefect server besides its address: its version, and the work pools that no worker polls."""

import prefect
from muses_eval.flows.prefect_flows.deployment_file import TAG_PREFIX
from muses_eval.pipeline.errors import MusesError
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import Worker, WorkerStatus


def require_version() -> str:
    """Returns the version of the server.

    Raises:
        MusesError: the server is older than the client, so it may refuse requests, or has another major version.
    """
    with get_client(sync_client=True) as client:
        version = client.api_version()
    server, own = _release(version), _release(prefect.__version__)
    if server[0] != own[0] or server < own:
        raise MusesError(
            f"the Prefect server has version {version}, but this environment has Prefect {prefect.__version__}, whose "
            f"requests an older server may refuse; upgrade the server to {own[0]}.{own[1]}"
        )
    return version


def idle_pools() -> tuple[str, ...]:
    """Returns the work pools with deployments of this project, but without a worker that is online."""
    with get_client(sync_client=True) as client:
        deployments = [
            each for each in client.read_deployments() if any(tag.startswith(TAG_PREFIX) for tag in each.tags)
        ]
        pools = sorted({each.work_pool_name for each in deployments if each.work_pool_name})
        return tuple(pool for pool in pools if not _polled(client.read_workers_for_work_pool(pool)))


def _polled(workers: list[Worker]) -> bool:
    return any(worker.status == WorkerStatus.ONLINE for worker in workers)


def _release(version: str) -> tuple[int, int]:
    """Returns the first two numbers of a version, such as 3.8.1 or 3.8.9.dev7."""
    major, minor = version.split(".")[:2]
    return int(major), int(minor)
