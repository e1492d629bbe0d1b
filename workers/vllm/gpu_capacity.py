"""The GPUs of a Ray cluster, and the check that the least replicas of all models fit on them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import ray
from muses_eval.pipeline.errors import ConfigError
from muses_eval.workers.vllm.replica_set_spec import ReplicaSetSpec


@dataclass(frozen=True, slots=True)
class Node:
    """One machine of the cluster."""

    node_id: str
    gpus: int


def cluster_nodes() -> list[Node]:
    """Returns the machines that are alive."""
    alive = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    return [Node(node["NodeID"], int(node["Resources"].get("GPU", 0))) for node in alive]


def free_gpus() -> float:
    resources: Mapping[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]
    return resources.get("GPU", 0.0)


def check_capacity(replica_sets: Iterable[ReplicaSetSpec], nodes: Sequence[Node]) -> None:
    """Raises ConfigError when the cluster can never hold the least replicas of all models at once."""
    largest_first = sorted(replica_sets, key=lambda each: -each.gpus_per_replica)
    free = sorted((node.gpus for node in nodes), reverse=True)
    for each in largest_first:
        for _ in range(each.min_replicas):
            node = next((index for index, gpus in enumerate(free) if gpus >= each.gpus_per_replica), None)
            if node is None:
                raise ConfigError(
                    f"the servers of {' and '.join(map(_demand, largest_first))} do not fit: {_supply(nodes)}; "
                    "lower engine.replicas or engine.tensor_parallel, or add GPUs"
                )
            free[node] -= each.gpus_per_replica


def count_of(count: int, noun: str) -> str:
    """Returns a number with its noun, as "1 GPU" or "2 GPUs"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _demand(spec: ReplicaSetSpec) -> str:
    replicas, gpus = count_of(spec.min_replicas, "replica"), count_of(spec.gpus_per_replica, "GPU")
    return f"vllm:{spec.server.model} ({replicas} of {gpus} on one machine)"


def _supply(nodes: Sequence[Node]) -> str:
    machines = ", ".join(count_of(node.gpus, "GPU") for node in nodes)
    return f"the cluster has {count_of(len(nodes), 'machine')} with {machines}"
