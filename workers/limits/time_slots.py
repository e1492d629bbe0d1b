"""The time slots that a worker holds, and its debt: they decide when its next attempt may start."""

import math
from collections import deque

from muses_eval.workers.limits.protocol import Rates, TimeSlot

LATE_S = 0.06
"""Seconds after which unused time is void; otherwise a worker would send in bursts.  It is less than the 1 % of ten
seconds that is kept free."""
_CREDIT_S = 0.05
"""Most seconds of unused time that are kept for later attempts."""
DEBT_SHARE = 0.25
"""Share of an attempt that may be paid after it: waiting for a last small slot would delay it for long."""
_ROUNDING_S = 1e-6


class HeldTimeSlots:
    """The slots of one worker, the earliest first, with credit and debt from earlier attempts.

    An attempt uses as many seconds as the tighter limit says; the difference to the other limit is credit for later
    attempts.  Tokens that were paid and not used are credit too; tokens that were used and not paid are debt.
    """

    def __init__(self) -> None:
        self.rates = Rates()
        self._slots: deque[TimeSlot] = deque()
        self._requests_credit_s = self._tokens_credit_s = 0.0

    @property
    def end(self) -> float | None:
        """End of the last slot; None: no slot is held."""
        return self._slots[-1].end if self._slots else None

    @property
    def seconds(self) -> float:
        return sum(slot.seconds for slot in self._slots)

    def cost(self, tokens: float, attempts: int = 1) -> float:
        """Returns the seconds that attempts would use, after credit and debt."""
        requests_s, tokens_s = self.rates.seconds(tokens, attempts)
        return max(requests_s - self._requests_credit_s, tokens_s - self._tokens_credit_s, 0.0)

    def in_debt(self, tokens: float) -> bool:
        """Returns True when the debt is larger than the share that the next attempt, with *tokens*, may pay later."""
        return self.cost(0, 0) > DEBT_SHARE * self.cost(tokens)

    def due(self, tokens: float) -> float | None:
        """Returns the time at which an attempt with *tokens* may start; None when the held slots are not enough."""
        missing = self.cost(tokens) - _ROUNDING_S
        if missing <= 0:
            return -math.inf
        debt = DEBT_SHARE * missing
        for slot in self._slots:
            if missing <= slot.seconds + debt:
                return min(slot.start + missing, slot.end)
            missing -= slot.seconds
        return None

    def pay(self, tokens: float, now: float) -> None:
        """Pays for an attempt that starts, with held time."""
        left = cost = self.cost(tokens)
        while left > 0 and self._slots and self._slots[0].start < now:
            slot = self._slots.popleft()
            if left < slot.seconds - _ROUNDING_S:
                self._slots.appendleft(slot.after(slot.start + left))
            left = max(left - slot.seconds, 0.0)
        requests_s, tokens_s = self.rates.seconds(tokens)
        self._requests_credit_s = min(self._requests_credit_s + cost - left - requests_s, _CREDIT_S)
        self._tokens_credit_s = min(self._tokens_credit_s + cost - left - tokens_s, _CREDIT_S)
        self.drop_late(now)

    def correct(self, tokens: float) -> None:
        """Corrects the last payment by *tokens* used beyond those paid; negative when fewer were used."""
        _, seconds = self.rates.seconds(tokens)
        # The credit that is kept is at most what this one attempt gave back.
        self._tokens_credit_s = min(self._tokens_credit_s - seconds, max(self._tokens_credit_s, -seconds, _CREDIT_S))

    def add(self, slot: TimeSlot) -> None:
        self._slots = deque(sorted((*self._slots, slot), key=lambda each: each.start))

    def drop_late(self, now: float) -> None:
        """Voids time that was not used soon enough; it pays debts first."""
        while self._slots and self._slots[0].start < now - LATE_S:
            slot = self._slots.popleft()
            rest = slot.after(now - LATE_S)
            if rest.seconds > 0:
                self._slots.appendleft(rest)
            void_s = slot.seconds - rest.seconds
            self._tokens_credit_s += min(max(-self._tokens_credit_s, 0.0), void_s)

    def take_back(self, seconds: float, now: float) -> list[TimeSlot]:
        """Removes the last *seconds* of the slots, as far as they lie in the future, and returns them."""
        found = []
        while seconds > _ROUNDING_S and self._slots and self._slots[-1].end > now:
            last = self._slots.pop()
            cut = max(last.start, last.end - seconds, now)
            if cut > last.start:
                self._slots.append(TimeSlot(last.start, cut))
            found.append(TimeSlot(cut, last.end))
            seconds -= last.end - cut
        return found

    def clear(self) -> None:
        """Voids all slots; debts stay."""
        self._slots.clear()
        self._requests_credit_s, self._tokens_credit_s = 0.0, min(self._tokens_credit_s, 0.0)
