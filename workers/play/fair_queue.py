"""A queue that hands out resources so that no group of tasks starves another.

A run submits all its shards at once.  In plain arrival order, a thousand shards of a slow API would come before the
first shard of a model on GPUs, which cost money while they wait.
"""

import asyncio
from collections import Counter, deque
from typing import Generic, TypeVar

Resource = TypeVar("Resource")


class FairQueue(Generic[Resource]):
    """Gives each free resource to the waiting group that holds the fewest.

    Among groups that hold equally many, the one whose last turn is longest ago comes first.  Within a group, the first
    to wait is served first.  Used from one event loop.
    """

    def __init__(self) -> None:
        self._free: deque[Resource] = deque()
        self._held: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[Resource]]] = {}
        """Waiting groups in the order of their turns; the group that had the last turn is last."""

    async def acquire(self, group: str) -> Resource:
        """Waits for a resource, which *group* holds until :meth:`release`."""
        if self._free:  # freed resources go to waiting groups first, so no group waits while one is free
            self._held[group] += 1
            return self._free.popleft()
        turn: asyncio.Future[Resource] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(group, deque()).append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # handed over in the same moment
                self.release(group)
                self.add(turn.result())
            raise

    def release(self, group: str) -> None:
        """Counts one resource less for *group*; the resource itself is returned with :meth:`add`, possibly later."""
        self._held[group] -= 1
        if not self._held[group]:
            del self._held[group]

    def add(self, resource: Resource) -> None:
        """Adds a resource that is free again, or new."""
        for group in sorted(self._waiting, key=lambda name: self._held[name]):
            turn = self._next(group)
            if turn is not None:
                self._held[group] += 1
                self._waiting[group] = self._waiting.pop(group)
                turn.set_result(resource)
                return
        self._free.append(resource)

    def _next(self, group: str) -> "asyncio.Future[Resource] | None":
        """Removes and returns the first waiter of a group; None when none is left."""
        waiting = self._waiting[group]
        while waiting:
            turn = waiting.popleft()
            if not turn.cancelled():
                return turn
        del self._waiting[group]
        return None
