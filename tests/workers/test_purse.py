"""A budget is kept by all workers together: reserved before, settled after, closed when nothing fits any more."""

import asyncio
import random
from collections.abc import Callable

import pytest

from pipeline.config.budget import Budget
from pipeline.usage import Usage
from workers.keeper import Keeper, LocalKeeper
from workers.purse import (
    RESTATED_S,
    SILENCE_S,
    UNKNOWN,
    Bill,
    Experience,
    Purse,
    PurseAnswer,
    PurseSpec,
    Reservation,
    Share,
    Statement,
    Wallet,
    Wish,
)


def tokens(count: float) -> Bill:
    return Bill(tokens=count)


KNOWN = Experience(tokens(10), tokens(10))


def used(count: int) -> Usage:
    return Usage(calls=1, prompt_tokens=count)


def purse(cap: int, before: int = 0) -> Purse:
    return Purse(PurseSpec("run", Budget(tokens=cap), tokens(before)))


def wish(amount: float, earlier: Experience = KNOWN) -> Wish:
    return Wish("cell", tokens(amount), earlier)


def says(worker: str, spent: float, held: float, *wanted: float) -> Statement:
    holding = (Share("cell", tokens(held)),) if held else ()
    return Statement(worker, tokens(spent), holding, {}, tuple(wish(want) for want in wanted))


def answered(answer: PurseAnswer) -> tuple[int, bool]:
    return sum(bill is not None for bill in answer.granted), answer.closed


# The purse


def test_what_is_reserved_counts_for_everybody() -> None:
    book = purse(100)
    assert answered(book.take(says("a", 0, 0, 60), 0)) == (1, False)
    assert answered(book.take(says("b", 0, 0, 30, 30), 0)) == (1, False)
    assert answered(book.take(says("b", 0, 30, 30), 1)) == (0, False)  # a may use less than it holds
    assert answered(book.take(says("a", 20, 0), 2)) == (0, False)
    assert answered(book.take(says("b", 0, 30, 30), 3)) == (1, False)
    assert (book.spent, book.held) == (tokens(20), tokens(60))


def test_who_waits_lets_nobody_pass() -> None:
    """Otherwise the cheap scenarios of a cell would be played and the dear ones would not."""
    book = purse(100)
    book.take(says("a", 0, 0, 60), 0)
    assert book.take(says("b", 0, 0, 50, 5, 200), 0) == PurseAnswer((None, None, None), closed=False)


def test_it_closes_when_nothing_can_make_room_any_more_and_stays_closed() -> None:
    book = purse(100, before=30)
    assert answered(book.take(says("a", 0, 0, 60), 0)) == (1, False)
    assert answered(book.take(says("a", 60, 0, 11, 1), 1)) == (0, True)
    assert answered(book.take(says("b", 0, 0, 1), 2)) == (0, True)


def test_both_currencies_count() -> None:
    book = Purse(PurseSpec("run", Budget(usd=1.0, tokens=100)))
    wants = (Wish("cell", Bill(0.5, 10), KNOWN), Wish("cell", Bill(0.6, 10), KNOWN))
    assert answered(book.take(Statement("a", Bill(), wanted=wants), 0)) == (1, False)
    assert answered(book.take(Statement("a", Bill(0.9, 10), wanted=(Wish("cell", Bill(0.05, 91)),)), 0)) == (0, True)


def test_a_statement_may_be_said_twice_and_to_a_new_purse() -> None:
    """A keeper that is lost and made anew learns everything from the next statements."""
    learned = {"new": Experience(tokens(1), tokens(3))}
    for book in (purse(100), purse(100)):
        for _ in range(2):
            book.take(Statement("a", tokens(40), (Share("new", tokens(20)),), learned), 0)
        assert (book.spent, book.held) == (tokens(40), tokens(20))
        assert book.experience("new") == learned["new"]


