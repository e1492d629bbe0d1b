"""Serves the vLLM models of a run: starts their servers before the first call and stops them afterwards.

The manifest of the run records the vLLM version and build of each model.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from muses_eval.flows.job.prepare import PreparedRun, users_model
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.plan.plan import Plan
from muses_eval.pipeline.text.credential_masking import mask_json
from muses_eval.storage.runs.manifest import RunManifest, update_manifest
from muses_eval.workers.play.executor import Executor

if TYPE_CHECKING:
    from muses_eval.workers.vllm.gpu_scheduler import GpuScheduler


@asynccontextmanager
async def serving(run: PreparedRun, executor: Executor) -> AsyncIterator[Executor]:
    """Yields *executor* with the model servers of the run.

    The servers of the users' model stay up; the agents take turns on the GPUs.  An agent that cannot be served is
    skipped, and its probe returns the reason.

    Raises:
        ConfigError: the executor is not Ray, or the users' model cannot be served.
    """
    agents, users = served_agents(run.pending), served_users(run.pending)
    if not agents and not users:
        yield executor
        return
    if run.config.execution.executor != "ray":
        names = ", ".join(f"vllm:{model.model}" for model in (*agents, *users))
        raise ConfigError(f"{names}: served on Ray only; write executor: ray under execution, or pass --executor ray")
    async with with_model_servers(executor) as staged:
        await staged.keep_running(users)
        described = mask_json(await staged.admit((*agents, *users)))
        await asyncio.to_thread(update_manifest, run.store, run.plan.run_id, lambda known: _with(known, described))
        with staged.expecting(run.plan.run_id, agents):
            yield staged


@asynccontextmanager
async def with_model_servers(executor: Executor) -> AsyncIterator["GpuScheduler"]:
    """Yields *executor* with model servers; *executor* itself when it has them because several runs share it."""
    # Imported here, so that runs without model servers start without Ray.
    from muses_eval.workers.vllm.fleet import VllmFleet
    from muses_eval.workers.vllm.gpu_scheduler import GpuScheduler

    if isinstance(executor, GpuScheduler):
        yield executor
        return
    async with VllmFleet() as fleet, GpuScheduler(executor, fleet) as staged:
        yield staged


def served_agents(plan: Plan) -> Counter[ModelSpec]:
    """Returns the agents that this project serves -> number of their shards."""
    shards: Counter[ModelSpec] = Counter()
    for cell in plan.cells:
        if cell.model.provider == "vllm":
            shards[cell.model] += len(cell.shards)
    return shards


def served_users(plan: Plan) -> tuple[ModelSpec, ...]:
    """Returns the users' model when a cell calls it and this project serves it; otherwise nothing."""
    model = users_model(plan)
    return (model,) if model is not None and model.provider == "vllm" else ()


def engine_versions(described: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Returns model -> version and build of vLLM, such as "0.32.0 gpu"; *described* is as in a manifest."""
    return {model: f"{found['vllm']} {found['build']}" for model, found in described.items()}


def _with(manifest: RunManifest, described: dict[str, dict[str, Any]]) -> RunManifest:
    """Returns the manifest with the served models; entries of models from earlier starts stay."""
    return replace(
        manifest, made_with={**manifest.made_with, "vllm": {**manifest.made_with.get("vllm", {}), **described}}
    )
