"""Who plays next: places, handed out so that no group of shards keeps another one waiting.

A run hands in all its shards at once.  Served first come, first served, a thousand shards of a slow API would stand
before the first one of a model on GPUs that cost money while they wait.
"""

import asyncio
from collections import Counter, deque
from typing import Generic, TypeVar

Place = TypeVar("Place")


class Room(Generic[Place]):
    """Places that are taken one at a time; of the groups that wait, the one that holds the fewest gets the next.

    Of those that hold as many, it is the one whose turn was longest ago.  Within a group the first comes first.  Used
    from one event loop.
    """

    def __init__(self) -> None:
        self._free: deque[Place] = deque()
        self._held: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[Place]]] = {}
        """Who had a turn last stands last."""

    async def take(self, group: str) -> Place:
        """Waits for a place; *group* holds it until :meth:`leave`."""
        if self._free:  # whoever waits is handed what gets free, so a free place means that nobody waits
            self._held[group] += 1
            return self._free.popleft()
        turn: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(group, deque()).append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # handed over in the same moment
                self.leave(group)
                self.add(turn.result())
            raise

    def leave(self, group: str) -> None:
        """*group* holds one place less; the place itself comes back by :meth:`add`, perhaps later."""
        self._held[group] -= 1
        if not self._held[group]:
            del self._held[group]

    def add(self, place: Place) -> None:
        """A place is free, or new."""
        for group in sorted(self._waiting, key=lambda name: self._held[name]):
            turn = self._next(group)
            if turn is not None:
                self._held[group] += 1
                self._waiting[group] = self._waiting.pop(group)
                turn.set_result(place)
                return
        self._free.append(place)

    def _next(self, group: str) -> "asyncio.Future[Place] | None":
        """Who of a group is first; None: nobody waits any more."""
        waiting = self._waiting[group]
        while waiting:
            turn = waiting.popleft()
            if not turn.cancelled():
                return turn
        del self._waiting[group]
        return None
