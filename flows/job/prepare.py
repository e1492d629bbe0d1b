"""Prepares a run: loads its dataset, makes its plan, takes its lock, and subtracts the scored episodes."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from muses_eval.flows.agents.load_agents import LoadedAgent, load_agents, specs, store_code
from muses_eval.flows.data.dataset_check import explain_problems
from muses_eval.flows.installation import CHECKOUT
from muses_eval.flows.job.async_run_lock import hold_run_lock_async
from muses_eval.flows.job.execution_context import ExecutionContext, read_context
from muses_eval.flows.job.load_protocol import load_protocol
from muses_eval.flows.job.provenance import code_state, package_versions, provenance_record
from muses_eval.flows.job.run_budget import RunBudget
from muses_eval.flows.job.run_pace import RunPace
from muses_eval.flows.settings import Settings
from muses_eval.pipeline.agents.agent_spec import AgentSpec
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.datasets.briefing_check import summarize_gaps
from muses_eval.pipeline.datasets.dataset import Dataset, dataset_from_rows, generate_dataset
from muses_eval.pipeline.errors import ConfigError, DatasetError
from muses_eval.pipeline.families import FAMILIES
from muses_eval.pipeline.families.family import is_multi_turn
from muses_eval.pipeline.name_match import near_names
from muses_eval.pipeline.plan.plan import Cell, Plan, make_plan
from muses_eval.pipeline.retirement import retirement_notices
from muses_eval.pipeline.text.credential_masking import mask_json
from muses_eval.storage.objects.dataset_files import read_rows
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.manifest import RunManifest, create_or_check, reopen, update_manifest, with_current_schema
from muses_eval.storage.runs.run_lock import RunLock
from muses_eval.storage.runs.shards import RunIndex, read_index
from muses_eval.workers.play.executor import Executor
from muses_eval.workers.play.shard_summary import ShardSummary
from muses_eval.workers.providers.model import Unavailable

Warn = Callable[[str], None]
"""Called at once with a warning that a person should see while the run continues."""
log_warning: Warn = logging.getLogger(__name__).warning
"""The warning sink when there is no observer."""


@dataclass(frozen=True, slots=True)
class PreparedRun:
    """A run that is about to be played."""

    config: RunConfig
    dataset: Dataset
    store: ObjectStore
    plan: Plan
    """All episodes of the run."""
    pending: Plan
    """The plan's episodes that have no score yet."""
    index: RunIndex
    """Content of the store when the run was prepared."""
    unplayable: Mapping[str, Unavailable] = field(default_factory=dict)
    """Name on the leaderboard -> why it cannot be played: its model or its service cannot be called."""
    context: ExecutionContext = ExecutionContext()
    lock: RunLock | None = None
    """The run lock that this process holds; None when no lock is needed."""
    pace: RunPace = field(default_factory=RunPace, compare=False)
    """Progress of this start."""

    @property
    def has_work(self) -> bool:
        """True when episodes are pending and the budget allows to play some."""
        return bool(self.pending.episode_count) and not self.context.used_up

    @property
    def episodes_done(self) -> int:
        """Number of episodes that were scored when the run was prepared."""
        return self.plan.episode_count - self.plan.without(self.index.scored).episode_count

    @property
    def cells_to_play(self) -> tuple[Cell, ...]:
        return tuple(cell for cell in self.pending.cells if cell.entry not in self.unplayable)


OnShard = Callable[[ShardSummary], None]
"""Called after each stored shard."""
Play = Callable[[PreparedRun, Executor, OnShard], Coroutine[Any, Any, list[ShardSummary]]]
"""Plays the pending episodes of a run."""


