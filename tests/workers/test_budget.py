"""Workers share a budget: they reserve before an episode, settle after it, and stop when no reservation fits."""

import asyncio
import random
from collections.abc import Callable

import pytest
from muses_eval.pipeline.config.budget import Budget
from muses_eval.pipeline.episode.call_usage import CallUsage
from muses_eval.workers.budget import (
    NO_HISTORY,
    RECOVERY_S,
    SILENCE_S,
    BudgetClient,
    BudgetLedger,
    BudgetSpec,
    Cost,
    CostHistory,
    HeldCost,
    Reservation,
    ReservationReply,
    ReservationRequest,
    WorkerReport,
)
from muses_eval.workers.coordinator.coordinator import Coordinator, LocalCoordinator


def tokens(count: float) -> Cost:
    return Cost(tokens=count)


KNOWN = CostHistory(tokens(10), tokens(10))


def used(count: int) -> CallUsage:
    return CallUsage(calls=1, prompt_tokens=count)


def ledger(cap: int, before: int = 0) -> BudgetLedger:
    return BudgetLedger(BudgetSpec("run", Budget(tokens=cap), tokens(before)))


def request(amount: float, earlier: CostHistory = KNOWN) -> ReservationRequest:
    return ReservationRequest("cell", tokens(amount), earlier)


def says(worker: str, spent: float, held: float, *requests: float) -> WorkerReport:
    holding = (HeldCost("cell", tokens(held)),) if held else ()
    return WorkerReport(worker, tokens(spent), holding, {}, tuple(request(want) for want in requests))


def answered(answer: ReservationReply) -> tuple[int, bool]:
    return sum(cost is not None for cost in answer.granted), answer.closed


# The ledger


def test_what_is_reserved_counts_for_everybody() -> None:
    books = ledger(100)
    assert answered(books.update(says("a", 0, 0, 60), 0)) == (1, False)
    assert answered(books.update(says("b", 0, 0, 30, 30), 0)) == (1, False)
    assert answered(books.update(says("b", 0, 30, 30), 1)) == (0, False)  # a worker may use less than it holds
    assert answered(books.update(says("a", 20, 0), 2)) == (0, False)
    assert answered(books.update(says("b", 0, 30, 30), 3)) == (1, False)
    assert (books.spent, books.held) == (tokens(20), tokens(60))


def test_who_waits_lets_nobody_pass() -> None:
    """No later request passes one that waits, so the expensive scenarios of a cell are played as well."""
    books = ledger(100)
    books.update(says("a", 0, 0, 60), 0)
    assert books.update(says("b", 0, 0, 50, 5, 200), 0) == ReservationReply((None, None, None), closed=False)


def test_a_cell_closes_when_nothing_can_make_room_any_more_and_stays_closed() -> None:
    """Its cheaper episodes do not replace the one that does not fit; other cells use what is left."""
    books = ledger(100, before=30)
    assert answered(books.update(says("a", 0, 0, 60), 0)) == (1, False)
    assert books.update(says("a", 60, 0, 11, 1), 1) == ReservationReply((None, None), False, frozenset({"cell"}))
    other = ReservationRequest("other", tokens(10), KNOWN)
    reply = books.update(WorkerReport("b", Cost(), requests=(request(1), other)), 2)
    assert reply == ReservationReply((None, tokens(10)), False, frozenset({"cell"}))
    assert answered(books.update(WorkerReport("b", tokens(10), requests=(other,)), 3)) == (0, True)


def test_one_episode_of_an_unknown_cell_may_show_that_its_estimate_is_too_high() -> None:
    """It is played alone, with all that is left, when finished episodes of other cells suggest that it fits."""
    new = ReservationRequest("new", tokens(200))
    books = ledger(100)
    holding = WorkerReport("a", Cost(), (HeldCost("cell", tokens(10)),), {}, (new, request(1)))
    assert books.update(holding, 0) == ReservationReply((None, None), closed=False)
    learned = {"cell": CostHistory(tokens(10), tokens(4))}
    finished = WorkerReport("a", tokens(4), (), learned, (new, new, request(1)))
    assert books.update(finished, 1) == ReservationReply((tokens(96), None, None), closed=False)


