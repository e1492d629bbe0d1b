"""A sweep: the runs of a grid, each the main job of :mod:`flows.job.evaluate`, on one executor.

Several runs are in flight at the same time.  They share the accounts' limits, and the servers of the models that the
sweep serves itself.  What fails in one run stops no other.  Runs are named after their values, so a sweep that is
started again plays only what is not scored yet.  A budget is that of all runs together.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import duckdb

from dashboards.sweep import SweepLine
from flows.job.evaluate import DIRECT, NOBODY, Driver, Watcher, evaluate
from flows.job.prepare import Warn, load_dataset, plan_run
from flows.job.report import RunReport
from flows.job.run_budget import Funds, Ledger, open_purse, read_ledger
from flows.job.serving import served_agents, served_users
from flows.job.shared_pool import SharedPool
from flows.settings import Settings
from pipeline.config.dataset import DatasetSpec
from pipeline.config.model import ModelSpec
from pipeline.config.run import RunConfig
from pipeline.datasets import Dataset
from pipeline.errors import MusesError
from pipeline.grid import SweepRun
from pipeline.plan import Plan
from pipeline.tasks import all_of
from pipeline.usage import sum_or_none
from storage.objects.open_store import open_store
from storage.query.resilient_query import answer
from storage.runs.cell_results import CellResult, cell_results
from storage.runs.shards import read_index
from workers.purse import PurseSpec

RUNS_AT_ONCE = 16
"""More are not prepared at the same time: each has its plan and its scenarios in memory."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One run of a sweep with all that it would play."""

    label: str
    config: RunConfig
    dataset: Dataset
    plan: Plan


def planned_runs(runs: Iterable[SweepRun]) -> Iterator[PlannedRun]:
    """The runs, one after the other; what several of them play is loaded once.

    Raises:
        ConfigError, DatasetError: a run cannot be planned.
    """
    loaded: dict[tuple[DatasetSpec, tuple[str, ...]], Dataset] = {}
    for run in runs:
        key = (run.config.dataset, run.config.families)
        dataset = loaded[key] = loaded.get(key) or load_dataset(run.config)
        yield PlannedRun(run.label, run.config, dataset, plan_run(run.config, dataset))


@dataclass(frozen=True, slots=True)
class SweptRun:
    """What came of one run of a sweep."""

    label: str
    """Its values, for people."""
    run_id: str
    cells: tuple[CellResult, ...]
    """All starts together, as it is stored."""
    coverage: float
    """Share of a cell's episodes that has to be scored."""
    report: RunReport | None
    """None: it ended early."""
    trouble: str | None
    """Why it ended early."""

    def is_complete(self, cell: CellResult) -> bool:
        return cell.scored >= self.coverage * cell.planned

    @property
    def complete(self) -> bool:
        return all(map(self.is_complete, self.cells))


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What came of a sweep."""

    name: str
    store: str
    runs: tuple[SweptRun, ...]
    seconds: float
    """Of this start."""

    @property
    def complete(self) -> bool:
        return all(run.complete for run in self.runs)

    @property
    def lines(self) -> list[SweepLine]:
        """All cells, in the order of the grid."""
        return [SweepLine(run.label, cell, run.is_complete(cell)) for run in self.runs for cell in run.cells]

    @property
    def budget_reached(self) -> bool:
        """Whether episodes of any run were not played because of its budget."""
        return any(run.report.budget_reached for run in self.runs if run.report is not None)

    @property
    def cost_usd(self) -> float | None:
        """Of all attempts of all runs; None when that of one is unknown."""
        return sum_or_none(None if run.report is None else run.report.cost_usd for run in self.runs)


@dataclass(frozen=True, slots=True)
class _Order:
    """A run that is about to be played; less than its plan, since a sweep has many."""

    label: str
    config: RunConfig
    run_id: str
    planned: Mapping[tuple[str, str], int]
    agents: tuple[ModelSpec, ...]
    """Those that the sweep serves itself."""
    users: tuple[ModelSpec, ...]
    """The same of the model that plays users."""
    ledger: Ledger
    """What earlier starts have left on the budget."""


async def sweep(
    name: str, runs: Sequence[SweepRun], settings: Settings, watcher: Watcher = NOBODY, driver: Driver = DIRECT
) -> SweepReport:
    """The whole job.

    Raises:
        MusesError: a run cannot be planned, what one has spent of a budget cannot be read, or all of them ended early
            for the same reason.
    """
    start = time.monotonic()
    orders = await asyncio.to_thread(_orders, runs)
    watcher = replace(watcher, warn=_once(watcher.warn))
    seats = asyncio.Semaphore(RUNS_AT_ONCE)
    errors: list[MusesError] = []
    async with SharedPool(driver.open_pool) as pool:
        for order in orders:
            pool.expect(order.agents, order.users)
        shared, purse = replace(driver, open_pool=pool.lend), _purse(name, orders)
        closed = False

        async def play(order: _Order) -> SweptRun:
            nonlocal closed
            async with seats:
                funds = None if purse is None else Funds(purse, order.ledger.learned, closed)
                try:
                    report = await evaluate(order.config, settings, watcher, replace(shared, funds=funds))
                    closed = closed or report.budget_reached
                    return await _swept(order, report)
                except MusesError as error:
                    errors.append(error)
                    return await _swept(order, str(error))
                except Exception as error:  # noqa: BLE001 - a defect in one run stops no other either
                    _LOG.exception("run %s ended early", order.run_id)
                    return await _swept(order, f"{type(error).__name__}: {error}")

        swept = await all_of(map(play, orders))
    if len(errors) == len(swept) and len(set(map(str, errors))) == 1:
        raise errors[0]
    store = open_store(orders[0].config.store).url
    return SweepReport(name, store, tuple(swept), time.monotonic() - start)


def _orders(runs: Iterable[SweepRun]) -> list[_Order]:
    return [
        _Order(
            run.label,
            run.config,
            run.plan.run_id,
            run.plan.planned,
            tuple(served_agents(run.plan)),
            served_users(run.plan),
            _ledger(run),
        )
        for run in planned_runs(runs)
    ]


def _ledger(run: PlannedRun) -> Ledger:
    if run.config.budget is None:
        return Ledger()
    store = open_store(run.config.store)
    return read_ledger(run.plan, run.dataset, store, read_index(store, run.plan.run_id))


def _purse(name: str, orders: Sequence[_Order]) -> PurseSpec | None:
    """The budget of all runs together; a grid does not vary it."""
    budget = orders[0].config.budget
    return None if budget is None else open_purse(name, budget, (order.ledger.before for order in orders))


async def _swept(order: _Order, came: RunReport | str) -> SweptRun:
    """What is stored of a run, whether it ended with a report or with trouble."""
    try:
        found = await asyncio.to_thread(_stored, order)
    except (MusesError, duckdb.Error) as error:
        found, came = [CellResult(order.run_id, *cell, n, {}, None) for cell, n in order.planned.items()], str(error)
    report, trouble = (None, came) if isinstance(came, str) else (came, None)
    return SweptRun(order.label, order.run_id, tuple(found), order.config.coverage, report, trouble)


def _stored(order: _Order) -> list[CellResult]:
    return answer(
        order.config.store, lambda connection: cell_results(connection, order.run_id, order.planned), order.run_id
    ).value


def _once(warn: Warn) -> Warn:
    """Says the same thing once, however many runs have it to say."""
    said: set[str] = set()

    def say(text: str) -> None:
        if text not in said:
            said.add(text)
            warn(text)

    return say
