"""Checks of the store, of Ray and of Prefect."""

from muses_eval.flows.doctor.check import Finding
from muses_eval.flows.settings import Settings, make_home, ray_home
from muses_eval.pipeline.errors import MusesError


def check_store(url: str) -> str:
    """Writes and reads an object; on S3, also with DuckDB and Polars.  Raises MusesError when one of them fails."""
    from muses_eval.storage.objects.open_store import open_store
    from muses_eval.storage.objects.s3_store import S3Store

    store = open_store(url)
    store.check()
    if isinstance(store, S3Store):
        from muses_eval.storage.query.reader_check import check_readers

        check_readers(store)
    return f"{store.url} can be written and read"


def check_ray(settings: Settings, address: str | None) -> str:
    """Connects to the cluster at *address*, or starts one when it is None."""
    from muses_eval.workers.play.ray_executor import RaySettings, cluster_cpus

    if address:
        return f"the cluster at {address} answers, with {cluster_cpus(RaySettings(address=address)):g} CPUs"
    with ray_home(settings) as home:
        return f"a local Ray answers, with {cluster_cpus(RaySettings(temp_dir=home)):g} CPUs"


def check_prefect(settings: Settings) -> Finding:
    """Asks a configured server for its version and workers; an embedded one starts only with a flow.

    Raises:
        MusesError: the server does not answer, is too old, or has deployments that no worker can start.
    """
    if settings.prefect_api_url is None:
        return Finding("PREFECT_API_URL is not set: every flow starts an embedded server")
    make_home(settings.prefect_home)
    from muses_eval.flows.prefect_flows.deployments import outdated_deployments
    from muses_eval.flows.prefect_flows.server import reach_server
    from muses_eval.flows.prefect_flows.server_state import idle_pools, require_version

    url = reach_server()
    version = require_version()
    if outdated := outdated_deployments():
        raise MusesError(
            f"the server at {url} has deployments of muses-eval 0.1.0, which no worker can start: "
            f"{', '.join(outdated)}; run `muses deploy` once more for each of their configurations"
        )
    idle = [
        f"no worker polls the work pool {pool}, so its deployments wait: prefect worker start --pool {pool}"
        for pool in idle_pools()
    ]
    return Finding(f"the server at {url} answers, with version {version}", "; ".join(idle) or None)
