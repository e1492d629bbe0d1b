"""The line of an account: one for all its workers, and every second of it is lent once.

A try uses up as much of the line as it takes of the limits: a minute holds so many requests, or so many tokens.  So any
window of any length holds at most its share of calls, whoever sent them and whatever was before.  There is no bucket
that fills while nobody calls; time that was not lent is gone, but for what a try needs that waits.  That also makes the
line safe to lose: a new one needs to know only where the old one ended.
"""

import math
from dataclasses import dataclass, field

from workers.limits.lease import Stretch


@dataclass(slots=True)
class Line:
    """Where the line ends, and what of it was given back."""

    end: float = -math.inf
    returned: list[Stretch] = field(default_factory=list)

    def lend(self, seconds: float, now: float, until: float, at_once: float = 0.0) -> Stretch | None:
        """The next so many seconds, if they begin no later than *until*; of what was given back it may be less.

        *at_once*: so much may lie before now, if nobody was lent it.
        """
        again = self._lend_returned(seconds, now)
        if again is not None:
            return again
        start = max(self.end, now - at_once)
        if start > until:
            return None
        self.end = start + seconds
        return Stretch(start, self.end)

    def give_back(self, stretch: Stretch) -> None:
        self.returned.append(stretch)

    def clear(self, until: float) -> None:
        """Nothing is sent before *until*; what was lent before is void."""
        self.returned.clear()
        self.end = until

    def not_before(self, time: float) -> None:
        self.end = max(self.end, time)

    def _lend_returned(self, seconds: float, now: float) -> Stretch | None:
        while self.returned:
            stretch = self.returned.pop().after(now)
            if stretch.seconds > 0:
                rest = stretch.after(stretch.start + seconds)
                if rest.seconds > 0:
                    self.returned.append(rest)
                return Stretch(stretch.start, rest.start)
        return None
