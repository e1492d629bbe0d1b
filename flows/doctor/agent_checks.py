"""Checks of the agents of a configuration."""

import asyncio
import os
from collections.abc import Iterator
from functools import partial

from muses_eval.flows.agents.load_agents import load_agent
from muses_eval.flows.doctor.check import Check, checked
from muses_eval.pipeline.agents.agent_spec import AgentSpec
from muses_eval.pipeline.config.agent_config import AgentConfig
from muses_eval.pipeline.config.execution import ExecutionConfig
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.errors import MusesError


def agent_checks(config: RunConfig) -> Iterator[Check]:
    """Loads the agents of a configuration, and probes those that are services."""
    for agent in config.agents:
        if agent.form != "chat":
            yield checked(f"agent {agent.entry}", partial(_agent, agent, config.execution))


def _agent(agent: AgentConfig, execution: ExecutionConfig) -> str:
    loaded = load_agent(agent, execution)
    if loaded.note is not None:
        return f"found, but not checked here: {loaded.note}"
    if loaded.spec.kind == "http":
        asyncio.run(_probe(loaded.spec))
        return f"{agent.agent} answers"
    origin = loaded.distribution or loaded.spec.target
    return f"{origin} can be loaded" if loaded.files is None else f"loaded with {', '.join(sorted(loaded.files))}"


async def _probe(spec: AgentSpec) -> None:
    from muses_eval.workers.play.shard_worker import ShardWorker

    worker = ShardWorker(os.environ)
    try:
        unavailable = await worker.probe(spec)
    finally:
        await worker.close()
    if unavailable is not None:
        raise MusesError(f"{unavailable}; start the service, or correct its address in the config")
