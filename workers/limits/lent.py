"""What a worker holds of an account's line, and what it owes: when its next try may start.  Plain arithmetic."""

import math
from collections import deque

from workers.limits.lease import Rates, Stretch

LATE_S = 0.06
"""Time that has come and was not used for so long is void; else a worker would send in bursts.  It is less than what is
kept free of ten seconds."""
_SPARE_S = 0.05
"""So much of what tries did not need is kept for those after them."""
OWED = 0.25
"""Share of a try that may be paid after it: to wait for a small piece of the line would put it off for long."""
_ROUNDING_S = 1e-6


class LentTime:
    """Stretches of the line, the earliest first, and what of their seconds was not needed.

    A try uses up as many seconds as the tighter limit says; of the other one some are then to spare for the tries after
    it.  So are tokens that were paid and not taken; those that were taken and not paid are owed.
    """

    def __init__(self) -> None:
        self.rates = Rates()
        self._stretches: deque[Stretch] = deque()
        self._spare_requests_s = self._spare_tokens_s = 0.0

    @property
    def end(self) -> float | None:
        """Of the last stretch; None: it holds none."""
        return self._stretches[-1].end if self._stretches else None

    @property
    def seconds(self) -> float:
        return sum(stretch.seconds for stretch in self._stretches)

    def cost(self, tokens: float, tries: int = 1) -> float:
        """Seconds that so many tries would use up, after what is to spare or owed."""
        requests_s, tokens_s = self.rates.seconds(tokens, tries)
        return max(requests_s - self._spare_requests_s, tokens_s - self._spare_tokens_s, 0.0)

    def owes(self, tokens: float) -> bool:
        """Whether it owes more than may be paid with the next try, of so many tokens."""
        return self.cost(0, 0) > OWED * self.cost(tokens)

    def due(self, tokens: float) -> float | None:
        """When a try of so many tokens may start; None: not enough is held."""
        missing = self.cost(tokens) - _ROUNDING_S
        if missing <= 0:
            return -math.inf
        owed = OWED * missing
        for stretch in self._stretches:
            if missing <= stretch.seconds + owed:
                return min(stretch.start + missing, stretch.end)
            missing -= stretch.seconds
        return None

    def pay(self, tokens: float, now: float) -> None:
        """A try starts."""
        left = cost = self.cost(tokens)
        while left > 0 and self._stretches and self._stretches[0].start < now:
            stretch = self._stretches.popleft()
            if left < stretch.seconds - _ROUNDING_S:
                self._stretches.appendleft(stretch.after(stretch.start + left))
            left = max(left - stretch.seconds, 0.0)
        requests_s, tokens_s = self.rates.seconds(tokens)
        self._spare_requests_s = min(self._spare_requests_s + cost - left - requests_s, _SPARE_S)
        self._spare_tokens_s = min(self._spare_tokens_s + cost - left - tokens_s, _SPARE_S)
        self.drop_late(now)

    def correct(self, tokens: float) -> None:
        """Tokens that were taken beyond those that were paid; negative: less were."""
        _, seconds = self.rates.seconds(tokens)
        # Of what comes back no more is saved than one try alone gave.
        self._spare_tokens_s = min(self._spare_tokens_s - seconds, max(self._spare_tokens_s, -seconds, _SPARE_S))

    def add(self, stretch: Stretch) -> None:
        self._stretches = deque(sorted((*self._stretches, stretch), key=lambda each: each.start))

    def drop_late(self, now: float) -> None:
        """Makes void what was not used in time; debts are paid with it."""
        while self._stretches and self._stretches[0].start < now - LATE_S:
            stretch = self._stretches.popleft()
            rest = stretch.after(now - LATE_S)
            if rest.seconds > 0:
                self._stretches.appendleft(rest)
            void_s = stretch.seconds - rest.seconds
            self._spare_tokens_s += min(max(-self._spare_tokens_s, 0.0), void_s)

    def take_back(self, seconds: float, now: float) -> list[Stretch]:
        """Takes away the last so many seconds, as far as they are still to come."""
        found = []
        while seconds > _ROUNDING_S and self._stretches and self._stretches[-1].end > now:
            last = self._stretches.pop()
            cut = max(last.start, last.end - seconds, now)
            if cut > last.start:
                self._stretches.append(Stretch(last.start, cut))
            found.append(Stretch(cut, last.end))
            seconds -= last.end - cut
        return found

    def clear(self) -> None:
        """What was lent is void; debts stay."""
        self._stretches.clear()
        self._spare_requests_s, self._spare_tokens_s = 0.0, min(self._spare_tokens_s, 0.0)