def test_an_estimate_far_above_the_budget_is_refused_when_nothing_is_in_flight() -> None:
    new = ReservationRequest("new", tokens(301))
    books = ledger(100)
    assert books.update(WorkerReport("a", Cost(), (HeldCost("cell", tokens(10)),), {}, (new,)), 0).refused == set()
    assert books.update(WorkerReport("a", Cost(), (), {}, (new,)), 1).refused == {"new"}
    assert books.update(WorkerReport("a", Cost(), (), {}, (new._replace(expected=tokens(299)),)), 2).granted[0]


def test_both_currencies_count() -> None:
    books = BudgetLedger(BudgetSpec("run", Budget(usd=1.0, tokens=100)))
    wants = (ReservationRequest("cell", Cost(0.5, 10), KNOWN), ReservationRequest("cell", Cost(0.6, 10), KNOWN))
    assert answered(books.update(WorkerReport("a", Cost(), requests=wants), 0)) == (1, False)
    assert answered(
        books.update(WorkerReport("a", Cost(0.9, 10), requests=(ReservationRequest("cell", Cost(0.05, 91), KNOWN),)), 0)
    ) == (0, False)
    assert answered(books.update(WorkerReport("a", Cost(1.0, 10), requests=wants), 0)) == (0, True)


def test_a_report_may_arrive_twice_and_at_a_new_ledger() -> None:
    """A new coordinator recovers its whole state from the next reports, even when a report arrives twice."""
    learned = {"new": CostHistory(tokens(1), tokens(3))}
    for books in (ledger(100), ledger(100)):
        for _ in range(2):
            books.update(WorkerReport("a", tokens(40), (HeldCost("new", tokens(20)),), learned), 0)
        assert (books.spent, books.held) == (tokens(40), tokens(20))
        assert books.history("new") == learned["new"]


def test_what_one_worker_has_learned_holds_for_all() -> None:
    books = ledger(1_000)
    books.update(WorkerReport("a", tokens(0), learned={"cell": CostHistory(tokens(10), tokens(40))}), 0)
    (granted,) = books.update(says("b", 0, 0, 10), 0).granted
    assert granted == tokens(10 * 50 / 20)


def test_of_an_unknown_cell_one_episode_goes_ahead_of_all_workers() -> None:
    books = ledger(1_000)
    wants = (new := ReservationRequest("new", tokens(1)), new, request(1), ReservationRequest("newer", tokens(1)))
    assert answered(books.update(WorkerReport("a", Cost(), requests=wants), 0)) == (3, False)
    assert answered(books.update(WorkerReport("b", Cost(), requests=wants[:1]), 0)) == (0, False)
    learned = {"new": CostHistory(tokens(1), tokens(2))}
    books.update(WorkerReport("a", tokens(2), learned=learned), 0)
    assert books.update(WorkerReport("b", Cost(), requests=wants[:2]), 0).granted == (tokens(2), tokens(2))


def test_what_a_lost_worker_held_counts_as_spent() -> None:
    books = ledger(100)
    books.update(says("lost", 10, 0, 50), 0)
    books.update(says("other", 0, 0), SILENCE_S + 1)
    assert (books.spent, books.held) == (tokens(60), Cost())
    books.update(says("lost", 30, 0), SILENCE_S + 2)  # the worker was only slow
    assert books.spent == tokens(30)


# CostHistory


def test_experience_corrects_what_is_expected() -> None:
    known = CostHistory(Cost(1.0, 100), Cost(2.0, 50)) + CostHistory(Cost(1.0, 100), Cost(2.0, 50))
    assert known.correct(Cost(3.0, 200)) == Cost(6.0, 100)
    assert NO_HISTORY.correct(Cost(3.0, 10)) == Cost(3.0, 10)


