"""The plan of a run: its cells, expected cost and time, before anything is paid."""

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from muses_eval.flows.api.config import ConfigSource, read_config
from muses_eval.flows.api.run import INTERRUPTED
from muses_eval.flows.job.own_thread import run_in_own_thread
from muses_eval.flows.settings import Settings, read_settings, set_environment_defaults
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.protocols import ProtocolName

if TYPE_CHECKING:
    import polars as pl
    from muses_eval.flows.job.pilot import PilotResult
    from muses_eval.pipeline.plan.cost_estimate import CostEstimate


@dataclass(frozen=True, slots=True)
class RunPlan:
    """The plan of a run."""

    run_id: str
    dataset: str
    dataset_version: str
    protocol: ProtocolName
    episodes: int
    """Number of planned episodes, including those that are stored already."""
    cells: "pl.DataFrame"
    """A row per cell: ``model``, ``base_model``, ``agent``, ``facts``, ``family``, ``template``, ``shards`` and
    ``episodes``; after a pilot also ``unusable_share``, that of the family's replies in 0 to 1."""
    estimate: "CostEstimate"
    """Calls, tokens, US dollars and seconds, each with ``low``, ``mid`` and ``high``; ``cost_usd`` is None when a price
    is unknown."""
    smallest_difference: Mapping[str, float | None]
    """Family -> smallest difference of two models that the run detects with 80 % power, in 0 to 1; None when the family
    has too few scenarios."""


def plan(config: ConfigSource, *, store: str | os.PathLike[str] | None = None, pilot: int | None = None) -> RunPlan:
    """Returns the episodes, cost and time of a run without running it, as ``muses plan`` shows them.

    Models that their provider retires soon are given as warnings.

    Args:
        config: the path of a YAML file, a mapping with the same keys (docs/reference.md), or a ``RunConfig``.
        store: a folder or ``s3://bucket/prefix``, in place of the store of the configuration.
        pilot: plays this many episodes of every cell, at least 2, and estimates from them; they count for the run.
            None to estimate from the texts of the scenarios, within a factor of three.

    Raises:
        ConfigError: the configuration is invalid, or *pilot* is below 2.
        DatasetError: the dataset cannot be read.
        MusesError: the pilot cannot be played, as in :func:`muses_eval.flows.api.run.run`.
        KeyboardInterrupt: the pilot was interrupted; finished episodes are stored.
    """
    import polars as pl
    from muses_eval.flows.job.pilot import NO_PILOT
    from muses_eval.flows.job.run_preview import RunPreview, estimate_cost_of
    from muses_eval.flows.sweep.sweep import plan_runs
    from muses_eval.pipeline.config.grid import SweepRun
    from muses_eval.pipeline.retirement import retirement_notices

    settings = read_settings()
    parsed = read_config(config, store, settings.store)
    played = NO_PILOT if pilot is None else _play_pilot(parsed, settings, pilot)
    (planned,) = plan_runs([SweepRun(parsed.name, parsed)])
    preview = RunPreview.of(planned, played)
    for notice in (*preview.notes, *retirement_notices(preview.called, datetime.now(UTC).date())):
        warnings.warn(notice, stacklevel=2)
    return RunPlan(
        **preview.head,
        cells=pl.DataFrame(preview.cells),
        estimate=estimate_cost_of(preview.cell_estimates),
        smallest_difference=preview.smallest,
    )


def _play_pilot(config: RunConfig, settings: Settings, count: int) -> "PilotResult":
    from muses_eval.flows.job.pilot import play_pilot
    from muses_eval.flows.job.prepare import log_warning
    from muses_eval.pipeline.errors import ConfigError

    if count < 2:
        raise ConfigError(f"pilot: expected at least 2 episodes per cell, got {count}")
    set_environment_defaults(settings)
    return run_in_own_thread(lambda: play_pilot(config, settings, count, log_warning), INTERRUPTED)
