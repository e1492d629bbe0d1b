"""The minimum replicas of all models fit on the GPUs of a cluster, or the message says what is missing."""

from collections.abc import Sequence

import pytest
from muses_eval.pipeline.errors import ConfigError
from muses_eval.workers.vllm.engine_build import EngineBuild
from muses_eval.workers.vllm.gpu_capacity import Node, check_capacity
from muses_eval.workers.vllm.replica_set_spec import FleetSettings, ReplicaSetSpec
from muses_eval.workers.vllm.server_command import ServerSpec


def replica_set(model: str, replicas: int, gpus: int) -> ReplicaSetSpec:
    server = ServerSpec("py", model, "{}")
    return ReplicaSetSpec(server, EngineBuild("1", cpu=not gpus), replicas, replicas, gpus, FleetSettings())


def nodes(*gpus: int) -> list[Node]:
    return [Node(str(number), count) for number, count in enumerate(gpus)]


@pytest.mark.parametrize(
    ("replica_sets", "cluster"),
    [
        ([replica_set("a", 4, 2)], nodes(8)),
        ([replica_set("a", 2, 2), replica_set("b", 1, 4)], nodes(4, 4)),
        ([replica_set("a", 3, 1), replica_set("b", 2, 4)], nodes(4, 7)),
        ([replica_set("cpu", 9, 0)], nodes(0)),
    ],
)
def test_replicas_fit(replica_sets: Sequence[ReplicaSetSpec], cluster: Sequence[Node]) -> None:
    check_capacity(replica_sets, cluster)


@pytest.mark.parametrize(
    ("replica_sets", "cluster", "message"),
    [
        (
            [replica_set("a", 1, 8)],
            nodes(4, 4),
            (
                "the servers of vllm:a (1 replica of 8 GPUs on one machine) do not fit: the cluster has 2 machines "
                "with 4 GPUs, 4 GPUs; lower engine.replicas or engine.tensor_parallel, or add GPUs"
            ),
        ),
        (
            [replica_set("small", 2, 1), replica_set("large", 1, 4)],
            nodes(5),
            (
                "the servers of vllm:large (1 replica of 4 GPUs on one machine) and vllm:small (2 replicas of 1 GPU on "
                "one machine) do not fit: the cluster has 1 machine with 5 GPUs; "
            ),
        ),
        ([replica_set("a", 1, 1)], nodes(0), "the cluster has 1 machine with 0 GPUs"),
    ],
    ids=["no machine is large enough", "not all at once", "none"],
)
def test_replicas_do_not_fit(replica_sets: Sequence[ReplicaSetSpec], cluster: Sequence[Node], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        check_capacity(replica_sets, cluster)
    assert message in str(error.value)