def test_what_one_worker_has_learned_holds_for_all() -> None:
    book = purse(1_000)
    book.take(Statement("a", tokens(0), learned={"cell": Experience(tokens(10), tokens(40))}), 0)
    (granted,) = book.take(says("b", 0, 0, 10), 0).granted
    assert granted == tokens(10 * 50 / 20)


def test_of_an_unknown_cell_one_episode_goes_ahead_of_all_workers() -> None:
    book = purse(1_000)
    wants = (new := Wish("new", tokens(1)), new, wish(1), Wish("newer", tokens(1)))
    assert answered(book.take(Statement("a", Bill(), wanted=wants), 0)) == (3, False)
    assert answered(book.take(Statement("b", Bill(), wanted=wants[:1]), 0)) == (0, False)
    learned = {"new": Experience(tokens(1), tokens(2))}
    book.take(Statement("a", tokens(2), learned=learned), 0)
    assert book.take(Statement("b", Bill(), wanted=wants[:2]), 0).granted == (tokens(2), tokens(2))


def test_what_a_lost_worker_held_counts_as_spent() -> None:
    book = purse(100)
    book.take(says("lost", 10, 0, 50), 0)
    book.take(says("other", 0, 0), SILENCE_S + 1)
    assert (book.spent, book.held) == (tokens(60), Bill())
    book.take(says("lost", 30, 0), SILENCE_S + 2)  # it was only slow
    assert book.spent == tokens(30)


# Experience


def test_experience_corrects_what_is_expected() -> None:
    known = Experience(Bill(1.0, 100), Bill(2.0, 50)) + Experience(Bill(1.0, 100), Bill(2.0, 50))
    assert known.correct(Bill(3.0, 200)) == Bill(6.0, 100)
    assert UNKNOWN.correct(Bill(3.0, 10)) == Bill(3.0, 10)


def test_nothing_is_reserved_for_less_than_the_average() -> None:
    """A first scenario that is long and cheap would let too many short ones begin at once."""
    known = Experience(tokens(100), tokens(50))
    assert known.correct(tokens(10)) == tokens(50)


# Wallets


class Run:
    """Episodes of several workers on one budget, each using what *cost* says."""

    def __init__(self, cap: int, cost: Callable[[], int], before: int = 0) -> None:
        self.keeper = Keeper()
        self.spec = PurseSpec("run", Budget(tokens=cap), tokens(before))
        self.cost = cost
        self.spent = before
        self.in_flight = self.most_in_flight = 0
        self.played = self.stopped = 0

    def wallet(self, name: str) -> Wallet:
        return Wallet(LocalKeeper(self.keeper), self.spec, name)

    async def episode(self, wallet: Wallet) -> None:
        reservation = await wallet.reserve(wish(10, UNKNOWN))
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
        wallet.settle(reservation, used(amount), finished=True)


async def play(run: Run, workers: int, episodes: int) -> None:
    wallets = [run.wallet(str(index)) for index in range(workers)]
    async with asyncio.timeout(30):
        await asyncio.gather(*(run.episode(wallet) for wallet in wallets for _ in range(episodes)))


@pytest.mark.parametrize("workers", [1, 4])
def test_equal_episodes_never_pass_the_cap(workers: int) -> None:
    """After the first one their cost is known, though ten times what was expected; nearly all of the cap is used."""
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


def test_the_next_ones_wait_for_the_first_of_a_cell() -> None:
    async def count() -> tuple[int, int]:
        run = Run(cap=10_000, cost=lambda: 5)
        wallet = run.wallet("a")
        first = await wallet.reserve(wish(10, UNKNOWN))
        waiting = [asyncio.create_task(wallet.reserve(wish(10, UNKNOWN))) for _ in range(5)]
        other = await wallet.reserve(Wish("another", tokens(10)))
        assert first is not None
        assert other is not None
        early = sum(task.done() for task in waiting)
        wallet.settle(first, used(5), finished=True)
        async with asyncio.timeout(10):
            held = await asyncio.gather(*waiting)
        return early, sum(round(reservation.held.tokens) for reservation in held if reservation)

    assert asyncio.run(count()) == (0, 5 * 5)


