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
from typing import TYPE_CHECKING

from flows.holding import holding
from flows.provenance import code_state, made_with, package_versions
from flows.serving import serving
from flows.settings import Settings, ray_home
from flows.signals import started
from flows.terms import Terms, read_terms
from flows.watch import OnStatus, unseen, watched
from pipeline.config import ExecutionConfig, RunConfig
from pipeline.credentials import without_credentials
from pipeline.datasets import Dataset, dataset_from_rows, generate_dataset
from pipeline.episode import OUTCOMES
from pipeline.errors import ConfigError, EndpointError, FailureKind
from pipeline.families import FAMILIES
from pipeline.plan import Cell, Plan, ShardPlan, make_plan
from pipeline.prices import prices_of
from pipeline.specs import Budget
from pipeline.tasks import all_of
from pipeline.usage import Usage
from storage.dataset_files import read_rows
from storage.manifest import RunManifest, create_or_check, reopen
from storage.objects import ObjectStore, open_store
from storage.shards import RunIndex, read_index
from storage.spending import read_spending
from workers.executor import Executor, InlineExecutor
from workers.limits import disagreements
from workers.shard import ShardSpec, ShardSummary

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

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
    terms: Terms = Terms()

    @property
    def has_work(self) -> bool:
        """Whether there is anything to play, and anything left to play it on."""
        return bool(self.owed.episode_count) and not self.terms.used_up

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
    spent: Usage
    """By all attempts that are stored."""
    cost_usd: float | None
    """None when that of an episode is not known."""
    budget: Budget | None
    budget_reached: bool
    """Whether episodes were not played because of it."""
    unpriced: tuple[str, ...]
    """Models whose price is not known."""
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


@asynccontextmanager
async def prepared(config: RunConfig, warn: Warn = log_warning, work: str = "muses run") -> AsyncIterator[PreparedRun]:
    """A run as of :func:`prepare`, which is ours alone until the end.

    What may wait for the store has a thread, so that signals are heard.
    """
    begun = await asyncio.to_thread(_begin, config)
    async with holding(begun.store, begun.plan.run_id, work):
        run = await asyncio.to_thread(_subtract, begun)
        for key, problem in run.index.damaged.items():
            warn(f"store {run.store.url}: {key}: {problem}; what it held is played again")
        yield run


def prepare(config: RunConfig) -> PreparedRun:
    """Loads the dataset, plans, takes the run's name in the store and subtracts what is already scored.

    For who is alone with the store; a driver takes :func:`prepared`.
    """
    return _subtract(_begin(config))


@dataclass(frozen=True, slots=True)
class _Begun:
    config: RunConfig
    dataset: Dataset
    store: ObjectStore
    plan: Plan
    manifest: RunManifest


def _begin(config: RunConfig) -> _Begun:
    dataset = load_dataset(config)
    plan = plan_run(config, dataset)
    store = open_store(config.store)
    store.check()
    manifest = _manifest(config, plan, dataset)
    create_or_check(store, manifest)
    return _Begun(config, dataset, store, plan, manifest)


def _subtract(begun: _Begun) -> PreparedRun:
    store, plan = begun.store, begun.plan
    create_or_check(store, begun.manifest)  # again: until the run was ours, somebody could have deleted it
    index = read_index(store, plan.run_id)
    owed = plan.without(index.scored)
    if owed.episode_count and (index.sealed or index.damaged):
        reopen(store, plan.run_id)
    return PreparedRun(begun.config, begun.dataset, store, plan, owed, index)


async def on_terms(run: PreparedRun, settings: Settings) -> PreparedRun:
    """The run with what its budget and its cache say now."""
    return replace(run, terms=await asyncio.to_thread(read_terms, run, settings.home))


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
    for disagreement in disagreements(model.endpoint for model in (*agents, *users) if model.endpoint):
        warn(disagreement)
    answers = await all_of(executor.probe(model) for model in (*agents, *users))
    troubles = {model.name: trouble for model, trouble in zip(agents, answers, strict=False) if trouble}
    if len(troubles) == len(agents):
        lines = "\n".join(f"  {name}: {troubles[name]}" for name in sorted(troubles))
        raise EndpointError(f"no model of this run can be reached:\n{lines}\n{_ENDPOINT_ADVICE}")
    if users and answers[-1]:
        raise EndpointError(
            f"the users' model cannot be reached:\n  {users[0].name}: {answers[-1]}\n{_ENDPOINT_ADVICE}"
        )
    for name in sorted(troubles):
        warn(f"{name} {'is not played' if troubles[name].lasting else 'does not answer yet'}: {troubles[name]}")
    return replace(run, unplayable={name: str(trouble) for name, trouble in troubles.items() if trouble.lasting})


