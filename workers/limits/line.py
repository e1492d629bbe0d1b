"""The sending times of an account: one line for all its workers.

Every try has a time of its own on the line, and times are never closer than the limits allow.  There is no bucket that
fills while nobody calls, so no burst follows a pause: any window of any length holds at most its share of calls,
whoever sent them and whatever was before.  That also makes the line safe to lose: a new one needs to know only where
the old one ended.
"""

from dataclasses import dataclass

from workers.limits.lease import Slots

USED, USED_TOKENS = 0.99, 0.975
"""Share of a limit that is used.  The rest is for the way to the provider, which is not always equally long; and how
many tokens a call takes is known only afterwards."""

_CREDIT_S = 0.1
"""Tokens that were reserved and not needed are used later, but no more than so many seconds' worth at a time."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What is allowed a second; None: anything."""

    requests: float | None = None
    tokens: float | None = None

    def spacing(self, tokens_each: float) -> float:
        """Seconds between two tries of so many tokens."""
        return max(self._request_s, tokens_each / self.tokens if self.tokens else 0.0)

    @property
    def _request_s(self) -> float:
        return 1.0 / self.requests if self.requests else 0.0


@dataclass(slots=True)
class Line:
    """Where the line ends."""

    next_request: float
    """No request before."""
    next_token: float
    """No token before."""
    returned: list[Slots]
    """Given away and given back."""
    credit_s: float = 0.0
    """By how much the next token may come earlier."""

    @classmethod
    def at(cls, now: float) -> "Line":
        return cls(now, now, [])

    def reserve(self, count: int, tokens_each: float, rates: Rates, now: float, until: float) -> Slots | None:
        """The next sending times, at most *count*, the first of them not after *until*; None: there is none.

        What was given back is given away first.
        """
        again = self._reserve_returned(count, now)
        if again is not None:
            return again
        start = self._start(now)
        if start > until:
            return None
        spacing = rates.spacing(tokens_each)
        slots = Slots(start, spacing, count, spacing * rates.tokens if rates.tokens else 0.0)
        self.next_request = slots.end + (1.0 / rates.requests if rates.requests else 0.0)
        self.next_token = slots.end + (spacing if rates.tokens else 0.0)
        return slots

    def give_back(self, slots: Slots) -> None:
        self.returned.append(slots)

    def charge(self, tokens: float, rates: Rates) -> None:
        """Tokens that were taken beyond those that were reserved; negative: less were."""
        if rates.tokens:
            balance = self.credit_s - tokens / rates.tokens
            self.credit_s = min(max(balance, 0.0), _CREDIT_S)
            self.next_token += max(-balance, 0.0)

    def clear(self, until: float) -> None:
        """Nothing is sent before *until*; what was given away before is void."""
        self.returned.clear()
        self.credit_s = 0.0
        self.next_request = self.next_token = until

    def not_before(self, time: float) -> None:
        self.next_request, self.next_token = max(self.next_request, time), max(self.next_token, time)

    def _start(self, now: float) -> float:
        """When the next try may be sent.  After a pause there is no credit: a burst would follow."""
        earliest = max(now, self.next_request)
        if self.next_token < now:
            self.credit_s = 0.0
        used = min(self.credit_s, max(0.0, self.next_token - earliest))
        self.credit_s -= used
        self.next_token -= used
        return max(earliest, self.next_token)

    def _reserve_returned(self, count: int, now: float) -> Slots | None:
        while self.returned:
            slots = self.returned.pop()
            slots = slots.without_first(slots.count_before(now))
            if slots.count:
                taken = min(count, slots.count)
                if slots.count > taken:
                    self.returned.append(slots.without_first(taken))
                return slots.first(taken)
        return None