def test_what_earlier_starts_have_learned_saves_that_wait() -> None:
    async def together() -> int:
        run, known = Run(cap=1_000, cost=lambda: 5), Experience(tokens(10), tokens(100))
        wallet = run.wallet("a")
        async with asyncio.timeout(10):
            held = await asyncio.gather(*(wallet.reserve(wish(10, known)) for _ in range(5)))
        return sum(round(reservation.held.tokens) for reservation in held if reservation)

    assert asyncio.run(together()) == 500


def test_what_is_not_told_counts_as_it_was_held() -> None:
    async def spend() -> Bill:
        run = Run(cap=1_000, cost=lambda: 0)
        wallet = run.wallet("a")
        reservation = await wallet.reserve(wish(10, UNKNOWN))
        assert reservation is not None
        wallet.settle(reservation, Usage(calls=1, prompt_tokens=3, uncounted=1), finished=True)
        await wallet._ask()
        return run.keeper._purses._purses["run"].spent

    assert asyncio.run(spend()) == tokens(10)


def test_kept_answers_cost_nothing_and_do_not_make_the_next_episodes_free() -> None:
    async def spend() -> tuple[Bill, Bill]:
        run = Run(cap=1_000, cost=lambda: 0)
        wallet = run.wallet("a")
        first = await wallet.reserve(wish(10, UNKNOWN))
        assert first is not None
        wallet.settle(first, Usage(), finished=True, kept=used(50))
        second = await wallet.reserve(wish(10, UNKNOWN))
        assert second is not None
        return run.keeper._purses._purses["run"].spent, second.held

    assert asyncio.run(spend()) == (Bill(), tokens(50))


def test_a_wish_that_is_cancelled_gives_back_what_it_got() -> None:
    """At whatever moment it is cancelled: before, while and after the purse is asked."""

    class Far(LocalKeeper):
        async def settle(self, purse: PurseSpec, statement: Statement) -> PurseAnswer:
            answer = await super().settle(purse, statement)
            await asyncio.sleep(0)
            return answer

    async def cancel(moment: int) -> tuple[Bill, Bill]:
        run = Run(cap=100, cost=lambda: 0)
        wallet = Wallet(Far(run.keeper), run.spec, "a")
        asking = asyncio.create_task(wallet.reserve(wish(10)))
        for _ in range(moment):
            await asyncio.sleep(0)
        asking.cancel()
        (got,) = await asyncio.gather(asking, return_exceptions=True)
        if isinstance(got, Reservation):  # too late
            wallet.settle(got, Usage(), finished=False)
        async with asyncio.timeout(10):
            assert await wallet.reserve(wish(100))  # there is room when nothing else is held
        book = run.keeper._purses._purses["run"]
        return book.spent, book.held

    for moment in range(8):
        assert asyncio.run(cancel(moment)) == (Bill(), tokens(100))


def test_a_keeper_that_replaces_a_lost_one_listens_before_it_grants() -> None:
    now = 0.0
    keeper = Keeper(lambda: now, settle_s=1.0)
    spec = PurseSpec("run", Budget(tokens=100))
    assert answered(keeper.settle(spec, says("a", 0, 0, 60))) == (0, False)
    keeper.settle(spec, says("b", 50, 0))  # what it had spent before the keeper was lost
    now = RESTATED_S
    assert answered(keeper.settle(spec, says("a", 0, 0, 60))) == (0, True)


def test_a_keeper_out_of_reach_is_heard_of() -> None:
    class Gone(LocalKeeper):
        async def settle(self, purse: PurseSpec, statement: Statement) -> PurseAnswer:
            raise ConnectionError("gone")

    async def ask() -> None:
        wallet = Wallet(Gone(), PurseSpec("run", Budget(tokens=1)), "a")
        async with asyncio.timeout(10):
            await wallet.reserve(wish(1))

    with pytest.raises(ConnectionError):
        asyncio.run(ask())
