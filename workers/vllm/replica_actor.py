"""A replica as a Ray actor; the GPUs that the actor holds are those of its server."""

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from muses_eval.workers.vllm.replica import Replica, ReplicaLocation, ReplicaStatus
from muses_eval.workers.vllm.replica_set_spec import ReplicaSetSpec
from muses_eval.workers.vllm.server_command import cores_of_replica
from ray.util import get_node_ip_address


class ReplicaActor:
    """The Ray actor of one replica.

    Args:
        spec: the replicas of its model.
        index: number of this replica among those of its model.
    """

    def __init__(self, spec: ReplicaSetSpec, index: int) -> None:
        share = spec.first_core_share + index
        cores = cores_of_replica(_available_cores(), share, spec.core_shares) if spec.build.cpu else ()
        self._logs = Path(tempfile.mkdtemp(prefix="muses-vllm-"))
        host = str(get_node_ip_address()) if spec.many_nodes else "127.0.0.1"  # type: ignore[no-untyped-call]
        self._failure: str | None = None
        location = ReplicaLocation(host, self._logs)
        self._replica = Replica(replace(spec.server, cores=cores), location, spec.settings.replica)

    async def status(self) -> ReplicaStatus:
        status = self._replica.status()
        self._failure = status.failure
        return status

    async def stop(self) -> None:
        await self._replica.stop()
        if self._failure is None:  # otherwise the logs are kept: messages name them
            shutil.rmtree(self._logs, ignore_errors=True)


def _available_cores() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