def load_dataset(config: RunConfig) -> Dataset:
    """Loads or generates the scenarios of a run.

    Raises:
        DatasetError: rows are invalid, or a file cannot be read.
        ConfigError: the dataset has no scenarios of a requested family.
    """
    spec = config.dataset
    families = config.families or None
    if spec.path is None:
        dataset = generate_dataset(spec.size, spec.seed, families, spec.most_users)
    else:
        rows = read_rows(spec.path)
        try:
            dataset = dataset_from_rows(spec.name, rows, families)
        except DatasetError as error:
            raise explain_problems(spec.path, families, error) from error
    if not dataset.families and not config.families:
        raise DatasetError(spec.name, "no rows; expected one scenario per line")
    for family in config.families:
        if not dataset.scenarios(family):
            there = ", ".join(dataset.families) or "none"
            raise ConfigError(f"dataset {spec.name!r} has no scenarios of {family!r}; it has: {there}")
    return dataset


def plan_run(config: RunConfig, dataset: Dataset, agents: Sequence[LoadedAgent] | None = None) -> Plan:
    """Makes the plan of a run with all of its episodes.

    *agents* are those of the config; None loads them.

    Raises:
        ConfigError, DatasetError: the run's protocol or its agents cannot be loaded.
        MusesError: the protocol does not have a family of the run.
    """
    loaded = load_agents(config) if agents is None else agents
    request = config.request(_families_with(config, dataset), load_protocol(config), specs(loaded))
    for family in request.families:
        for scenario in dataset.scenarios(family)[:1]:
            request.protocol.dialogue(FAMILIES[family], scenario, scenario.template)
    return make_plan(request, dataset, config.execution.shard_size, config.run_id)


def _families_with(config: RunConfig, dataset: Dataset) -> tuple[str, ...]:
    """Returns the families of the dataset, or those that have one of the scenarios that the config names.

    Raises:
        ConfigError: the dataset has no such scenario; the message offers similar ids.
    """
    if not config.scenarios:
        return dataset.families
    families = config.families or dataset.families
    known = {family: [scenario.id for scenario in dataset.scenarios(family)] for family in families}
    every = [scenario_id for ids in known.values() for scenario_id in ids]
    for wanted in config.scenarios:
        if wanted not in every:
            near = near_names(wanted, every)
            hint = f"did you mean {', '.join(near)}?" if near else f"its ids look like {', '.join(every[:2])};"
            raise ConfigError(
                f"dataset {dataset.name!r} has no scenario {wanted!r} in {', '.join(families)}; {hint} "
                "`muses data show` lists all"
            )
    return tuple(family for family, ids in known.items() if not set(ids).isdisjoint(config.scenarios))


@asynccontextmanager
async def open_run(
    config: RunConfig, warn: Warn = log_warning, work: str = "muses run", again: frozenset[str] = frozenset()
) -> AsyncIterator[PreparedRun]:
    """Prepares a run and holds its lock until the end of the block.

    Calls to the store run in threads, so that signals are handled meanwhile.  *again*: scored episodes that are pending
    nevertheless.

    Raises:
        RunLockedError: another process holds the lock.
    """
    opened = await asyncio.to_thread(_open, config)
    async with hold_run_lock_async(opened.store, opened.plan.run_id, work) as lock:
        run = replace(await asyncio.to_thread(_resume, opened, again), lock=lock)
        for key, problem in run.index.damaged.items():
            warn(f"store {run.store.url}: {key}: {problem}; its episodes are played again")
        for notice in retirement_notices(called_models(run.pending), datetime.now(UTC).date()):
            warn(notice)
        for gap in summarize_gaps(run.pending, run.dataset):
            warn(gap)
        yield run


def prepare_without_lock(config: RunConfig) -> PreparedRun:
    """Prepares a run without its lock.  Only for callers that have the store to themselves; others use `open_run`."""
    return _resume(_open(config))


@dataclass(frozen=True, slots=True)
class _Opened:
    config: RunConfig
    dataset: Dataset
    agents: tuple[LoadedAgent, ...]
    store: ObjectStore
    plan: Plan
    manifest: RunManifest


