"""The replicas of one model, as they are requested from the cluster."""

from dataclasses import asdict, dataclass

from muses_eval.pipeline.config.engine import EngineSpec
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.hashing import digest
from muses_eval.workers.vllm.autoscaler import ScalingRules
from muses_eval.workers.vllm.engine_build import EngineBuild
from muses_eval.workers.vllm.replica import ReplicaSettings
from muses_eval.workers.vllm.server_command import ServerSpec


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """Rules by which servers are checked, restarted and scaled; the same for all models of a run."""

    replica: ReplicaSettings = ReplicaSettings()
    scaling: ScalingRules = ScalingRules()


@dataclass(frozen=True, slots=True)
class ReplicaSetSpec:
    """The replicas of one model."""

    server: ServerSpec
    build: EngineBuild
    min_replicas: int
    max_replicas: int
    gpus_per_replica: int
    """0 on a CPU build."""
    settings: FleetSettings
    many_nodes: bool = False
    """True when servers listen on the address of their machine; otherwise they listen on loopback."""
    first_core_share: int = 0
    """On a CPU build: index of this model's first replica among all that share a machine's cores."""
    core_shares: int = 1
    """On a CPU build: number of replicas, of all models, that share a machine's cores."""


def replica_set_name(model: ModelSpec) -> str:
    """Returns the name of the Ray actor that runs a model's replicas; models that differ in sampling only share it."""
    return f"muses-vllm-{digest((model.model, asdict(engine_of(model))))}"


def engine_of(model: ModelSpec) -> EngineSpec:
    return model.engine or EngineSpec()
