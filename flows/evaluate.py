"""The main job as plain functions: prepare what a run owes, play it, report what is in the store.

``muses run`` calls them one after the other; the Prefect flow calls the same ones and adds a task a cell and
artifacts.  Neither knows more than this module about how a run proceeds.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from flows.provenance import code_state, package_versions
from flows.settings import Settings, ray_home
from flows.signals import started
from pipeline.config import ExecutionConfig, RunConfig
from pipeline.datasets import Dataset, dataset_from_rows, generate_dataset
from pipeline.episode import OUTCOMES
from pipeline.errors import ConfigError, EndpointError, FailureKind
from pipeline.families import FAMILIES
from pipeline.plan import Cell, Plan, ShardPlan, make_plan
from pipeline.tasks import all_of
from storage.dataset_files import read_rows
from storage.manifest import RunManifest, create_or_check
from storage.objects import ObjectStore, open_store
from storage.shards import RunIndex, read_index
from workers.executor import Executor, InlineExecutor
from workers.shard import ShardSpec, ShardSummary

if TYPE_CHECKING:
    from storage.leaderboard import LeaderboardRow

_ENDPOINT_ADVICE = (
    "Start the server or correct base_url, then start the run again; `muses doctor` checks every endpoint."
)
CODE_ROOT = Path(__file__).resolve().parent.parent
OnShard = Callable[[ShardSummary], None]
"""Called whenever a shard is stored."""
OnPrepared = Callable[["PreparedRun"], OnShard]
"""Told a run before it starts; returns who is told of its shards."""
Warn = Callable[[str], None]
"""Told at once what a person should know while the run goes on."""
log_warning: Warn = logging.getLogger(__name__).warning
"""Where nobody in particular watches."""


@dataclass(frozen=True, slots=True)
class PreparedRun:
    """A run that is about to be played."""

    config: RunConfig
    dataset: Dataset
    store: ObjectStore
    plan: Plan
    """All that the run is to have in the end."""
    owed: Plan
    """What of it is not scored yet."""
    index: RunIndex
    """What was in the store when the run was prepared."""
    unplayable: Mapping[str, str] = field(default_factory=dict)
    """Model -> why it cannot even be opened; what it owes is not played."""

    @property
    def episodes_done(self) -> int:
        return self.plan.episode_count - self.owed.episode_count

    @property
    def cells_to_play(self) -> tuple[Cell, ...]:
        return tuple(cell for cell in self.owed.cells if cell.model.name not in self.unplayable)


@dataclass(frozen=True, slots=True)
class RunReport:
    """What came of a run, this start and all earlier ones together."""

    run_id: str
    store: str
    dataset_version: str
    planned: int
    outcomes: dict[str, int]
    seconds: float
    """Of this start."""
    cost_usd: float | None
    leaderboard: "tuple[LeaderboardRow, ...]"
    problems: tuple[tuple[int, FailureKind, str], ...]
    """(episodes, kind, text) of the failures of this start, the most frequent first."""
    complete: bool
    """Whether every model of every family reached the coverage that the config asks for."""


def load_dataset(config: RunConfig) -> Dataset:
    """The scenarios of a run.  Raises DatasetError, or ConfigError for a family that the dataset does not have."""
    spec = config.dataset.spec()
    families = config.families or None
    if spec.path is None:
        dataset = generate_dataset(spec.size, spec.seed, families, spec.most_users)
    else:
        dataset = dataset_from_rows(spec.name, read_rows(spec.path), families)
    for family in config.families or ("",):
        if not dataset.scenarios(family) and (family or not dataset.families):
            there = ", ".join(dataset.families) or "none"
            raise ConfigError(f"dataset {spec.name!r} has no scenarios of {family or 'any family'!r}; it has: {there}")
    return dataset


def plan_run(config: RunConfig, dataset: Dataset) -> Plan:
    """The whole plan of a run."""
    return make_plan(config.request(dataset.families), dataset, config.execution.shard_size, config.run_id)


def prepare(config: RunConfig) -> PreparedRun:
    """Loads the dataset, plans, claims the run's name in the store and subtracts what is already scored."""
    dataset = load_dataset(config)
    plan = plan_run(config, dataset)
    store = open_store(config.store)
    store.check()
    create_or_check(store, _manifest(config, plan))
    index = read_index(store, plan.run_id)
    return PreparedRun(config, dataset, store, plan, plan.without(index.scored), index)


@asynccontextmanager
async def open_executor(execution: ExecutionConfig, settings: Settings) -> AsyncIterator[Executor]:
    """The executor that a config names, started; Ray is imported only when it is wanted."""
    with ExitStack() as homes:
        async with started(_executor(execution, settings, homes)) as executor:
            yield executor


def _executor(execution: ExecutionConfig, settings: Settings, homes: ExitStack) -> Executor:
    if execution.executor == "inline":
        return InlineExecutor(execution.shards_per_worker)
    from workers.ray_pool import RayExecutor, RaySettings

    remote = execution.ray_address is not None
    return RayExecutor(
        RaySettings(
            address=execution.ray_address,
            workers=execution.workers,
            shards_per_worker=execution.shards_per_worker,
            temp_dir=None if remote else homes.enter_context(ray_home(settings)),
            code=CODE_ROOT if remote else None,
        )
    )