def test_nothing_is_reserved_for_less_than_the_average() -> None:
    """A long and cheap first scenario does not let too many short ones begin at once."""
    known = CostHistory(tokens(100), tokens(50))
    assert known.correct(tokens(10)) == tokens(50)


# Clients


class Run:
    """Episodes of several workers on one budget; *cost* gives the cost of each."""

    def __init__(self, cap: int, cost: Callable[[], int], before: int = 0) -> None:
        self.coordinator = Coordinator()
        self.spec = BudgetSpec("run", Budget(tokens=cap), tokens(before))
        self.cost = cost
        self.spent = before
        self.in_flight = self.most_in_flight = 0
        self.played = self.stopped = 0

    def client(self, name: str) -> BudgetClient:
        return BudgetClient(LocalCoordinator(self.coordinator), self.spec, name)

    async def episode(self, client: BudgetClient, cell: str = "cell", expected: float = 10) -> None:
        reservation = await client.reserve(ReservationRequest(cell, tokens(expected)))
        if reservation is None:
            self.stopped += 1
            return
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        for _ in range(random.Random(self.played).randrange(1, 5)):
            await asyncio.sleep(0)
        amount = self.cost()
        self.spent += amount
        self.in_flight -= 1
        self.played += 1
        client.settle(reservation, used(amount), finished=True)


async def play(run: Run, workers: int, episodes: int) -> None:
    clients = [run.client(str(index)) for index in range(workers)]
    async with asyncio.timeout(30):
        await asyncio.gather(*(run.episode(client) for client in clients for _ in range(episodes)))


@pytest.mark.parametrize("workers", [1, 4])
def test_equal_episodes_never_pass_the_cap(workers: int) -> None:
    """The first episode corrects an estimate that was ten times too low; nearly all of the cap is used."""
    run = Run(cap=2_050, cost=lambda: 100)
    asyncio.run(play(run, workers, 60))
    assert run.played + run.stopped == workers * 60
    assert run.spent == run.played * 100 == 2_000


def test_uneven_episodes_pass_it_by_less_than_what_was_in_flight() -> None:
    for seed in range(4):
        dice = random.Random(seed)
        run = Run(cap=3_000, cost=lambda dice=dice: dice.randrange(1, 200))
        asyncio.run(play(run, 3, 40))
        assert run.stopped
        assert run.spent <= 3_000 + 200 * run.most_in_flight
        assert run.spent > 2_500


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("estimates", [(1_000, 12_000), (12_000, 1_000), (15_000, 29_000), (10, 10), (100, 9_000)])
def test_estimates_that_are_far_off_leave_little_of_the_budget(estimates: tuple[int, int], workers: int) -> None:
    """Episodes of 120 tokens each are played until 10,000 are used, also when one was expected to use all of it."""
    run = Run(cap=10_000, cost=lambda: 120)

    async def play_both() -> None:
        clients = [run.client(str(index)) for index in range(workers)]
        episodes = [
            (client, *cell) for client in clients for cell in zip("ab", estimates, strict=True) for _ in range(60)
        ]
        async with asyncio.timeout(30):
            await asyncio.gather(*(run.episode(*each) for each in episodes))

    asyncio.run(play_both())
    assert 9_760 <= run.spent <= 10_000


def test_the_next_ones_wait_for_the_first_of_a_cell() -> None:
    async def count() -> tuple[int, int]:
        run = Run(cap=10_000, cost=lambda: 5)
        client = run.client("a")
        first = await client.reserve(request(10, NO_HISTORY))
        waiting = [asyncio.create_task(client.reserve(request(10, NO_HISTORY))) for _ in range(5)]
        other = await client.reserve(ReservationRequest("another", tokens(10)))
        assert first is not None
        assert other is not None
        early = sum(task.done() for task in waiting)
        client.settle(first, used(5), finished=True)
        async with asyncio.timeout(10):
            held = await asyncio.gather(*waiting)
        return early, sum(round(reservation.held.tokens) for reservation in held if reservation)

    assert asyncio.run(count()) == (0, 5 * 5)


