"""Which models are served at the same time when there are fewer GPUs than models.

A *wave* is a set of models that fit on the cluster together: they are deployed, all their cells are played, and their
GPUs are free for the next wave.  Models that others serve run beside the waves and are not in them.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from muses_eval.pipeline.config.engine import EngineSpec
from muses_eval.pipeline.config.model import ModelSpec
from muses_eval.pipeline.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Wave:
    """Models that are served together."""

    models: tuple[ModelSpec, ...]
    gpus: int
    """That they hold with the least number of replicas; what is left over is there for more."""


ServerKey = tuple[str, EngineSpec]
"""What tells the servers of one model from those of another."""


def server_key(model: ModelSpec) -> ServerKey:
    """The servers of a model; those that differ in how they are asked only share them."""
    return model.model, model.engine or EngineSpec()


def gpus_per_replica(engine: EngineSpec) -> int:
    """GPUs that one replica holds: a rank of tensor parallelism times one of pipeline parallelism."""
    ranks = json.loads(engine.args).get("pipeline_parallel_size", 1)
    if not isinstance(ranks, int) or isinstance(ranks, bool) or ranks < 1:
        raise ConfigError(f"engine.args.pipeline_parallel_size: expected a whole number from 1 on, got {ranks!r}")
    return engine.tensor_parallel * ranks


def pack_waves(models: Iterable[ModelSpec], gpus: int) -> tuple[Wave, ...]:
    """The waves in which *models* are served on a cluster of so many GPUs; those without an engine are in none.

    The largest model comes first, each into the first wave that has room (first-fit decreasing: at most
    11/9 of the fewest waves, and one more; Dósa 2007).  Equal ones keep their order, so a config decides.

    Raises:
        ConfigError: a model alone needs more than there is.
    """
    waves: list[list[ModelSpec]] = []
    taken: list[int] = []
    for model, needed in sorted(_needs(models), key=lambda need: -need[1]):
        if needed > gpus:
            raise _too_large(model, needed, gpus)
        place = next((index for index, used in enumerate(taken) if used + needed <= gpus), None)
        if place is None:
            waves.append([model])
            taken.append(needed)
        else:
            waves[place].append(model)
            taken[place] += needed
    return tuple(Wave(tuple(members), used) for members, used in zip(waves, taken, strict=True))


@dataclass(frozen=True, slots=True)
class WaveSchedule:
    """How the GPUs of a cluster are used by runs that share it."""

    gpus: int
    always_on: Wave
    """The models that play users: they are up all the time."""
    waves: tuple[Wave, ...]
    """Waves of agents, one after the other."""


def schedule_waves(agents: Iterable[ModelSpec], users: Iterable[ModelSpec], gpus: int) -> WaveSchedule:
    """Packs the served models into waves that fit on *gpus* GPUs; models that share their servers are named once.

    Raises:
        ConfigError: there are too few GPUs for one of the models.
    """
    kept = {server_key(model): model for model in users if model.engine is not None}
    turns = {server_key(model): model for model in agents if server_key(model) not in kept}
    held = needed_gpus(kept.values())
    if held > gpus:
        names = ", ".join(model.name for model in kept.values())
        raise ConfigError(
            f"the users' model {names} needs {held} GPUs all the time; the cluster has {gpus}: add {held - gpus} more"
        )
    try:
        waves = pack_waves(turns.values(), gpus - held)
    except ConfigError as error:
        beside = f" ({held} of {gpus} are held by the users' model)" if held else ""
        raise ConfigError(f"{error}{beside}") from None
    return WaveSchedule(gpus, Wave(tuple(kept.values()), held), waves)


def needed_gpus(models: Iterable[ModelSpec]) -> int:
    """That they hold together with the least number of replicas."""
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