async def check_models(run: PreparedRun, executor: Executor, warn: Warn) -> PreparedRun:
    """Probes the models that will be called, and returns the run without those that cannot be opened.

    A model that does not answer now is tried all the same: it may be back in time.

    Raises:
        EndpointError: not one model of the run can be reached, or the users' model cannot.
    """
    agents = list({cell.model for cell in run.owed.cells})
    users = [run.plan.users.model] if run.plan.users.model and _calls_users(run.owed) else []
    answers = await all_of(executor.probe(model) for model in (*agents, *users))
    troubles = {model.name: trouble for model, trouble in zip(agents, answers, strict=False) if trouble}
    if len(troubles) == len(agents):
        lines = "\n".join(f"  {name}: {trouble}" for name, trouble in sorted(troubles.items()))
        raise EndpointError(f"no model of this run can be reached:\n{lines}\n{_ENDPOINT_ADVICE}")
    if users and answers[-1]:
        raise EndpointError(
            f"the users' model cannot be reached:\n  {users[0].name}: {answers[-1]}\n{_ENDPOINT_ADVICE}"
        )
    for name, trouble in sorted(troubles.items()):
        warn(f"{name} {'does not answer yet' if _is_answer(trouble) else 'is not played'}: {trouble}")
    return replace(run, unplayable={name: text for name, text in troubles.items() if not _is_answer(text)})


def _calls_users(plan: Plan) -> bool:
    """In families of one turn the principals have said everything before."""
    return any(FAMILIES[cell.family].max_turns > 1 for cell in plan.cells)


def _is_answer(trouble: str) -> bool:
    """Whether a probe's text is of a call that failed, not of a model that cannot be called.

    The text of a ModelFailure begins with its kind.
    """
    return trouble.partition(":")[0] in get_args(FailureKind)


async def play_cell(run: PreparedRun, cell: Cell, executor: Executor, on_shard: OnShard) -> list[ShardSummary]:
    """Plays what a cell owes, as many shards at a time as the executor has room for."""

    async def play_shard(shard: ShardPlan) -> ShardSummary:
        summary = await executor.run(_shard_spec(run, cell, shard))
        on_shard(summary)
        return summary

    return await all_of(play_shard(shard) for shard in cell.shards)


async def play_all(run: PreparedRun, executor: Executor, on_shard: OnShard) -> list[ShardSummary]:
    """Plays what a run owes, without Prefect."""
    by_cell = await all_of(play_cell(run, cell, executor, on_shard) for cell in run.cells_to_play)
    return [summary for summaries in by_cell for summary in summaries]


def report(run: PreparedRun, summaries: Iterable[ShardSummary], seconds: float) -> RunReport:
    """Reads the run's results back from the store."""
    from storage.leaderboard import leaderboard
    from storage.runs import outcome_counts
    from storage.sql import connect

    problems: Counter[tuple[FailureKind, str]] = Counter()
    for summary in summaries:
        problems.update(summary.problems)
    for cell in run.owed.cells:
        if cell.model.name in run.unplayable:
            problems["auth", run.unplayable[cell.model.name]] += cell.episode_count
    with connect(run.store.url, run.plan.run_id) as connection:
        rows = leaderboard(connection, run_id=run.plan.run_id, threshold=run.config.coverage)
        stored = outcome_counts(connection, run.plan.run_id)
    costs = [row.cost_usd for row in rows]
    return RunReport(
        run_id=run.plan.run_id,
        store=run.store.url,
        dataset_version=run.plan.dataset_version,
        planned=run.plan.episode_count,
        outcomes={outcome: sum(counts.get(outcome, 0) for counts in stored.values()) for outcome in OUTCOMES},
        seconds=seconds,
        cost_usd=None if None in costs else sum(cost for cost in costs if cost is not None),
        leaderboard=tuple(rows),
        problems=tuple((count, kind, text) for (kind, text), count in problems.most_common()),
        complete=all(
            stored.get(cell, {}).get("scored", 0) >= run.config.coverage * planned
            for cell, planned in run.plan.planned.items()
        ),
    )


def _manifest(config: RunConfig, plan: Plan) -> RunManifest:
    code = code_state(CODE_ROOT)
    models = {cell.model.name: cell.model for cell in plan.cells}
    return RunManifest(
        run_id=plan.run_id,
        created_at=datetime.now(UTC),
        config=config.model_dump(mode="json"),
        dataset=plan.dataset,
        dataset_version=plan.dataset_version,
        planned=plan.planned,
        models={
            name: {"provider": model.provider, "model": model.model, "sampling": asdict(model.sampling)}
            for name, model in models.items()
        },
        users=plan.users.name,
        templates=config.templates,
        epochs=config.epochs,
        limit=config.limit,
        versions=package_versions(),
        commit=code.commit,
        dirty=code.dirty,
    )


async def evaluate(
    config: RunConfig, settings: Settings, on_prepared: OnPrepared, warn: Warn = log_warning
) -> RunReport:
    """The whole job, without Prefect.  What may wait for the store has a thread, so that signals are heard."""
    start = time.monotonic()
    run = await asyncio.to_thread(prepare, config)
    on_shard = on_prepared(run)
    summaries: list[ShardSummary] = []
    if run.owed.episode_count:
        async with open_executor(config.execution, settings) as executor:
            run = await check_models(run, executor, warn)
            summaries = await play_all(run, executor, on_shard)
    return await asyncio.to_thread(report, run, summaries, time.monotonic() - start)


def _shard_spec(run: PreparedRun, cell: Cell, shard: ShardPlan) -> ShardSpec:
    by_id = run.dataset.by_family[cell.family]
    return ShardSpec(
        run_id=run.plan.run_id,
        store=run.store.url,
        dataset=run.plan.dataset,
        dataset_version=run.dataset.versions[cell.family],
        users=run.plan.users,
        model=cell.model,
        family=cell.family,
        number=shard.number,
        attempt=run.index.next_attempt(cell.model.slug, cell.family, shard.number),
        episodes=shard.episodes,
        scenarios={episode.scenario_id: by_id[episode.scenario_id] for episode in shard.episodes},
    )