def test_what_earlier_starts_have_learned_saves_that_wait() -> None:
    async def together() -> int:
        run, known = Run(cap=1_000, cost=lambda: 5), CostHistory(tokens(10), tokens(100))
        client = run.client("a")
        async with asyncio.timeout(10):
            held = await asyncio.gather(*(client.reserve(request(10, known)) for _ in range(5)))
        return sum(round(reservation.held.tokens) for reservation in held if reservation)

    assert asyncio.run(together()) == 500


def test_unknown_usage_counts_as_reserved() -> None:
    async def spend() -> Cost:
        run = Run(cap=1_000, cost=lambda: 0)
        client = run.client("a")
        reservation = await client.reserve(request(10, NO_HISTORY))
        assert reservation is not None
        client.settle(reservation, CallUsage(calls=1, prompt_tokens=3, uncounted=1), finished=True)
        await client._report()
        return run.coordinator._ledgers._ledgers["run"].spent

    assert asyncio.run(spend()) == tokens(10)


def test_kept_answers_cost_nothing_and_do_not_make_the_next_episodes_free() -> None:
    async def spend() -> tuple[Cost, Cost]:
        run = Run(cap=1_000, cost=lambda: 0)
        client = run.client("a")
        first = await client.reserve(request(10, NO_HISTORY))
        assert first is not None
        client.settle(first, CallUsage(), finished=True, kept=used(50))
        second = await client.reserve(request(10, NO_HISTORY))
        assert second is not None
        return run.coordinator._ledgers._ledgers["run"].spent, second.held

    assert asyncio.run(spend()) == (Cost(), tokens(50))


def test_a_cancelled_request_gives_back_what_it_got() -> None:
    """The reservation is returned, whether cancelled before, during or after the call to the coordinator."""

    class Far(LocalCoordinator):
        async def update_budget(self, budget: BudgetSpec, report: WorkerReport) -> ReservationReply:
            answer = await super().update_budget(budget, report)
            await asyncio.sleep(0)
            return answer

    async def cancel(moment: int) -> tuple[Cost, Cost]:
        run = Run(cap=100, cost=lambda: 0)
        client = BudgetClient(Far(run.coordinator), run.spec, "a")
        asking = asyncio.create_task(client.reserve(request(10)))
        for _ in range(moment):
            await asyncio.sleep(0)
        asking.cancel()
        (got,) = await asyncio.gather(asking, return_exceptions=True)
        if isinstance(got, Reservation):  # the reservation was made before the cancellation
            client.settle(got, CallUsage(), finished=False)
        async with asyncio.timeout(10):
            assert await client.reserve(request(100))  # fits only when nothing else is held
        books = run.coordinator._ledgers._ledgers["run"]
        return books.spent, books.held

    for moment in range(8):
        assert asyncio.run(cancel(moment)) == (Cost(), tokens(100))


def test_a_coordinator_that_replaces_a_lost_one_listens_before_it_grants() -> None:
    now = 0.0
    coordinator = Coordinator(lambda: now, recovery_s=1.0)
    spec = BudgetSpec("run", Budget(tokens=100))
    assert answered(coordinator.update_budget(spec, says("a", 0, 0, 60))) == (0, False)
    coordinator.update_budget(spec, says("b", 50, 0))  # spent before the coordinator was lost
    now = RECOVERY_S
    assert coordinator.update_budget(spec, says("a", 0, 0, 60)).refused == {"cell"}


def test_a_coordinator_out_of_reach_is_heard_of() -> None:
    class Gone(LocalCoordinator):
        async def update_budget(self, budget: BudgetSpec, report: WorkerReport) -> ReservationReply:
            raise ConnectionError("gone")

    async def ask() -> None:
        client = BudgetClient(Gone(), BudgetSpec("run", Budget(tokens=1)), "a")
        async with asyncio.timeout(10):
            await client.reserve(request(1))

    with pytest.raises(ConnectionError):
        asyncio.run(ask())
