"""When a failed call is tried again.

One layer owns retries: this one.  Clients below it try once and raise a typed failure; shards and flows above it take
the final failure as it is.  Two layers that retry would multiply their tries and hide each other's waits.

Waits have full jitter: anything between nothing and a bound that doubles with every try, so that callers which failed
together do not come back together.  A provider that says how long to wait is waited for at least that long, within the
policy's bound: when it asks for more, the call gives up at once instead of holding an episode for hours.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from pipeline.errors import ModelFailure

T = TypeVar("T")

Sleep = Callable[[float], Awaitable[object]]
"""Waits so many seconds; asyncio.sleep outside of tests."""

_MOST_DOUBLINGS = 32


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient a call is."""

    max_retries: int = 5
    """Tries after the first one."""
    first_wait_s: float = 1.0
    """The longest wait before the first retry; it doubles with every further one."""
    max_wait_s: float = 120.0
    """No single wait is longer, whoever asks for it.  Above a minute, since budgets are refilled by the minute."""


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


def decide(failure: ModelFailure, tries_made: int, policy: RetryPolicy, dice: random.Random) -> RetryDecision:
    """What to do about *failure*, after so many tries (at least 1, the failed one included)."""
    if not failure.retryable:
        return RetryDecision.give_up("another try cannot help")
    if tries_made > policy.max_retries:
        return RetryDecision.give_up("the retries are used up")
    asked = failure.retry_after_s or 0.0
    if asked > policy.max_wait_s:
        return RetryDecision.give_up(
            f"the provider asks to wait {asked:.0f} s, which is more than the {policy.max_wait_s:.0f} s we wait at most"
        )
    backoff = policy.first_wait_s * 2 ** min(tries_made - 1, _MOST_DOUBLINGS)
    wait = min(asked + dice.uniform(0.0, backoff), policy.max_wait_s)
    return RetryDecision.retry(wait, "the provider asked for a pause" if asked else "backing off")


async def with_retries(
    attempt: Callable[[], Awaitable[T]], policy: RetryPolicy, dice: random.Random, sleep: Sleep
) -> T:
    """The first answer of *attempt* that is not a ModelFailure.

    Raises:
        ModelFailure: the last one, with its kind, and with the number of tries in its text.
    """
    tries_made = 0
    while True:
        tries_made += 1
        try:
            return await attempt()
        except ModelFailure as failure:
            decision = decide(failure, tries_made, policy, dice)
            if decision.wait_s is None:
                raise _final(failure, tries_made, decision.reason) from failure
        await sleep(decision.wait_s)


def _final(failure: ModelFailure, tries_made: int, reason: str) -> ModelFailure:
    tries = "1 try" if tries_made == 1 else f"{tries_made} tries"
    problem = f"{failure.problem} (gave up after {tries}: {reason})"
    return ModelFailure(failure.kind, problem, failure.retry_after_s, failure.retryable)
