"""The timeline of an account: all workers share it, and every second of it is granted once.

An attempt uses as many seconds as it takes of the limits: a minute has room for a number of requests, or of tokens.  So
a window of any length holds at most its share of calls, whichever workers sent them and whatever happened before.
Unlike in a token bucket, nothing accumulates while there are no calls: time that was not granted is lost, except for
what a waiting attempt needs.  A lost timeline is easy to replace: a new one needs only the end of the old one.
"""

import math
from dataclasses import dataclass, field

from muses_eval.workers.limits.protocol import TimeSlot


@dataclass(slots=True)
class Timeline:
    """The end of an account's granted time, and the slots that were given back."""

    end: float = -math.inf
    returned: list[TimeSlot] = field(default_factory=list)

    def grant(self, seconds: float, now: float, until: float, backdated_s: float = 0.0) -> TimeSlot | None:
        """Grants the next seconds if they begin no later than *until*; a slot that was given back may be shorter.

        *backdated_s*: seconds that may lie before now, if they were never granted.
        """
        again = self._grant_returned(seconds, now)
        if again is not None:
            return again
        start = max(self.end, now - backdated_s)
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
