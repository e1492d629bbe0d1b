"""A sweep: the runs of a grid, each evaluated by :mod:`muses_eval.flows.job.evaluate`, on one executor.

Several runs are played at the same time.  They share the limits of the accounts, and the servers of models that the
sweep serves.  A failure in one run does not stop the others.  Runs are named after their values, so a second start of
a sweep plays only the pending episodes.  The budget applies to all runs together.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import duckdb
from muses_eval.dashboards.tables.sweep import SweepRow
from muses_eval.dashboards.tables.sweep_scores import ScoredRun
from muses_eval.flows.agents.load_agents import LoadedAgent, load_agents
from muses_eval.flows.job.evaluate import DIRECT, NO_OBSERVER, Driver, RunObserver, evaluate
from muses_eval.flows.job.prepare import Warn, load_dataset, plan_run
from muses_eval.flows.job.report import RunReport
from muses_eval.flows.job.run_budget import RunBudget, SpendingHistory, open_budget, read_spending_history
from muses_eval.flows.job.serving import served_agents, served_users
from muses_eval.flows.job.shared_executor import SharedExecutor
from muses_eval.flows.settings import Settings
from muses_eval.pipeline.async_utils import gather_all
from muses_eval.pipeline.config.agent_config import AgentConfig
from muses_eval.pipeline.config.dataset import DatasetSpec
from muses_eval.pipeline.config.grid import SweepRun
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.datasets.dataset import Dataset
from muses_eval.pipeline.episode.call_usage import sum_or_none
from muses_eval.pipeline.errors import MusesError
from muses_eval.pipeline.plan.plan import Plan
from muses_eval.pipeline.protocols import ProtocolName
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.query.resilient_query import resilient_query
from muses_eval.storage.runs.cell_results import CellResult, cell_results
from muses_eval.storage.runs.shards import read_index
from muses_eval.workers.budget import BudgetSpec

RUNS_AT_ONCE = 16
"""Maximum number of concurrent runs; each has its plan and its scenarios in memory."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One run of a sweep with its dataset and its plan."""

    label: str
    config: RunConfig
    dataset: Dataset
    plan: Plan
    agents: tuple[LoadedAgent, ...]


def plan_runs(runs: Iterable[SweepRun]) -> Iterator[PlannedRun]:
    """Plans the runs one after the other; a dataset or the agents of several runs are loaded once.

    Raises:
        ConfigError, DatasetError: a run cannot be planned.
    """
    loaded: dict[tuple[DatasetSpec, tuple[str, ...]], Dataset] = {}
    checked: dict[tuple[AgentConfig, ...], tuple[LoadedAgent, ...]] = {}
    for run in runs:
        key = (run.config.dataset, run.config.families)
        dataset = loaded[key] = loaded.get(key) or load_dataset(run.config)
        agents = checked[run.config.agents] = checked.get(run.config.agents) or load_agents(run.config)
        yield PlannedRun(run.label, run.config, dataset, plan_run(run.config, dataset, agents), agents)


@dataclass(frozen=True, slots=True)
class SweepRunResult:
    """The result of one run of a sweep."""

    label: str
    """Readable values of the run."""
    run_id: str
    protocol: ProtocolName
    cells: tuple[CellResult, ...]
    """Stored results of all starts."""
    coverage: float
    """Share of the episodes of a cell that has to be scored."""
    report: RunReport | None
    """Report of the run; None when it ended early."""
    error: str | None
    """Error with which the run ended early; None when it did not."""

    def is_complete(self, cell: CellResult) -> bool:
        return cell.scored >= self.coverage * cell.planned

    @property
    def complete(self) -> bool:
        return all(map(self.is_complete, self.cells))


@dataclass(frozen=True, slots=True)
class SweepReport:
    """The result of a sweep."""

    name: str
    store: str
    runs: tuple[SweepRunResult, ...]
    seconds: float
    """Duration of this start."""

    @property
    def complete(self) -> bool:
        return all(run.complete for run in self.runs)

    @property
    def all_unusable(self) -> bool:
        """True when too many replies of every model of a run are unusable, in any run."""
        return any(run.report.all_unusable for run in self.runs if run.report is not None)

    @property
    def lines(self) -> list[SweepRow]:
        """Results of all cells, in the order of the grid."""
        return [
            SweepRow(run.label, run.protocol, cell, run.is_complete(cell)) for run in self.runs for cell in run.cells
        ]

    @property
    def scores(self) -> list[ScoredRun]:
        """Leaderboards of all runs, in the order of the grid; a run that ended early has no rows."""
        return [ScoredRun(run.label, run.run_id, () if run.report is None else run.report.rows) for run in self.runs]

    @property
    def budget_reached(self) -> bool:
        """True when episodes of any run were not played because of the budget."""
        return any(run.report.budget_reached for run in self.runs if run.report is not None)

    @property
    def cost_usd(self) -> float | None:
        """Cost of all attempts of all runs; None when the cost of one is unknown."""
        return sum_or_none(None if run.report is None else run.report.cost_usd for run in self.runs)


