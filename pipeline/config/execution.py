"""The execution of a run: executor, workers, shards."""

import json
from typing import Literal

from muses_eval.pipeline.config.section import Integer, JsonText, Number, Section
from muses_eval.pipeline.text.credential_masking import mask_json
from pydantic import Field, model_validator

RUNTIME_ENV_KEYS = (
    *("pip", "uv", "conda", "py_modules", "working_dir", "excludes", "env_vars", "py_executable", "image_uri"),
    *("java_jars", "worker_process_setup_hook", "config"),
)
"""Keys of Ray's runtime environments (docs.ray.io, "Environment Dependencies")."""


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
    runtime_env: JsonText | None = None
    """Ray's runtime environment of the workers: packages and files that agents need there."""
    weight: Integer = Field(1, ge=1, le=100)
    """Weight of this run against other runs of the cluster that compete for an account."""
    stall_minutes: Number = Field(15.0, gt=0)
    """Time without a reply from any model after which the run is stopped."""

    @model_validator(mode="after")
    def _runtime_env_is_possible(self) -> "ExecutionConfig":
        if self.runtime_env is None:
            return self
        if self.executor != "ray":
            raise ValueError(
                "runtime_env is the environment of Ray's workers, but the executor is inline, which plays in this "
                "process: install the packages here and leave runtime_env out, or set executor: ray"
            )
        env = json.loads(self.runtime_env)
        if unknown := sorted(env.keys() - set(RUNTIME_ENV_KEYS)):
            raise ValueError(f"runtime_env has no {', '.join(unknown)}; it has {', '.join(RUNTIME_ENV_KEYS)}")
        if mask_json(env) != env:
            raise ValueError(
                "runtime_env contains a credential (it is not shown here), and a configuration is stored with its run: "
                "leave it out, and set secrets in the environment of the cluster's machines"
            )
        return self
