"""A worker's client of a budget: reserves before an episode, settles after it, and reports to the ledger."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from muses_eval.pipeline.episode.call_usage import CallUsage
from muses_eval.workers.budget.cost import Cost
from muses_eval.workers.budget.cost_history import NO_HISTORY, CostHistory
from muses_eval.workers.budget.protocol import (
    BudgetSpec,
    HeldCost,
    ReservationReply,
    ReservationRequest,
    WorkerReport,
)

_KEEP_ALIVE_S = 10.0
"""Seconds between two reports while nothing changes."""
_ASK_AGAIN_S = 0.25
"""Seconds between two reports while an episode waits for its reservation."""


class BudgetCoordinator(Protocol):
    """The part of the coordinator's client that budgets need."""

    async def update_budget(self, budget: BudgetSpec, report: WorkerReport) -> ReservationReply:
        """See :meth:`muses_eval.workers.budget.ledger.BudgetLedgers.update`."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Reservation:
    """The cost that is reserved for one episode in flight."""

    cell: str
    expected: Cost
    """Expected cost, from the estimates of the plan."""
    held: Cost


_NOTHING = CallUsage()


def _settled_cost(used: CallUsage, held: Cost) -> Cost:
    """Returns the cost that was used; at least the reserved cost when a part of the usage is unknown."""
    return Cost(
        max(used.usd, held.usd) if used.unpriced else used.usd,
        max(used.tokens, held.tokens) if used.uncounted else used.tokens,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    request: ReservationRequest
    turn: "asyncio.Future[Reservation | None]"


class BudgetClient:
    """A worker's client of one budget; used from one event loop.

    Args:
        coordinator: client of the coordinator, which keeps the ledger.
        budget: the budget from which episodes are paid.
        worker: a name that no other process has or had.
    """

    def __init__(self, coordinator: BudgetCoordinator, budget: BudgetSpec, worker: str) -> None:
        self._coordinator, self._budget, self._worker = coordinator, budget, worker
        self._learned: dict[str, CostHistory] = {}
        self._waiting: list[_Waiting] = []
        self._open: set[Reservation] = set()
        self._spent = Cost()
        self._closed = False
        self._changed = asyncio.Event()
        self._reporting: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Ends the reports."""
        if self._reporting is not None:
            self._reporting.cancel()
            await asyncio.wait([self._reporting])

    async def reserve(self, request: ReservationRequest) -> Reservation | None:
        """Waits until an episode may be played; returns None when the budget is used up."""
        if self._closed:
            return None
        turn: asyncio.Future[Reservation | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(request, turn))
        self._report_soon()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # granted in the same moment
                granted = turn.result()
                if granted is not None:
                    self._give_back(granted)
            raise

    def settle(self, reservation: Reservation, used: CallUsage, *, finished: bool, kept: CallUsage = _NOTHING) -> None:
        """Releases a reservation and counts the usage.

        When a part of the usage is unknown, the reserved amount counts.

        Args:
            reservation: from :meth:`reserve`; settled once.
            used: usage that the episode was billed for.
            finished: True when the episode was played to its end, so that similar costs are expected of its cell.
            kept: usage that responses from the cache would have had.  They cost nothing, but the next episodes may
                have to call the model.
        """
        cell, held = reservation.cell, reservation.held
        self._spent += _settled_cost(used, held)
        if finished:
            worth = _settled_cost(used + kept, held)
            self._learned[cell] = self._learned.get(cell, NO_HISTORY) + CostHistory(reservation.expected, worth)
        self._give_back(reservation)

    def _give_back(self, reservation: Reservation) -> None:
        self._open.remove(reservation)
        self._report_soon()

    def _report_soon(self) -> None:
        self._changed.set()
        if self._reporting is None or self._reporting.done():
            self._reporting = asyncio.create_task(self._keep_reporting())

    async def _keep_reporting(self) -> None:
        """Reports after every change, and otherwise at intervals, for a ledger that was replaced."""
        try:
            while True:
                self._changed.clear()
                await self._report()
                await _wait_for(self._changed, _ASK_AGAIN_S if self._waiting else _KEEP_ALIVE_S)
        except Exception as error:  # noqa: BLE001 - passed on to every caller of reserve()
            for turn in self._take_turns():
                turn.set_exception(error)

    async def _report(self) -> None:
        self._waiting = [each for each in self._waiting if not each.turn.done()]
        waiting = tuple(self._waiting)
        report = WorkerReport(
            worker=self._worker,
            spent=self._spent,
            held=tuple(HeldCost(reservation.cell, reservation.held) for reservation in self._open),
            learned=dict(self._learned),
            requests=tuple(each.request for each in waiting),
        )
        reply = await self._coordinator.update_budget(self._budget, report)
        for each, cost in zip(waiting, reply.granted, strict=True):
            if cost is not None:
                self._grant(each, cost)
        self._closed = self._closed or reply.closed
        for each in self._waiting:
            if not each.turn.done() and (reply.closed or each.request.cell in reply.refused):
                each.turn.set_result(None)

    def _grant(self, waiting: _Waiting, cost: Cost) -> None:
        if waiting.turn.done():  # cancelled during the request; the next report gives the cost back
            self._changed.set()
            return
        self._waiting.remove(waiting)
        reservation = Reservation(waiting.request.cell, waiting.request.expected, cost)
        self._open.add(reservation)
        waiting.turn.set_result(reservation)

    def _take_turns(self) -> "list[asyncio.Future[Reservation | None]]":
        """Removes and returns all futures that are still awaited."""
        taken = [each.turn for each in self._waiting if not each.turn.done()]
        self._waiting.clear()
        return taken


async def _wait_for(event: asyncio.Event, at_most_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(at_most_s):
            await event.wait()
