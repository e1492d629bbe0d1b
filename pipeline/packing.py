"""Which models are served at the same time when there are fewer GPUs than models.

A *wave* is a set of models that fit on the cluster together: they are deployed, all their cells are played, and their
GPUs are free for the next wave.  Models that others serve run beside the waves and are not in them.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.errors import ConfigError
from pipeline.specs import EngineSpec, ModelSpec


@dataclass(frozen=True, slots=True)
class Wave:
    """Models that are served together."""

    models: tuple[ModelSpec, ...]
    gpus: int
    """That they hold with the least number of replicas; what is left over is there for more."""


def gpus_a_replica(engine: EngineSpec) -> int:
    """GPUs that one replica holds: a rank of tensor parallelism times one of pipeline parallelism."""
    ranks = json.loads(engine.args).get("pipeline_parallel_size", 1)
    if not isinstance(ranks, int) or isinstance(ranks, bool) or ranks < 1:
        raise ConfigError(f"engine.args.pipeline_parallel_size: expected a whole number from 1 on, got {ranks!r}")
    return engine.tensor_parallel * ranks


def pack(models: Iterable[ModelSpec], gpus: int) -> tuple[Wave, ...]:
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


def _needs(models: Iterable[ModelSpec]) -> Sequence[tuple[ModelSpec, int]]:
    engines = ((model, model.engine) for model in models)
    return [(model, engine.replicas[0] * gpus_a_replica(engine)) for model, engine in engines if engine is not None]


def _too_large(model: ModelSpec, needed: int, gpus: int) -> ConfigError:
    engine = model.engine or EngineSpec()
    replicas = f"{engine.replicas[0]} replicas" if engine.replicas[0] > 1 else "one replica"
    return ConfigError(
        f"model {model.name!r}: {replicas} of {gpus_a_replica(engine)} GPUs each need {needed} GPUs; the cluster has "
        f"{gpus}: lower replicas or tensor_parallel, or add GPUs"
    )
