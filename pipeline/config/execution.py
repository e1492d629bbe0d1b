"""The execution of a run: executor, workers, shards."""

from typing import Literal

from muses_eval.pipeline.config.section import Integer, Number, Section
from pydantic import Field


class ExecutionConfig(Section):
    """Execution of the run.  Nothing here affects what is measured."""

    executor: Literal["inline", "ray"] = "inline"
    ray_address: str | None = None
    """Address of a running cluster; None starts a local one."""
    workers: Integer | None = Field(None, gt=0)
    """Number of Ray actors; None starts one per CPU of the cluster."""
    shards_per_worker: Integer = Field(4, gt=0)
    """Number of shards that one worker plays at the same time."""
    shard_size: Integer = Field(32, gt=0)
    """Episodes per shard."""
    weight: Integer = Field(1, ge=1, le=100)
    """Weight of this run against other runs of the cluster that compete for an account."""
    stall_minutes: Number = Field(15.0, gt=0)
    """Time without a reply from any model after which the run is stopped."""