@dataclass(frozen=True, slots=True)
class _QueuedRun:
    """A run that waits to be played, without its plan, which is too large to keep for every run of a sweep."""

    label: str
    config: RunConfig
    run_id: str
    planned: Mapping[tuple[str, str], int]
    agents: tuple[ModelSpec, ...]
    """Agents that the sweep serves."""
    users: tuple[ModelSpec, ...]
    """Users' model when the sweep serves it."""
    history: SpendingHistory
    """Spending of earlier starts."""


async def sweep(
    name: str,
    runs: Sequence[SweepRun],
    settings: Settings,
    observer: RunObserver = NO_OBSERVER,
    driver: Driver = DIRECT,
) -> SweepReport:
    """Evaluates all runs of a sweep.

    Raises:
        MusesError: a run cannot be planned, the spending of a run cannot be read, or all runs ended early with the
            same error.
    """
    start = time.monotonic()
    queue = await asyncio.to_thread(_queue, runs)
    observer = replace(observer, warn=_once(observer.warn))
    slots = asyncio.Semaphore(RUNS_AT_ONCE)
    errors: list[MusesError] = []
    async with SharedExecutor(driver.open_executor) as pool:
        for queued in queue:
            pool.expect(queued.agents, queued.users)
        shared, shared_budget = replace(driver, open_executor=pool.share), _shared_budget(name, queue)
        closed = False

        async def play(queued: _QueuedRun) -> SweepRunResult:
            nonlocal closed
            async with slots:
                budget = None if shared_budget is None else RunBudget(shared_budget, queued.history, closed)
                try:
                    report = await evaluate(queued.config, settings, observer, replace(shared, budget=budget))
                    closed = closed or report.budget_reached
                    return await _result_of(queued, report)
                except MusesError as error:
                    errors.append(error)
                    return await _result_of(queued, str(error))
                except Exception as error:  # noqa: BLE001 - an error in one run must not stop the others
                    _LOG.exception("run %s ended early", queued.run_id)
                    return await _result_of(queued, f"{type(error).__name__}: {error}")

        results = await gather_all(map(play, queue))
    if len(errors) == len(results) and len(set(map(str, errors))) == 1:
        raise errors[0]
    store = open_store(queue[0].config.store).url
    return SweepReport(name, store, tuple(results), time.monotonic() - start)


def _queue(runs: Iterable[SweepRun]) -> list[_QueuedRun]:
    return [
        _QueuedRun(
            run.label,
            run.config,
            run.plan.run_id,
            run.plan.planned,
            tuple(served_agents(run.plan)),
            served_users(run.plan),
            _spending_history(run),
        )
        for run in plan_runs(runs)
    ]


def _spending_history(run: PlannedRun) -> SpendingHistory:
    if run.config.budget is None:
        return SpendingHistory()
    store = open_store(run.config.store)
    return read_spending_history(run.plan, run.dataset, store, read_index(store, run.plan.run_id))


def _shared_budget(name: str, queue: Sequence[_QueuedRun]) -> BudgetSpec | None:
    """Returns the budget of all runs together; a grid cannot vary it."""
    budget = queue[0].config.budget
    return None if budget is None else open_budget(name, budget, [queued.history for queued in queue])


async def _result_of(queued: _QueuedRun, came: RunReport | str) -> SweepRunResult:
    """Reads the stored results of a run that ended with a report, or early with an error message."""
    try:
        found = await asyncio.to_thread(_stored, queued)
    except (MusesError, duckdb.Error) as error:
        found, came = [CellResult(queued.run_id, *cell, n, {}, None) for cell, n in queued.planned.items()], str(error)
    report, failure = (None, came) if isinstance(came, str) else (came, None)
    return SweepRunResult(
        queued.label, queued.run_id, queued.config.protocol, tuple(found), queued.config.coverage, report, failure
    )


def _stored(queued: _QueuedRun) -> list[CellResult]:
    return resilient_query(
        queued.config.store, lambda connection: cell_results(connection, queued.run_id, queued.planned), queued.run_id
    ).value


def _once(warn: Warn) -> Warn:
    """Returns a function that passes each distinct warning on once, although several runs issue it."""
    said: set[str] = set()

    def say(text: str) -> None:
        if text not in said:
            said.add(text)
            warn(text)

    return say
