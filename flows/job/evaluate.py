"""Evaluates a run: prepares it, plays its pending episodes, and reports the results from the store.

``muses run`` calls :func:`evaluate`; the Prefect flows call it with a ``Play`` function that runs one task per cell.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import urlsplit

from muses_eval.flows.installation import PACKAGE
from muses_eval.flows.job.budget_slices import play_within_budget
from muses_eval.flows.job.prepare import (
    OnShard,
    Play,
    PreparedRun,
    Warn,
    log_warning,
    open_run,
    users_model,
    with_context,
)
from muses_eval.flows.job.report import RunReport, report
from muses_eval.flows.job.run_budget import RunBudget
from muses_eval.flows.job.serving import serving
from muses_eval.flows.job.signals import start_executor
from muses_eval.flows.job.stall_alarm import OnStatus, ignore_status, publish_status, stop_if_stalled
from muses_eval.flows.job.steered_executor import SteeredExecutor
from muses_eval.flows.job.steering import Steering
from muses_eval.flows.settings import Settings, ray_home
from muses_eval.pipeline.agents.agent_spec import AgentSpec
from muses_eval.pipeline.async_utils import gather_all
from muses_eval.pipeline.config.execution import ExecutionConfig
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.errors import EndpointError
from muses_eval.pipeline.plan.plan import Cell, ShardPlan
from muses_eval.storage.objects.folder_store import FolderStore
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.workers.budget import NO_HISTORY
from muses_eval.workers.limits import limit_conflicts
from muses_eval.workers.play.executor import Executor, OnStart, ignore_start
from muses_eval.workers.play.inline_executor import InlineExecutor
from muses_eval.workers.play.shard_spec import ShardSpec
from muses_eval.workers.play.shard_summary import ShardSummary
from muses_eval.workers.providers.model import Unavailable

_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
OpenExecutor = Callable[[ExecutionConfig, Settings], AbstractAsyncContextManager[Executor]]
"""Opens an executor, or yields one that several runs share."""


def _ignore_run(_: PreparedRun) -> OnShard:
    return lambda _: None


@dataclass(frozen=True, slots=True)
class RunObserver:
    """Observer of a run in progress."""

    begin: Callable[[PreparedRun], OnShard] = _ignore_run
    """Called with a run before it starts; returns the observer of its shards."""
    warn: Warn = log_warning
    status: OnStatus = ignore_status


NO_OBSERVER = RunObserver()


@asynccontextmanager
async def open_executor(execution: ExecutionConfig, settings: Settings) -> AsyncIterator[Executor]:
    """Starts the executor of a config; Ray is imported only when it is needed."""
    with ExitStack() as homes:
        async with start_executor(_executor(execution, settings, homes)) as executor:
            yield executor


def _executor(execution: ExecutionConfig, settings: Settings, homes: ExitStack) -> Executor:
    if execution.executor == "inline":
        return InlineExecutor(execution.shards_per_worker)
    from muses_eval.workers.play.ray_executor import RayExecutor, RaySettings

    remote = execution.ray_address is not None
    return RayExecutor(
        RaySettings(
            address=execution.ray_address,
            workers=execution.workers,
            shards_per_worker=execution.shards_per_worker,
            weight=execution.weight,
            runtime_env={} if execution.runtime_env is None else json.loads(execution.runtime_env),
            temp_dir=None if remote else homes.enter_context(ray_home(settings)),
            code=PACKAGE if remote else None,
        )
    )


def shared_folder_warning(store: ObjectStore, execution: ExecutionConfig) -> str | None:
    """Returns a warning when workers on other machines write to a folder; None otherwise."""
    address = execution.ray_address
    if execution.executor != "ray" or address is None or not isinstance(store, FolderStore):
        return None
    if urlsplit(f"//{address.removeprefix('ray://')}").hostname in _THIS_MACHINE:
        return None
    return (
        f"the store {store.url} is a folder: every machine of the Ray cluster at {address} has to share it at this "
        "path; otherwise use a store on S3"
    )


async def check_models(run: PreparedRun, executor: Executor, warn: Warn) -> PreparedRun:
    """Probes the models and services of the pending cells; returns the run with those that cannot be played.

    A server that does not respond now may recover, so its cells are played anyway.  When none of them responds but
    other cells of the run are complete, nothing is played.

    Raises:
        EndpointError: no cell of the run can be played, or the users' model cannot be reached.
    """
    models = list({cell.model for cell in run.pending.cells})
    services = list({cell.agent for cell in run.pending.cells if cell.agent.kind == "http"})
    player = users_model(run.pending)
    users = [] if player is None else [player]
    for disagreement in limit_conflicts(model.endpoint for model in (*models, *users) if model.endpoint):
        warn(disagreement)
    probed: tuple[ModelSpec | AgentSpec, ...] = (*models, *services)
    answers = await gather_all(executor.probe(each) for each in (*probed, *users))
    unavailable = {each: reason for each, reason in zip(probed, answers, strict=False) if reason}
    none_reachable = all(map(partial(_reason, unavailable), run.pending.cells))
    if none_reachable and all(map(partial(_reason, unavailable), run.plan.cells)):
        lines = "\n".join(f"  {each}: {reason}" for each, reason in _named(unavailable))
        raise EndpointError(f"no model of this run can be reached:\n{lines}\n{_endpoint_advice(unavailable.values())}")
    if users and answers[-1]:
        advice = _endpoint_advice([answers[-1]])
        raise EndpointError(f"the users' model cannot be reached:\n  {users[0].name}: {answers[-1]}\n{advice}")
    for name, reason in _named(unavailable):
        skipped = none_reachable or reason.lasting
        warn(f"{name} {'is not played' if skipped else 'does not respond yet'}: {reason}")
    reasons = {cell.entry: _reason(unavailable, cell) for cell in run.pending.cells}
    unplayable = {entry: reason for entry, reason in reasons.items() if reason and (none_reachable or reason.lasting)}
    return replace(run, unplayable=unplayable)


def _endpoint_advice(reasons: Iterable[Unavailable]) -> str:
    """Returns what to do when these are the reasons why nothing can be played."""
    lasting = all(reason.lasting for reason in reasons)
    first = "Correct what is named here" if lasting else "Start the server or correct its address"
    return f"{first}, then start the run again; `muses doctor` checks every endpoint."


def _reason(unavailable: Mapping[ModelSpec | AgentSpec, Unavailable], cell: Cell) -> Unavailable | None:
    """Returns why a cell cannot be played now; None when it can."""
    return unavailable.get(cell.model) or unavailable.get(cell.agent)


def _named(unavailable: Mapping[ModelSpec | AgentSpec, Unavailable]) -> list[tuple[str, Unavailable]]:
    """Returns names with reasons, in the order of the names."""
    names = ((each.name if isinstance(each, ModelSpec) else f"agent {each.name}", each) for each in unavailable)
    return [(name, unavailable[each]) for name, each in sorted(names, key=lambda pair: pair[0])]


async def play_cell(
    run: PreparedRun, cell: Cell, executor: Executor, on_shard: OnShard, on_start: OnStart = ignore_start
) -> list[ShardSummary]:
    """Plays the pending shards of a cell; the executor limits how many run at the same time.

    *on_start* is called for each shard when it starts, after it has waited for a free worker.
    """

    async def play_shard(shard: ShardPlan) -> ShardSummary:
        summary = await executor.run(_shard_spec(run, cell, shard), on_start)
        on_shard(summary)
        return summary

    return await gather_all(play_shard(shard) for shard in cell.shards)


async def play_all(run: PreparedRun, executor: Executor, on_shard: OnShard) -> list[ShardSummary]:
    """Plays the pending episodes of a run without Prefect."""
    by_cell = await gather_all(play_cell(run, cell, executor, on_shard) for cell in run.cells_to_play)
    return [summary for summaries in by_cell for summary in summaries]


@dataclass(frozen=True, slots=True)
class Driver:
    """Strategy for executing runs: executor, tasks and budget."""

    work: str = "muses run"
    """Command that the run lock shows to other processes."""
    open_executor: OpenExecutor = open_executor
    play: Play = play_all
    budget: RunBudget | None = None
    """Budget that the run shares with others; None: the budget of its config."""
    again: frozenset[str] = frozenset()
    """Ids of scored episodes that are played again; the new attempts count."""


DIRECT = Driver()
"""Runs without Prefect, each on its own executor."""


async def evaluate(
    config: RunConfig, settings: Settings, observer: RunObserver = NO_OBSERVER, driver: Driver = DIRECT
) -> RunReport:
    """Evaluates a run: prepares it, plays its pending episodes, and returns the report.

    Raises:
        MusesError: the run cannot be prepared or played, or another process holds its lock.
    """
    start = time.monotonic()
    async with open_run(config, observer.warn, driver.work, driver.again) as begun:
        run = await with_context(begun, settings, driver.budget)
        on_shard = observer.begin(run)
        if run.has_work and (advice := shared_folder_warning(run.store, config.execution)):
            observer.warn(advice)
        summaries: list[ShardSummary] = []
        if run.has_work:
            async with driver.open_executor(config.execution, settings) as pool, serving(run, pool) as executor:
                run = await check_models(run, executor, observer.warn)
                if run.lock is not None and executor.dashboard_url is not None:
                    run.lock.add_link("Ray", executor.dashboard_url)
                run.pace.expect(run.plan.run_id, run.cells_to_play)
                steered = SteeredExecutor(executor, run.pace)
                playing = play_within_budget(run, steered, on_shard, driver.play, observer.warn)
                status = observer.status
                if run.lock is not None:
                    published = publish_status(run.lock.report_accounts, observer.status)
                    status = Steering(run, run.lock, steered, observer.warn).follow(published)
                minutes, paused = config.execution.stall_minutes, lambda: steered.is_paused
                summaries = await stop_if_stalled(playing, steered, minutes, status, paused)
                if run.lock is not None:
                    run.lock.report_activity(None)
        return await asyncio.to_thread(report, run, summaries, time.monotonic() - start)


def _shard_spec(run: PreparedRun, cell: Cell, shard: ShardPlan) -> ShardSpec:
    by_id, budget = run.dataset.by_family[cell.family], run.context.budget
    spec = ShardSpec(
        run_id=run.plan.run_id,
        store=run.store.url,
        dataset=run.plan.dataset,
        dataset_version=run.dataset.versions[cell.family],
        users=run.plan.users,
        protocol=run.plan.protocol,
        model=cell.model,
        family=cell.family,
        number=shard.number,
        agent=cell.agent,
        attempt=run.index.next_attempt(cell.slug, cell.family, shard.number),
        cache=run.context.cache,
        episodes=shard.episodes,
        scenarios={episode.scenario_id: by_id[episode.scenario_id] for episode in shard.episodes},
    )
    if budget is None:
        return spec
    return replace(spec, budget=budget.budget, learned=budget.history.learned.get(spec.cell, NO_HISTORY))
