"""``muses plan``: what a run would play, what it would take, and which differences it could show."""

import sys
from collections.abc import Mapping
from functools import partial
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from flows.cli import DONE
from flows.cli.options import Config, Json, RunOptions, load_config
from flows.cli.output import put, to_json
from flows.prepare import load_dataset, plan_run
from flows.settings import Settings, quiet_engines, read_settings
from flows.signals import interruptible, run_until_signal
from pipeline.config import RunConfig
from pipeline.datasets import Dataset
from pipeline.estimate import LEVEL, Estimate, Load, estimate, forecast
from pipeline.plan import Plan

Pilot = Annotated[
    int | None,
    Parameter(
        help="Play so many episodes of every cell first, in the run's own store, and estimate from them.",
        validator=Number(gte=2),
    ),
]
_NO_OPTIONS = RunOptions()


def plan(
    config: Config = None, /, *, options: RunOptions = _NO_OPTIONS, pilot: Pilot = None, as_json: Json = False
) -> int:
    """Show what a run would play, and what that would take, without playing it (or no more than a pilot)."""
    from dashboards.compare import detectable, render_detectable
    from dashboards.estimate import estimate_record, render_estimate

    settings = read_settings()
    parsed = load_config(config, options, settings.store)
    dataset = load_dataset(parsed)
    planned = plan_run(parsed, dataset)
    expected = _estimate(planned, dataset, {} if pilot is None else _pilot(parsed, settings, pilot))
    cells = [
        {
            "model": cell.model.name,
            "family": cell.family,
            "template": cell.template,
            "shards": len(cell.shards),
            "episodes": cell.episode_count,
        }
        for cell in planned.cells
    ]
    if as_json:
        head = {
            "run_id": planned.run_id,
            "dataset": planned.dataset,
            "dataset_version": planned.dataset_version,
            "episodes": planned.episode_count,
            "smallest_difference": detectable(planned),
            "estimate": estimate_record(expected),
        }
        put(to_json({**head, "cells": cells}))
        return DONE
    from dashboards.text import text_table

    put(f"run {planned.run_id} · dataset {planned.dataset} (version {planned.dataset_version})")
    put(text_table(list(cells[0]), [list(map(str, cell.values())) for cell in cells], numeric=(3, 4)))
    put(f"{planned.episode_count} episodes in {len(cells)} cells")
    if expected.lines:
        put(render_estimate(expected))
    put(render_detectable(planned))
    return DONE


def _estimate(planned: Plan, dataset: Dataset, used: Mapping[str, Load]) -> Estimate:
    from storage.stats import t_quantile
    from workers.limits import Account

    cells = forecast(planned, dataset.by_family, used)
    return estimate(cells, planned.users, partial(t_quantile, (1 + LEVEL) / 2), Account.of)


def _pilot(parsed: RunConfig, settings: Settings, count: int) -> Mapping[str, Load]:
    from flows.pilot import play_pilot

    quiet_engines(settings)
    with interruptible("interrupted; finished episodes are stored and count for the run"):
        return run_until_signal(lambda _: play_pilot(parsed, settings, count, _say), lambda: None)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201
