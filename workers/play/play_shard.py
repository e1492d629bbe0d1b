"""Plays one shard of episodes and writes it: a shard is the unit of work, of retry and of storage.

A spec fully determines its shard, so any worker on any machine can play it.  All episodes of a shard are played at the
same time on one event loop; when the last one is done, one Parquet object is written with one conditional write.  When
a shard is cancelled, it first writes the finished episodes.  Messages are scored as they are; credentials in them are
masked before they are written.  Under a budget, each episode is reserved before it is played; an episode that the
budget no longer allows is written without scores.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.plan.usage_estimator import UsageEstimator
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.workers.budget import BudgetClient
from muses_eval.workers.play.shard_episode import EpisodeBudget, ShardModels, play_shard_episode
from muses_eval.workers.play.shard_spec import ShardSpec
from muses_eval.workers.play.shard_summary import ShardSummary
from muses_eval.workers.play.shard_writer import write_episodes


async def play_shard(
    spec: ShardSpec, models: ShardModels, store: ObjectStore, budget: BudgetClient | None = None
) -> ShardSummary:
    """Plays and writes one shard; with a *budget*, only the episodes that it allows.

    When another worker has stored the same shard in the meantime, the summary describes the stored episodes.

    Raises:
        StoreError: the object cannot be written.
        MusesError: the budget is unreachable; finished episodes are written first.
        asyncio.CancelledError: likewise.
    """
    episode_budget = None if budget is None else EpisodeBudget(budget, spec, UsageEstimator(spec.users, spec.protocol))
    tasks = [asyncio.create_task(play_shard_episode(spec, plan, models, episode_budget)) for plan in spec.episodes]
    try:
        episodes = list(await asyncio.gather(*tasks))
    except BaseException:  # cancelled, or the budget is unreachable: finished episodes are paid for, so they are kept
        finished = await _finished(tasks)
        if finished:
            write_episodes(store, spec.key, finished)
        raise
    writing = asyncio.create_task(asyncio.to_thread(write_episodes, store, spec.key, episodes))
    try:
        stored = await asyncio.shield(writing)
    except asyncio.CancelledError:
        while not writing.done():  # its thread continues, whatever is cancelled here and however often
            with suppress(asyncio.CancelledError):
                await asyncio.wait([writing])
        writing.result()
        raise
    return ShardSummary.of(spec.key, stored)


async def _finished(tasks: "Sequence[asyncio.Task[Episode]]") -> list[Episode]:
    """Cancels the running episodes and returns the finished ones, even when it is cancelled itself."""
    for task in tasks:
        task.cancel()
    while not all(task.done() for task in tasks):
        with suppress(asyncio.CancelledError):
            await asyncio.wait(tasks)
    return [task.result() for task in tasks if not task.cancelled() and task.exception() is None]
