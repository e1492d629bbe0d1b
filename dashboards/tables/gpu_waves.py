"""The waves in which models are served on a number of GPUs, as a table and as JSON."""

from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from muses_eval.dashboards.tables.cost_estimate import time_span
from muses_eval.dashboards.tables.text_table import text_table
from muses_eval.pipeline.config.engine import EngineSpec
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.plan.gpu_waves import Wave, WaveSchedule, gpus_per_replica, needed_gpus
from muses_eval.pipeline.plan.interval import Interval
from muses_eval.pipeline.text.count_text import count_text


def schedule_record(schedule: WaveSchedule, seconds: Interval) -> dict[str, Any]:
    """Returns the waves as JSON values; *seconds* is the duration of the runs in these waves."""
    return {
        "gpus": schedule.gpus,
        "kept": _wave_record(schedule.always_on),
        "waves": [_wave_record(wave) for wave in schedule.waves],
        "seconds": asdict(seconds),
    }


def render_schedule(schedule: WaveSchedule, seconds: Interval) -> str:
    """Returns one line per model, and the duration in these waves."""
    waves = [("always", schedule.always_on), *((str(number), wave) for number, wave in enumerate(schedule.waves, 1))]
    rows = [[name, *_cells(model)] for name, wave in waves for model in wave.models]
    table = text_table(["wave", "model", "replicas", "GPUs a replica", "GPUs"], rows, numeric=(2, 3, 4))
    if len(schedule.waves) < 2:
        return f"{table}\nall of them are served at the same time on {count_text(schedule.gpus, 'GPU')}"
    return (
        f"{table}\n{len(schedule.waves)} waves on {count_text(schedule.gpus, 'GPU')}, one after the other: "
        f"{time_span(seconds)}, without the time that servers take to start"
    )


def render_without_schedule(models: Collection[ModelSpec], *, asked: bool) -> str | None:
    """Returns a hint when there are no waves: no model is served, or no number of GPUs is set; None for no hint.

    *asked*: True when the user set a number of GPUs.
    """
    if not models:
        return "no model of this configuration has an engine, so --gpus has no effect" if asked else None
    gpus = count_text(needed_gpus(models), "GPU")
    return (
        f"{count_text(len(models), 'model')} with an engine: {gpus} for all of them at the same time; "
        "--gpus N shows how they take turns on fewer"
    )


def _cells(model: ModelSpec) -> list[str]:
    engine = model.engine or EngineSpec()
    least, most = engine.replicas
    each = gpus_per_replica(engine)
    return [model.name, str(least) if least == most else f"{least}-{most}", str(each), str(least * each)]


def _wave_record(wave: Wave) -> dict[str, Any]:
    models = [
        {
            "model": model.name,
            "replicas": list((model.engine or EngineSpec()).replicas),
            "gpus_per_replica": gpus_per_replica(model.engine or EngineSpec()),
        }
        for model in wave.models
    ]
    return {"gpus": wave.gpus, "models": models}
