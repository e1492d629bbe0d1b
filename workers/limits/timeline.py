"""The timeline of an account: shared by all workers, and every second of it is granted once.

An attempt uses as much time as it takes of the limits: a minute holds so many requests, or so many tokens.  So a
window of any length holds at most its share of calls, whichever workers sent them and whatever happened before.  No
bucket fills up while no one calls: time that was not granted is lost, except for what a waiting attempt needs.
This also makes
the timeline safe to lose: a new one needs to know only where the old one ended.
"""

import math
from dataclasses import dataclass, field

from muses_eval.workers.limits.protocol import TimeSlot


@dataclass(slots=True)
class Timeline:
    """How far an account's time is granted, and which parts were given back."""

    end: float = -math.inf
    returned: list[TimeSlot] = field(default_factory=list)

    def grant(self, seconds: float, now: float, until: float, at_once: float = 0.0) -> TimeSlot | None:
        """Grants the next seconds if they begin no later than *until*; a slot that was given back may be shorter.

        *at_once*: seconds that may lie before now, if they were never granted.
        """
        again = self._grant_returned(seconds, now)
        if again is not None:
            return again
        start = max(self.end, now - at_once)
        if start > until:
            return None
        self.end = start + seconds
        return TimeSlot(start, self.end)

    def give_back(self, slot: TimeSlot) -> None:
        self.returned.append(slot)

    def clear(self, until: float) -> None:
        """Voids everything that was granted; the next slot begins at *until*."""
        self.returned.clear()
        self.end = until

    def not_before(self, time: float) -> None:
        self.end = max(self.end, time)

    def _grant_returned(self, seconds: float, now: float) -> TimeSlot | None:
        while self.returned:
            slot = self.returned.pop().after(now)
            if slot.seconds > 0:
                rest = slot.after(slot.start + seconds)
                if rest.seconds > 0:
                    self.returned.append(rest)
                return TimeSlot(slot.start, rest.start)
        return None
