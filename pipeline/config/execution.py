"""How a run is carried out."""

from typing import Literal

from muses_eval.pipeline.config.section import Number, Section, Whole
from pydantic import Field


class ExecutionConfig(Section):
    """How the run is carried out; nothing here changes what is measured."""

    executor: Literal["inline", "ray"] = "inline"
    ray_address: str | None = None
    """Address of a running cluster; a local one is started when left out."""
    workers: Whole | None = Field(None, gt=0)
    """Ray actors; one a CPU of the cluster when left out."""
    shards_per_worker: Whole = Field(4, gt=0)
    """Shards that one worker plays at the same time."""
    shard_size: Whole = Field(32, gt=0)
    """Episodes a shard."""
    weight: Whole = Field(1, ge=1, le=100)
    """Weight of this run beside others of the cluster that want more of an account than it has."""
    stall_minutes: Number = Field(15.0, gt=0)
    """The run ends after this time without a single answer from any model."""