def _open(config: RunConfig) -> _Opened:
    dataset = load_dataset(config)
    agents = load_agents(config)
    plan = plan_run(config, dataset, agents)
    store = open_store(config.store)
    _check(store)
    manifest = _manifest(config, plan, dataset, agents)
    create_or_check(store, manifest)
    return _Opened(config, dataset, agents, store, plan, manifest)


def _check(store: ObjectStore) -> None:
    """Checks the store, and before anything is played, that DuckDB and Polars can read it, too."""
    store.check()
    if store.url.startswith("s3:"):
        from muses_eval.storage.query.reader_check import check_rerouted_readers

        check_rerouted_readers(store)


def _resume(opened: _Opened, again: frozenset[str] = frozenset()) -> PreparedRun:
    store, plan = opened.store, opened.plan
    create_or_check(store, opened.manifest)  # again: the run may have been deleted before the lock was acquired
    store_code(store, opened.agents)  # after the manifest, which protects it from garbage collection
    index = read_index(store, plan.run_id)
    pending = plan.without(index.scored - again)
    if pending.episode_count and (index.sealed or index.damaged):
        reopen(store, plan.run_id)
    elif pending.episode_count:
        update_manifest(store, plan.run_id, with_current_schema)
    return PreparedRun(opened.config, opened.dataset, store, plan, pending, index)


async def with_context(run: PreparedRun, settings: Settings, budget: RunBudget | None = None) -> PreparedRun:
    """Returns the run with its budget and cache; *budget* is shared with other runs, None: that of the config."""
    return replace(run, context=await asyncio.to_thread(read_context, run, settings.home, budget))


def _manifest(config: RunConfig, plan: Plan, dataset: Dataset, agents: Sequence[LoadedAgent]) -> RunManifest:
    code = code_state(CHECKOUT)
    entries = {cell.entry: cell for cell in plan.cells}
    return RunManifest(
        run_id=plan.run_id,
        created_at=datetime.now(UTC),
        config=mask_json(config.model_dump(mode="json")),
        dataset=plan.dataset,
        dataset_version=plan.dataset_version,
        planned=plan.planned,
        models=mask_json(
            {
                name: {
                    "provider": cell.model.provider,
                    "model": cell.model.model,
                    "sampling": asdict(cell.model.sampling),
                    # Part of the episode ids.
                    **({} if cell.model.engine is None else {"engine": json.loads(cell.model.engine.args)}),
                    **({} if cell.model.system_role == "send" else {"system_role": cell.model.system_role}),
                    **({} if cell.agent.is_chat else {"base_model": cell.model.name, "agent": _agent(cell.agent)}),
                }
                for name, cell in entries.items()
            }
        ),
        users=mask_json(plan.users.name),
        protocol=plan.protocol.name,
        templates=config.templates,
        epochs=config.epochs,
        limit=config.limit,
        versions=package_versions(agent.distribution for agent in agents if agent.distribution),
        commit=code.commit,
        dirty=code.dirty,
        made_with=mask_json(provenance_record(plan, dataset.versions, code, CHECKOUT)),
    )


def _agent(agent: AgentSpec) -> dict[str, object]:
    """Returns what decides the replies of an agent; its limits are in the provenance, since they may be raised."""
    identity = {**asdict(agent), "options": json.loads(agent.options)}
    return {name: value for name, value in identity.items() if value and name not in ("turn_timeout_s", "max_calls")}


def called_models(plan: Plan) -> tuple[ModelSpec, ...]:
    """Returns the models that a plan calls: its agents, and the users' model if any."""
    users = users_model(plan)
    agents = dict.fromkeys(cell.model for cell in plan.cells)
    return (*agents, *(() if users is None else (users,)))


def users_model(plan: Plan) -> ModelSpec | None:
    """Returns the model that plays the users; None when no cell of the plan calls it."""
    return plan.users.model if any(is_multi_turn(FAMILIES[cell.family]) for cell in plan.cells) else None
