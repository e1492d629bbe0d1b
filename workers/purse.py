"""A budget, shared by all workers: an episode is reserved before it is played and settled afterwards.

It is a run's, or that of all runs of a sweep together.  :class:`Purse` is the account, a plain object that one place of
the cluster keeps.  Each worker process has one :class:`Wallet` for it.  It tells the purse what it has spent since it
started, what it holds for episodes in flight, what finished ones have used and what the next ones want, and learns
which of these may start.  Statements are sums, not changes: one that is said twice, or to a purse that has just been
made anew, is as good as one.

What an episode wants is what its scenario is expected to use, corrected by what finished episodes of its run's cell
have used, in this start and, as the wish says, in earlier ones.  Of a cell of which nothing is known yet, one episode
is played before the others.  When the next episode fits under the cap no longer, whatever those in flight turn out to
use, the purse is closed for good: episodes in flight are finished, no others are begun.
"""

import asyncio
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from pipeline.config.budget import Budget
from pipeline.config.model import ModelSpec
from pipeline.config.users import UsersSpec
from pipeline.estimate import Load
from pipeline.usage import Usage

SILENCE_S = 60.0
"""A worker that has said nothing for so long is gone; what it held counts as spent."""
RESTATED_S = 15.0
"""Within so long every worker that is there has made its statement again."""
_KEEP_ALIVE_S = 10.0
_ASK_AGAIN_S = 0.25
_FORGOTTEN_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Bill:
    """An amount in both currencies of a budget."""

    usd: float = 0.0
    tokens: float = 0.0

    @classmethod
    def of(cls, load: Load, model: ModelSpec, users: UsersSpec) -> "Bill":
        """What a load costs.  A price that is not known matters to no cap: a config refuses a cap in USD then."""
        usd = load.usd(model, users)
        return cls(0.0 if math.isnan(usd) else usd, load.tokens)

    def __add__(self, other: "Bill") -> "Bill":
        return Bill(self.usd + other.usd, self.tokens + other.tokens)

    def within(self, cap: Budget) -> bool:
        return self.usd <= _or_inf(cap.usd) and self.tokens <= _or_inf(cap.tokens)


def _or_inf(most: float | None) -> float:
    return math.inf if most is None else most


def total(bills: Iterable[Bill]) -> Bill:
    return sum(bills, Bill())


@dataclass(frozen=True, slots=True)
class Experience:
    """What finished episodes of a cell used, beside what had been expected of them."""

    expected: Bill = Bill()
    used: Bill = Bill()
    episodes: int = 1

    def __add__(self, other: "Experience") -> "Experience":
        return Experience(self.expected + other.expected, self.used + other.used, self.episodes + other.episodes)

    def correct(self, expected: Bill) -> Bill:
        """What to reserve for an episode in the light of this."""
        return Bill(
            _careful(expected.usd, self.expected.usd, self.used.usd, self.episodes),
            _careful(expected.tokens, self.expected.tokens, self.used.tokens, self.episodes),
        )


UNKNOWN = Experience(episodes=0)


def _careful(expected: float, all_expected: float, all_used: float, episodes: int) -> float:
    """In proportion to what was expected of the finished ones, and no less than these used on average."""
    if not episodes:
        return expected
    ratio = all_used / all_expected if all_expected > 0 else 1.0
    return max(expected * ratio, all_used / episodes)


Learned = Mapping[str, Experience]
"""By cell."""


@dataclass(frozen=True, slots=True)
class PurseSpec:
    """What a worker has to know of a budget."""

    id: str
    """Of one start of one run or sweep: its name, and after a slash what tells its starts apart."""
    cap: Budget
    before: Bill = Bill()
    """Spent by earlier starts."""

    @property
    def used_up(self) -> bool:
        """Whether earlier starts have left nothing."""
        return self.before.usd >= _or_inf(self.cap.usd) or self.before.tokens >= _or_inf(self.cap.tokens)


def purse_cell(run_id: str, model: ModelSpec, family: str) -> str:
    """The name of a cell in a purse's book."""
    return f"{run_id}/{model.slug}/{family}"


class Share(NamedTuple):
    """What is held for one episode of a cell."""

    cell: str
    bill: Bill


class Wish(NamedTuple):
    """What the next episode of a cell wants."""

    cell: str
    expected: Bill
    """By the rules of thumb."""
    earlier: Experience = UNKNOWN
    """What earlier starts have learned of the cell."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What a worker says of itself."""

    worker: str
    """One process from its start to its end."""
    spent: Bill
    """Since it started."""
    held: tuple[Share, ...] = ()
    """For episodes in flight."""
    learned: Learned = field(default_factory=dict)
    """From the episodes that it has finished."""
    wanted: tuple[Wish, ...] = ()
    """By the next episodes, in their order."""


