"""Plays a few episodes of every cell in advance, to estimate the cost and time of the run.

They are episodes of the run itself, in its store and on its budget, so none is played twice.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

from muses_eval.flows.job.evaluate import check_models, open_executor, play_all
from muses_eval.flows.job.prepare import PreparedRun, Warn, open_run, with_context
from muses_eval.flows.job.report import read_notices
from muses_eval.flows.job.serving import serving
from muses_eval.flows.job.stall_alarm import ignore_status, stop_if_stalled
from muses_eval.flows.settings import Settings
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.hashing import digest
from muses_eval.pipeline.plan.episode_usage import EpisodeUsage
from muses_eval.pipeline.plan.plan import Cell, Plan, ShardPlan
from muses_eval.storage.runs.shards import read_index
from muses_eval.storage.runs.spending import read_measured_usage


def sample(plan: Plan, scored: frozenset[str], count: int) -> Plan:
    """Returns the pending episodes of a sample of *count* episodes per cell; scored episodes count towards *count*.

    The sample depends on the episodes' ids alone, so a second pilot, or a larger one, contains the first.  The episodes
    keep the numbers of their shards and are stored as one attempt of these shards.
    """
    return replace(plan, cells=tuple(_sampled(cell, scored, count) for cell in plan.cells)).without(scored)


def _sampled(cell: Cell, scored: frozenset[str], count: int) -> Cell:
    ids = (episode.id for shard in cell.shards for episode in shard.episodes)
    # Scored episodes come first, so that a run that is half complete needs no pilot.
    wanted = set(sorted(ids, key=lambda name: (name not in scored, digest("pilot", name)))[:count])
    shards = (
        ShardPlan(shard.number, tuple(episode for episode in shard.episodes if episode.id in wanted))
        for shard in cell.shards
    )
    return replace(cell, shards=tuple(shard for shard in shards if shard.episodes))


@dataclass(frozen=True, slots=True)
class PilotResult:
    """The scored episodes of a run after its pilot."""

    usage: Mapping[str, EpisodeUsage]
    """Scored episode -> its measured load."""
    unusable: Mapping[tuple[str, str], float | None]
    """(model, family) -> share of unusable replies; None without replies."""


NO_PILOT = PilotResult({}, {})


async def play_pilot(config: RunConfig, settings: Settings, count: int, warn: Warn) -> PilotResult:
    """Plays the pending episodes among *count* per cell.

    *warn* receives a notice for every model whose replies in the run so far are unusable in part.

    Raises:
        EndpointError: no model can be reached.
    """
    async with open_run(config, warn, "muses plan --pilot") as opened:
        run = replace(await with_context(opened, settings), pending=sample(opened.plan, opened.index.scored, count))
        if run.has_work:
            async with open_executor(config.execution, settings) as pool, serving(run, pool) as executor:
                playing = play_all(await check_models(run, executor, warn), executor, lambda _: None)
                await stop_if_stalled(playing, executor, config.execution.stall_minutes, ignore_status)
        for notice in await asyncio.to_thread(read_notices, run):
            warn(notice)
        return await asyncio.to_thread(_result, run)


def _result(run: PreparedRun) -> PilotResult:
    from muses_eval.storage.query.resilient_query import resilient_query
    from muses_eval.storage.runs.cell_results import cell_results

    damaged = read_index(run.store, run.plan.run_id).damaged
    usage = read_measured_usage(run.store, run.plan.run_id, damaged)
    run_id, planned = run.plan.run_id, run.plan.planned
    cells = resilient_query(run.store.url, lambda connection: cell_results(connection, run_id, planned), run_id).value
    return PilotResult(usage, {(cell.model, cell.family): cell.unusable_share for cell in cells})
