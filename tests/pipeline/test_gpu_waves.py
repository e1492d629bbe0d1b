"""Models share GPUs in waves: every model is in one wave, and no wave is larger than the cluster."""

import pytest
from hypothesis import given, strategies as st
from muses_eval.pipeline.config.engine import EngineSpec
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.plan.gpu_waves import Wave, gpus_per_replica, pack_waves


def served(name: str, gpus: int, replicas: int = 1, args: str = "{}") -> ModelSpec:
    return ModelSpec(name, "vllm", name, engine=EngineSpec((replicas, replicas), gpus, args))


def names(waves: tuple[Wave, ...]) -> list[tuple[list[str], int]]:
    return [([model.name for model in wave.models], wave.gpus) for wave in waves]


def test_large_models_come_first_and_small_ones_fill_the_gaps() -> None:
    models = [served("small", 1), served("half", 4), served("all", 8), served("twice", 2, replicas=2)]
    assert names(pack_waves(models, 8)) == [(["all"], 8), (["half", "twice"], 8), (["small"], 1)]


def test_equal_models_keep_the_order_of_the_config() -> None:
    assert names(pack_waves([served("b", 1), served("a", 1), served("c", 1)], 2)) == [(["b", "a"], 2), (["c"], 1)]


def test_models_of_others_are_in_no_wave() -> None:
    assert pack_waves([ModelSpec("api", "openai", "m"), ModelSpec("built in", "scripted", "oracle")], 0) == ()


def test_pipeline_parallel_ranks_hold_gpus_too() -> None:
    assert gpus_per_replica(EngineSpec(tensor_parallel=4, args='{"pipeline_parallel_size":2}')) == 8


@pytest.mark.parametrize("ranks", ["0", '"two"', "true", "null"])
def test_ranks_that_are_none(ranks: str) -> None:
    with pytest.raises(ConfigError, match="pipeline_parallel_size: expected a whole number"):
        gpus_per_replica(EngineSpec(args=f'{{"pipeline_parallel_size":{ranks}}}'))


def test_a_model_that_fits_nowhere_is_refused_with_what_there_is() -> None:
    with pytest.raises(ConfigError, match="'big': 2 replicas of 4 GPUs each need 8 GPUs; the cluster has 6: lower"):
        pack_waves([served("small", 1), served("big", 4, replicas=2)], 6)


@given(st.lists(st.integers(1, 8), max_size=12), st.integers(8, 16))
def test_every_model_is_served_once_and_no_wave_is_too_large(sizes: list[int], gpus: int) -> None:
    models = [served(f"m{number}", size) for number, size in enumerate(sizes)]
    waves = pack_waves(models, gpus)
    assert sorted(model.name for wave in waves for model in wave.models) == sorted(model.name for model in models)
    assert all(sum(model.engine.tensor_parallel for model in wave.models) == wave.gpus <= gpus for wave in waves)
    assert all(first.gpus + second.gpus > gpus for first in waves for second in waves if first is not second)