@dataclass(frozen=True, slots=True)
class PurseAnswer:
    """What a purse says to a statement."""

    granted: tuple[Bill | None, ...]
    """Of each wish, what is held for it from now; None: not yet."""
    closed: bool
    """Nothing will be granted any more."""


@dataclass(slots=True)
class _Page:
    """One worker in the purse's book."""

    spent: Bill
    held: tuple[Share, ...]
    learned: Learned
    heard: float


class Purse:
    """The account of one start.  Not thread-safe; whoever keeps it calls it from one thread."""

    def __init__(self, spec: PurseSpec) -> None:
        self._cap, self._before = spec.cap, spec.before
        self._pages: dict[str, _Page] = {}
        self.closed = False

    @property
    def spent(self) -> Bill:
        """By this start and all earlier ones."""
        return self._before + total(page.spent for page in self._pages.values())

    @property
    def held(self) -> Bill:
        return total(share.bill for page in self._pages.values() for share in page.held)

    def experience(self, cell: str) -> Experience:
        """What finished episodes of the cell used, with all workers."""
        return sum((page.learned[cell] for page in self._pages.values() if cell in page.learned), UNKNOWN)

    @property
    def heard(self) -> float:
        """When a worker has spoken last."""
        return max((page.heard for page in self._pages.values()), default=-math.inf)

    def take(self, statement: Statement, now: float, *, grants: bool = True) -> PurseAnswer:
        """Takes a worker's statement.

        Args:
            statement: of any worker.
            now: seconds by any clock that goes on.
            grants: False while it only listens.
        """
        self._count_the_silent(now)
        self._pages[statement.worker] = _Page(statement.spent, statement.held, statement.learned, now)
        granted = self._grant(statement.wanted) if grants else (None,) * len(statement.wanted)
        held = (Share(wish.cell, bill) for wish, bill in zip(statement.wanted, granted, strict=True) if bill)
        self._pages[statement.worker].held += tuple(held)
        return PurseAnswer(granted, self.closed)

    def _grant(self, wanted: Sequence[Wish]) -> tuple[Bill | None, ...]:
        """In order: whoever has to wait for others to settle lets nobody pass."""
        spent, held = self.spent, self.held
        lately = {wish.cell: self.experience(wish.cell) for wish in wanted}
        scouted = {share.cell for page in self._pages.values() for share in page.held}
        granted: list[Bill | None] = []
        full = False
        for cell, expected, earlier in wanted:
            known = earlier + lately[cell]
            need = known.correct(expected)
            if self.closed or full or (not known.episodes and cell in scouted):
                granted.append(None)
            elif (spent + held + need).within(self._cap):
                scouted.add(cell)
                held += need
                granted.append(need)
            else:
                full = True
                self.closed = not (spent + need).within(self._cap)
                granted.append(None)
        return tuple(granted)

    def _count_the_silent(self, now: float) -> None:
        for page in self._pages.values():
            if now - page.heard > SILENCE_S:
                page.spent, page.held = page.spent + total(share.bill for share in page.held), ()


@dataclass(frozen=True, slots=True)
class PurseStatus:
    """How a purse stands, for metrics."""

    name: str
    """Of the run, or of the sweep."""
    cap: Budget
    spent: Bill
    held: Bill


class Purses:
    """The purses of all runs and sweeps that use the same keeper.

    *listen_until*: by the clock of :meth:`take`.  Until then nothing is granted: a keeper that replaces a lost one has
    to hear from all workers first.
    """

    def __init__(self, listen_until: float = -math.inf) -> None:
        self._purses: dict[str, Purse] = {}
        self._listen_until = listen_until

    def take(self, spec: PurseSpec, statement: Statement, now: float) -> PurseAnswer:
        """Hands a statement to its purse, which is made when it is first needed."""
        if spec.id not in self._purses:
            self._purses = {name: kept for name, kept in self._purses.items() if now - kept.heard < _FORGOTTEN_S}
            self._purses[spec.id] = Purse(spec)
        return self._purses[spec.id].take(statement, now, grants=now >= self._listen_until)

    def status(self, spec: PurseSpec) -> PurseStatus:
        """Of a purse that a statement was handed to."""
        purse = self._purses[spec.id]
        return PurseStatus(spec.id.partition("/")[0], spec.cap, purse.spent, purse.held)


