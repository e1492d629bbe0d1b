"""Who plays next: a worker's places, handed out so that no group of shards keeps another one waiting.

A run hands in all its shards at once.  Served first come, first served, a thousand shards of a slow API would stand
before the first one of a model on GPUs that cost money while they wait.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

Place = TypeVar("Place")


class Room(Generic[Place]):
    """Places that are taken one at a time; of the groups that wait, the one that holds the fewest gets the next.

    Used from one event loop.
    """

    def __init__(self, places: Iterable[Place] = ()) -> None:
        self._free = deque(places)
        self._held: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[Place]]] = {}

    @asynccontextmanager
    async def place(self, group: str) -> AsyncIterator[Place]:
        """Waits for a place and gives it back at the end."""
        place = await self.take(group)
        try:
            yield place
        finally:
            self.give_back(group)
            self.add(place)

    async def take(self, group: str) -> Place:
        """Waits for a place, which is held for *group* until :meth:`give_back` and :meth:`add`."""
        if self._free:  # whoever waits is handed what gets free, so a free place means that nobody waits
            self._held[group] += 1
            return self._free.popleft()
        turn: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(group, deque()).append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # handed over in the same moment
                self.give_back(group)
                self.add(turn.result())
            raise

    def give_back(self, group: str) -> None:
        """The group holds one place less; the place itself comes back by :meth:`add`, perhaps later."""
        self._held[group] -= 1

    def add(self, place: Place) -> None:
        """A place is free, or new."""
        for group in sorted(self._waiting, key=lambda name: self._held[name]):
            turn = self._next(group)
            if turn is not None:
                self._held[group] += 1
                turn.set_result(place)
                return
        self._free.append(place)

    def _next(self, group: str) -> "asyncio.Future[Place] | None":
        waiting = self._waiting[group]
        while waiting:
            turn = waiting.popleft()
            if not turn.cancelled():
                return turn
        del self._waiting[group]
        return None
