"""The ledger of a budget: costs and reservations of every worker, and the decision which requests are granted."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from muses_eval.pipeline.config.budget import Budget
from muses_eval.workers.budget.cost import Cost, is_used_up, total
from muses_eval.workers.budget.cost_history import NO_HISTORY, CostHistory, CostHistoryByCell
from muses_eval.workers.budget.protocol import (
    BudgetSpec,
    HeldCost,
    ReservationReply,
    ReservationRequest,
    WorkerReport,
)

SILENCE_S = 60.0
"""Seconds without a report after which a worker is lost; its reservations then count as spent."""
RECOVERY_S = 15.0
"""Seconds within which every living worker reports at least once."""
_FORGOTTEN_S = 24 * 3600.0
"""Seconds without reports after which a ledger is dropped, when another one is opened."""


@dataclass(slots=True)
class _WorkerEntry:
    """One worker in the ledger."""

    spent: Cost
    held: tuple[HeldCost, ...]
    learned: CostHistoryByCell
    reported_at: float


class BudgetLedger:
    """The ledger of one start of a run or sweep.  Not thread-safe."""

    def __init__(self, spec: BudgetSpec) -> None:
        self._cap, self._before = spec.cap, spec.before
        self._earlier = spec.earlier
        self._entries: dict[str, _WorkerEntry] = {}
        self._closed_cells: set[str] = set()

    @property
    def closed(self) -> bool:
        """True when nothing is left of the budget."""
        return is_used_up(self._cap, self.spent)

    @property
    def spent(self) -> Cost:
        """Cost of this start and all earlier ones."""
        return self._before + total(entry.spent for entry in self._entries.values())

    @property
    def held(self) -> Cost:
        """Cost reserved for episodes in flight, over all workers."""
        return total(share.cost for entry in self._entries.values() for share in entry.held)

    def history(self, cell: str) -> CostHistory:
        """Returns the costs of finished episodes of the cell, over all workers."""
        return sum((entry.learned[cell] for entry in self._entries.values() if cell in entry.learned), NO_HISTORY)

    @property
    def experience(self) -> CostHistory:
        """Costs of all finished episodes, over all workers and starts."""
        learned = (history for entry in self._entries.values() for history in entry.learned.values())
        return sum(learned, self._earlier)

    @property
    def last_report_at(self) -> float:
        """Time of the last report of any worker; minus infinity before the first one."""
        return max((entry.reported_at for entry in self._entries.values()), default=-math.inf)

    def update(self, report: WorkerReport, now: float, *, grants: bool = True) -> ReservationReply:
        """Takes in a worker's report and grants the requests that fit.

        Args:
            report: from any worker.
            now: seconds on any monotonic clock.
            grants: False while the ledger only collects reports.
        """
        self._count_lost_workers(now)
        self._entries[report.worker] = _WorkerEntry(report.spent, report.held, report.learned, now)
        granted, refused = self._grant(report.requests) if grants else ((None,) * len(report.requests), frozenset())
        held = (HeldCost(request.cell, cost) for request, cost in zip(report.requests, granted, strict=True) if cost)
        self._entries[report.worker].held += tuple(held)
        return ReservationReply(granted, self.closed, refused)

    def _grant(self, requests: Sequence[ReservationRequest]) -> tuple[tuple[Cost | None, ...], frozenset[str]]:
        """Grants in order; returns the reservations and the cells that are refused.

        After a request that waits for room, none of the later ones is granted.  A cell closes when its next episode
        does not fit beside the spent amount alone, so that none of its cheaper episodes is played in its place.
        """
        spent, held, experience = self.spent, self.held, self.experience
        recent = {request.cell: self.history(request.cell) for request in requests}
        scouted = {share.cell for entry in self._entries.values() for share in entry.held}
        granted: list[Cost | None] = []
        doubtful: set[str] = set()
        waits = self.closed
        for cell, expected, earlier in requests:
            known = earlier + recent[cell]
            need, grant = known.correct(expected), False
            if waits or cell in self._closed_cells or (not known.episodes and cell in scouted):
                pass
            elif (spent + need).within(self._cap):
                grant = (spent + held + need).within(self._cap)
                waits = not grant
            elif known.episodes:
                self._closed_cells.add(cell)
            elif (spent + experience.scale(expected)).within(self._cap):
                # The rules of thumb may be far too high: one episode is played alone, with all that is left.
                need = need.up_to(self._cap, spent)
                grant, waits = held == Cost(), True
            else:
                doubtful.add(cell)
            if grant:
                scouted.add(cell)
                held += need
            granted.append(need if grant else None)
        # Episodes in flight may show that the rules of thumb are too high for the doubtful cells as well.
        return tuple(granted), frozenset(self._closed_cells | (doubtful if held == Cost() else set()))

    def _count_lost_workers(self, now: float) -> None:
        for entry in self._entries.values():
            if now - entry.reported_at > SILENCE_S:
                entry.spent, entry.held = entry.spent + total(share.cost for share in entry.held), ()


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """Status of a budget, for metrics."""

    name: str
    """Name of the run or sweep."""
    cap: Budget
    spent: Cost
    held: Cost


class BudgetLedgers:
    """The ledgers of all runs and sweeps that share one coordinator.

    *listen_until*: time on the clock of :meth:`update` before which nothing is granted: a coordinator that replaces a
    lost one first needs the reports of all workers.
    """

    def __init__(self, listen_until: float = -math.inf) -> None:
        self._ledgers: dict[str, BudgetLedger] = {}
        self._listen_until = listen_until

    def update(self, spec: BudgetSpec, report: WorkerReport, now: float) -> ReservationReply:
        """Passes a report to the budget's ledger, which is created when it is first needed."""
        if spec.id not in self._ledgers:
            self._ledgers = {
                name: ledger for name, ledger in self._ledgers.items() if now - ledger.last_report_at < _FORGOTTEN_S
            }
            self._ledgers[spec.id] = BudgetLedger(spec)
        return self._ledgers[spec.id].update(report, now, grants=now >= self._listen_until)

    def status(self, spec: BudgetSpec) -> BudgetStatus:
        """Returns the status of a budget that has been updated at least once."""
        ledger = self._ledgers[spec.id]
        return BudgetStatus(spec.id.partition("/")[0], spec.cap, ledger.spent, ledger.held)