class PurseKeeper(Protocol):
    """The way to the one place where a run's purse is kept."""

    async def settle(self, purse: PurseSpec, statement: Statement) -> PurseAnswer:
        """See :meth:`Purses.take`."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Reservation:
    """What is held for one episode in flight."""

    cell: str
    expected: Bill
    """By the rules of thumb."""
    held: Bill


_NOTHING = Usage()


def _settled(used: Usage, held: Bill) -> Bill:
    """What was used; at least what was held, where not all of it is known."""
    return Bill(
        max(used.usd, held.usd) if used.unpriced else used.usd,
        max(used.tokens, held.tokens) if used.uncounted else used.tokens,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    wish: Wish
    turn: "asyncio.Future[Reservation | None]"


class Wallet:
    """A worker's side of one budget; used from one event loop.

    Args:
        keeper: where the purse is.
        purse: which one.
        worker: unlike that of any other process, and of any earlier one.
    """

    def __init__(self, keeper: PurseKeeper, purse: PurseSpec, worker: str) -> None:
        self._keeper, self._purse, self._worker = keeper, purse, worker
        self._learned: dict[str, Experience] = {}
        self._waiting: list[_Waiting] = []
        self._open: set[Reservation] = set()
        self._spent = Bill()
        self._closed = False
        self._news = asyncio.Event()
        self._talking: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Says no more."""
        if self._talking is not None:
            self._talking.cancel()
            await asyncio.wait([self._talking])

    async def reserve(self, wish: Wish) -> Reservation | None:
        """Waits until an episode may be played; None: it may not, the budget is used up."""
        if self._closed:
            return None
        turn: asyncio.Future[Reservation | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(wish, turn))
        self._talk()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # granted in the same moment
                granted = turn.result()
                if granted is not None:
                    self._give_back(granted)
            raise

    def settle(self, reservation: Reservation, used: Usage, *, finished: bool, kept: Usage = _NOTHING) -> None:
        """Gives back what was held and counts what was used.

        What is not known of it counts as it was held.  *finished*: whether the episode was played to its end, so that
        the others of its cell can be expected to use as much.  *kept*: what answers out of the response cache would
        have used; it costs nothing, but the next episodes may have to ask.
        """
        cell, held = reservation.cell, reservation.held
        bill = _settled(used, held)
        self._spent += bill
        if finished:
            worth = _settled(used + kept, held)
            self._learned[cell] = self._learned.get(cell, UNKNOWN) + Experience(reservation.expected, worth)
        self._give_back(reservation)

    def _give_back(self, reservation: Reservation) -> None:
        self._open.remove(reservation)
        self._talk()

    def _talk(self) -> None:
        self._news.set()
        if self._talking is None or self._talking.done():
            self._talking = asyncio.create_task(self._converse())

    async def _converse(self) -> None:
        """Speaks with the purse when there is news, and else once in a while: a new one has to learn what is spent."""
        try:
            while True:
                self._news.clear()
                await self._ask()
                await _pass(self._news, _ASK_AGAIN_S if self._waiting else _KEEP_ALIVE_S)
        except Exception as error:  # noqa: BLE001 - whoever waits has to hear of it
            for turn in self._take_turns():
                turn.set_exception(error)

    async def _ask(self) -> None:
        self._waiting = [each for each in self._waiting if not each.turn.done()]
        waiting = tuple(self._waiting)
        statement = Statement(
            worker=self._worker,
            spent=self._spent,
            held=tuple(Share(reservation.cell, reservation.held) for reservation in self._open),
            learned=dict(self._learned),
            wanted=tuple(each.wish for each in waiting),
        )
        answer = await self._keeper.settle(self._purse, statement)
        for each, bill in zip(waiting, answer.granted, strict=True):
            if bill is not None:
                self._grant(each, bill)
        if answer.closed:
            self._closed = True
            for turn in self._take_turns():
                turn.set_result(None)

    def _grant(self, waiting: _Waiting, bill: Bill) -> None:
        if waiting.turn.done():  # cancelled while the purse was asked; the next statement gives it back
            self._news.set()
            return
        self._waiting.remove(waiting)
        reservation = Reservation(waiting.wish.cell, waiting.wish.expected, bill)
        self._open.add(reservation)
        waiting.turn.set_result(reservation)

    def _take_turns(self) -> "list[asyncio.Future[Reservation | None]]":
        """All that are still waited for; none is left."""
        taken = [each.turn for each in self._waiting if not each.turn.done()]
        self._waiting.clear()
        return taken


async def _pass(event: asyncio.Event, seconds: float) -> None:
    """Waits for the event, but not for longer."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
