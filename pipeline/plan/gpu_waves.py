"""Packs models into waves when the cluster has too few GPUs to serve all of them at the same time.

A *wave* is a set of models that fit on the cluster together: they are deployed, all their cells are played, and their
GPUs are then free for the next wave.  Models that others serve run in parallel with the waves and belong to none.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from muses_eval.pipeline.config.engine import EngineSpec
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Wave:
    """Models that are served at the same time."""

    models: tuple[ModelSpec, ...]
    gpus: int
    """GPUs of the models with their minimum number of replicas; the remaining GPUs can serve more replicas."""


ServerKey = tuple[str, EngineSpec]
"""Identity of the servers of a model."""


def server_key(model: ModelSpec) -> ServerKey:
    """Returns the servers of a model.  Models that differ only in their requests share their servers."""
    return model.model, model.engine or EngineSpec()


def gpus_per_replica(engine: EngineSpec) -> int:
    """Returns the GPUs of one replica: the tensor parallel size times the pipeline parallel size."""
    ranks = json.loads(engine.args).get("pipeline_parallel_size", 1)
    if not isinstance(ranks, int) or isinstance(ranks, bool) or ranks < 1:
        raise ConfigError(f"engine.args.pipeline_parallel_size: expected a whole number of at least 1, got {ranks!r}")
    return engine.tensor_parallel * ranks


def pack_waves(models: Iterable[ModelSpec], gpus: int) -> tuple[Wave, ...]:
    """Packs *models* into waves for a cluster with this number of GPUs; models without an engine are in no wave.

    The algorithm is first-fit decreasing: each model, the largest first, goes to the first wave with enough free GPUs.
    The number of waves is at most 11/9 of the optimum, plus 6/9 (Dósa 2007).  Models of equal size keep the order of
    the config.

    Raises:
        ConfigError: a single model needs more GPUs than the cluster has.
    """
    waves: list[list[ModelSpec]] = []
    used_gpus: list[int] = []
    for model, needed in sorted(_needs(models), key=lambda need: -need[1]):
        if needed > gpus:
            raise _too_large(model, needed, gpus)
        place = next((index for index, used in enumerate(used_gpus) if used + needed <= gpus), None)
        if place is None:
            waves.append([model])
            used_gpus.append(needed)
        else:
            waves[place].append(model)
            used_gpus[place] += needed
    return tuple(Wave(tuple(members), used) for members, used in zip(waves, used_gpus, strict=True))


@dataclass(frozen=True, slots=True)
class WaveSchedule:
    """The models that are served on the GPUs of a cluster, and when."""

    gpus: int
    always_on: Wave
    """Models of simulated users, which are served all the time."""
    waves: tuple[Wave, ...]
    """Waves of agents, which are served one after the other."""


def schedule_waves(agents: Iterable[ModelSpec], users: Iterable[ModelSpec], gpus: int) -> WaveSchedule:
    """Packs the served models into waves that fit on *gpus* GPUs; models that share servers are in one wave only once.

    Raises:
        ConfigError: one of the models needs more GPUs than are available.
    """
    always_on = {server_key(model): model for model in users if model.engine is not None}
    others = {server_key(model): model for model in agents if server_key(model) not in always_on}
    held = needed_gpus(always_on.values())
    if held > gpus:
        names = ", ".join(model.name for model in always_on.values())
        raise ConfigError(
            f"the users' model {names} needs {held} GPUs all the time; the cluster has {gpus}: add {held - gpus} more"
        )
    try:
        waves = pack_waves(others.values(), gpus - held)
    except ConfigError as error:
        hint = f" ({held} of {gpus} are held by the users' model)" if held else ""
        raise ConfigError(f"{error}{hint}") from None
    return WaveSchedule(gpus, Wave(tuple(always_on.values()), held), waves)


def needed_gpus(models: Iterable[ModelSpec]) -> int:
    """Returns the GPUs that the models need together with their minimum number of replicas."""
    return sum(needed for _, needed in _needs(models))


def _needs(models: Iterable[ModelSpec]) -> Sequence[tuple[ModelSpec, int]]:
    engines = ((model, model.engine) for model in models)
    return [(model, engine.replicas[0] * gpus_per_replica(engine)) for model, engine in engines if engine is not None]


def _too_large(model: ModelSpec, needed: int, gpus: int) -> ConfigError:
    engine = model.engine or EngineSpec()
    replicas = f"{engine.replicas[0]} replicas" if engine.replicas[0] > 1 else "one replica"
    return ConfigError(
        f"model {model.name!r}: {replicas} of {gpus_per_replica(engine)} GPUs each need {needed} GPUs; the cluster has "
        f"{gpus}: lower replicas or tensor_parallel, or add GPUs"
    )