def _calls_users(plan: Plan) -> bool:
    """In families of one turn the principals have said everything before."""
    return any(FAMILIES[cell.family].max_turns > 1 for cell in plan.cells)


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
    from storage.answer import answer
    from storage.leaderboard import leaderboard
    from storage.runs import outcome_counts

    problems: Counter[tuple[FailureKind, str]] = Counter()
    stopped = 0
    for summary in summaries:
        problems.update(summary.problems)
        stopped += summary.outcomes.get("budget_stopped", 0)
    for cell in run.owed.cells:
        if cell.model.name in run.unplayable:
            problems["auth", run.unplayable[cell.model.name]] += cell.episode_count

    def results(
        connection: "DuckDBPyConnection",
    ) -> "tuple[list[LeaderboardRow], Mapping[tuple[str, str], Mapping[str, int]]]":
        rows = leaderboard(connection, run_id=run.plan.run_id, threshold=run.config.coverage)
        return rows, outcome_counts(connection, run.plan.run_id)

    # What a damaged object held was told when the run was prepared, and has been played again.
    rows, stored = answer(run.store.url, results, run.plan.run_id).value
    spent = read_spending(run.store, run.plan.run_id, run.index.damaged)
    costs = [row.cost_usd for row in rows]
    return RunReport(
        run_id=run.plan.run_id,
        store=run.store.url,
        dataset_version=run.plan.dataset_version,
        planned=run.plan.episode_count,
        outcomes={outcome: sum(counts.get(outcome, 0) for counts in stored.values()) for outcome in OUTCOMES},
        seconds=seconds,
        spent=spent,
        cost_usd=None if None in costs else spent.cost_usd,
        budget=None if run.config.budget is None else run.config.budget.spec(),
        budget_reached=(run.terms.used_up and bool(run.owed.episode_count)) or stopped > 0,
        unpriced=_unpriced(run.plan),
        leaderboard=tuple(rows),
        problems=tuple((count, kind, text) for (kind, text), count in problems.most_common()),
        complete=all(
            stored.get(cell, {}).get("scored", 0) >= run.config.coverage * planned
            for cell, planned in run.plan.planned.items()
        ),
    )


def _unpriced(plan: Plan) -> tuple[str, ...]:
    """The models of a plan whose calls have no known cost."""
    agents = [cell.model for cell in plan.cells]
    users = [plan.users.model] if plan.users.model and _calls_users(plan) else []
    return tuple(dict.fromkeys(model.name for model in (*agents, *users) if prices_of(model) is None))


def _manifest(config: RunConfig, plan: Plan, dataset: Dataset) -> RunManifest:
    code = code_state(CODE_ROOT)
    models = {cell.model.name: cell.model for cell in plan.cells}
    return RunManifest(
        run_id=plan.run_id,
        created_at=datetime.now(UTC),
        config=without_credentials(config.model_dump(mode="json")),
        dataset=plan.dataset,
        dataset_version=plan.dataset_version,
        planned=plan.planned,
        models=without_credentials(
            {
                name: {"provider": model.provider, "model": model.model, "sampling": asdict(model.sampling)}
                for name, model in models.items()
            }
        ),
        users=without_credentials(plan.users.name),
        templates=config.templates,
        epochs=config.epochs,
        limit=config.limit,
        versions=package_versions(),
        commit=code.commit,
        dirty=code.dirty,
        made_with=without_credentials(made_with(plan, dataset.versions, code, CODE_ROOT)),
    )


async def evaluate(
    config: RunConfig,
    settings: Settings,
    on_prepared: OnPrepared,
    warn: Warn = log_warning,
    on_status: OnStatus = unseen,
) -> RunReport:
    """The whole job, without Prefect."""
    start = time.monotonic()
    async with prepared(config, warn) as run_prepared:
        run, on_shard = await on_terms(run_prepared, settings), on_prepared(run_prepared)
        summaries: list[ShardSummary] = []
        if run.has_work:
            async with open_executor(config.execution, settings) as pool, serving(run, pool) as executor:
                run = await check_models(run, executor, warn)
                playing = play_all(run, executor, on_shard)
                summaries = await watched(playing, executor, config.execution.stall_minutes, on_status)
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
        purse=run.terms.purse,
        cache=run.terms.cache,
        episodes=shard.episodes,
        scenarios={episode.scenario_id: by_id[episode.scenario_id] for episode in shard.episodes},
    )
