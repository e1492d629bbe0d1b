"""Retries failed calls, with exponential backoff and full jitter.

Only this layer retries.  Clients below it make one attempt and raise a typed failure; shards and flows above it accept
the final failure.  Two layers that retry would multiply their attempts and hide each other's waits.

Refusals by a rate limit are counted separately from failures.  A refused call only has to wait for its turn in the
account's limiter, so it has more retries: a series of refusals takes time but fails no episodes.

A wait is drawn uniformly between zero and a bound that doubles with every attempt (full jitter), so that callers that
failed together do not retry together.  When a provider asks for a pause, the wait is at least that long; when the pause
is longer than the policy allows, the call gives up at once instead of holding an episode for hours.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from muses_eval.pipeline.errors import ModelFailure

T = TypeVar("T")

Sleep = Callable[[float], Awaitable[object]]
"""Waits for some seconds; asyncio.sleep outside of tests."""

_MOST_DOUBLINGS = 32


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The number of retries of a call, and the waits between them."""

    max_retries: int = 5
    """Number of attempts after the first one; refusals do not count."""
    refusals_a_retry: int = 4
    """Number of refusals that are allowed for each retry."""
    first_wait_s: float = 1.0
    """Longest wait before the first retry; it doubles with every further one."""
    max_backoff_s: float = 30.0
    """Bound of the doubling."""
    max_wait_s: float = 300.0
    """Longest single wait, even when the provider asks for more.  Above a minute, since limits refill every minute."""

    @property
    def max_refusals(self) -> int:
        return self.max_retries * self.refusals_a_retry

    @property
    def outage_s(self) -> float:
        """Longest outage of all servers before calls give up; 0 when calls are not retried."""
        return self.max_wait_s if self.max_retries else 0.0


@dataclass(frozen=True, slots=True)
class FailedAttempts:
    """Counts of the failed attempts of one call."""

    failed: int = 0
    refused: int = 0
    """Number of attempts that a rate limit refused."""

    def after(self, failure: ModelFailure) -> "FailedAttempts":
        refused = failure.kind == "rate_limit"
        return FailedAttempts(self.failed + (not refused), self.refused + refused)


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """The decision after a failed attempt."""

    wait_s: float | None
    """Seconds until the next attempt; None to give up."""
    reason: str

    @classmethod
    def retry(cls, wait_s: float, reason: str) -> "RetryDecision":
        return cls(wait_s, reason)

    @classmethod
    def give_up(cls, reason: str) -> "RetryDecision":
        return cls(None, reason)


def decide_retry(
    failure: ModelFailure, failed_attempts: FailedAttempts, policy: RetryPolicy, rng: random.Random
) -> RetryDecision:
    """Decides whether to retry after *failure*; *failed_attempts* includes it."""
    if not failure.retryable:
        return RetryDecision.give_up("a retry cannot help")
    if failed_attempts.failed > policy.max_retries or failed_attempts.refused > policy.max_refusals:
        return RetryDecision.give_up("the retries are used up")
    asked = failure.retry_after_s or 0.0
    if asked > policy.max_wait_s:
        return RetryDecision.give_up(
            f"the provider asks to wait {asked:.0f} s, which is more than the longest wait of {policy.max_wait_s:.0f} s"
        )
    tries = failed_attempts.refused if failure.kind == "rate_limit" else failed_attempts.failed
    backoff = min(policy.first_wait_s * 2 ** min(tries - 1, _MOST_DOUBLINGS), policy.max_backoff_s)
    wait = min(asked + rng.uniform(0.0, backoff), policy.max_wait_s)
    return RetryDecision.retry(wait, "the provider asked for a pause" if asked else "backing off")


async def with_retries(attempt: Callable[[], Awaitable[T]], policy: RetryPolicy, rng: random.Random, sleep: Sleep) -> T:
    """Calls *attempt* until it raises no ModelFailure, and returns its result.

    Raises:
        ModelFailure: the last failure, with the number of attempts in its text.
    """
    failed_attempts = FailedAttempts()
    while True:
        try:
            return await attempt()
        except ModelFailure as failure:
            failed_attempts = failed_attempts.after(failure)
            decision = decide_retry(failure, failed_attempts, policy, rng)
            if decision.wait_s is None:
                raise _final(failure, failed_attempts, decision.reason) from failure
        await sleep(decision.wait_s)


def _final(failure: ModelFailure, failed_attempts: FailedAttempts, reason: str) -> ModelFailure:
    made = failed_attempts.failed + failed_attempts.refused
    tries = "1 try" if made == 1 else f"{made} tries"
    return failure.with_problem(f"{failure.problem} (gave up after {tries}: {reason})")
