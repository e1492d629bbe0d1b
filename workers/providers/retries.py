"""When a failed call is tried again.

One layer owns retries: this one.  Clients below it try once and raise a typed failure; shards and flows above it take
the final failure as it is.  Two layers that retry would multiply their tries and hide each other's waits.

Refusals by a rate limit are counted apart from failures.  A refused call has only to wait for its turn, and what it
waits in is the account's limit, so it has more tries: a storm of refusals costs patience and not episodes.

Waits have full jitter: anything between nothing and a bound that doubles with every try, so that callers which failed
together do not come back together.  A provider that says how long to wait is waited for at least that long, within the
policy's bound: when it asks for more, the call gives up at once instead of holding an episode for hours.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from muses_eval.pipeline.errors import ModelFailure

T = TypeVar("T")

Sleep = Callable[[float], Awaitable[object]]
"""Waits so many seconds; asyncio.sleep outside of tests."""

_MOST_DOUBLINGS = 32


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient a call is."""

    max_retries: int = 5
    """Tries after the first one; refusals do not count."""
    refusals_a_retry: int = 4
    """So many times as many refusals are taken."""
    first_wait_s: float = 1.0
    """The longest wait before the first retry; it doubles with every further one."""
    max_backoff_s: float = 30.0
    """Where the doubling ends."""
    max_wait_s: float = 300.0
    """Longest single wait, also when the provider asks for more.  Above a minute, since limits refill by the minute."""

    @property
    def max_refusals(self) -> int:
        return self.max_retries * self.refusals_a_retry

    @property
    def outage_s(self) -> float:
        """Longest outage of all servers before calls give up; 0 when calls are not retried."""
        return self.max_wait_s if self.max_retries else 0.0


@dataclass(frozen=True, slots=True)
class Tally:
    """The tries of a call that failed so far."""

    failed: int = 0
    refused: int = 0
    """By a rate limit."""

    def after(self, failure: ModelFailure) -> "Tally":
        refused = failure.kind == "rate_limit"
        return Tally(self.failed + (not refused), self.refused + refused)


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """What to do after a failed try."""

    wait_s: float | None
    """Seconds until the next try; None: there is none."""
    reason: str

    @classmethod
    def retry(cls, wait_s: float, reason: str) -> "RetryDecision":
        return cls(wait_s, reason)

    @classmethod
    def give_up(cls, reason: str) -> "RetryDecision":
        return cls(None, reason)


def decide(failure: ModelFailure, tally: Tally, policy: RetryPolicy, dice: random.Random) -> RetryDecision:
    """What to do about *failure*, after these tries, its own included."""
    if not failure.retryable:
        return RetryDecision.give_up("another try cannot help")
    if tally.failed > policy.max_retries or tally.refused > policy.max_refusals:
        return RetryDecision.give_up("the retries are used up")
    asked = failure.retry_after_s or 0.0
    if asked > policy.max_wait_s:
        return RetryDecision.give_up(
            f"the provider asks to wait {asked:.0f} s, which is more than the {policy.max_wait_s:.0f} s we wait at most"
        )
    tries = tally.refused if failure.kind == "rate_limit" else tally.failed
    backoff = min(policy.first_wait_s * 2 ** min(tries - 1, _MOST_DOUBLINGS), policy.max_backoff_s)
    wait = min(asked + dice.uniform(0.0, backoff), policy.max_wait_s)
    return RetryDecision.retry(wait, "the provider asked for a pause" if asked else "backing off")


async def with_retries(
    attempt: Callable[[], Awaitable[T]], policy: RetryPolicy, dice: random.Random, sleep: Sleep
) -> T:
    """The first answer of *attempt* that is not a ModelFailure.

    Raises:
        ModelFailure: the last one, with its kind, and with the number of tries in its text.
    """
    tally = Tally()
    while True:
        try:
            return await attempt()
        except ModelFailure as failure:
            tally = tally.after(failure)
            decision = decide(failure, tally, policy, dice)
            if decision.wait_s is None:
                raise _final(failure, tally, decision.reason) from failure
        await sleep(decision.wait_s)


def _final(failure: ModelFailure, tally: Tally, reason: str) -> ModelFailure:
    made = tally.failed + tally.refused
    tries = "1 try" if made == 1 else f"{made} tries"
    return failure.told(f"{failure.problem} (gave up after {tries}: {reason})")
