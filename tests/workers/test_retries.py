"""Retries are bounded and jittered, and respect the pause that a provider asks for."""

import asyncio
import pickle
import random

import pytest
from muses_eval.pipeline.errors import FailureKind, ModelFailure
from muses_eval.workers.providers.retries import FailedAttempts, RetryDecision, RetryPolicy, decide_retry, with_retries

POLICY = RetryPolicy(max_retries=3, first_wait_s=1.0, max_wait_s=30.0)


def failure(
    retry_after_s: float | None = None, *, retryable: bool = True, kind: FailureKind = "server"
) -> ModelFailure:
    return ModelFailure(kind, "slow down", retry_after_s, retryable)


def refusal(retry_after_s: float | None = None) -> ModelFailure:
    return failure(retry_after_s, kind="rate_limit")


class Naps:
    """A sleep that takes no time and records its durations."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)


class Attempts:
    """A call that raises each failure once, then answers."""

    def __init__(self, *failures: ModelFailure) -> None:
        self.left = list(failures)
        self.made = 0

    async def __call__(self) -> str:
        self.made += 1
        if self.left:
            raise self.left.pop(0)
        return "answer"


def test_wait_is_anything_below_a_doubling_bound() -> None:
    """With full jitter, waits fill the whole range below 1, 2 and 4 seconds and never leave it."""
    rng = random.Random(7)
    for tries_made, bound in [(1, 1.0), (2, 2.0), (3, 4.0)]:
        waits = [decide_retry(failure(), FailedAttempts(tries_made), POLICY, rng).wait_s for _ in range(500)]
        numbers = [wait for wait in waits if wait is not None]
        assert len(numbers) == len(waits)
        assert 0.0 <= min(numbers) < 0.1 * bound
        assert 0.9 * bound < max(numbers) <= bound


def test_same_dice_same_waits() -> None:
    """Equal seeds give equal waits: the decision has no other source of randomness."""
    first = decide_retry(failure(), FailedAttempts(2), POLICY, random.Random(1))
    assert first == decide_retry(failure(), FailedAttempts(2), POLICY, random.Random(1))
    assert first != decide_retry(failure(), FailedAttempts(2), POLICY, random.Random(2))


def test_no_wait_is_longer_than_the_bound() -> None:
    """The doubling ends at the policy's bound, however many attempts there were."""
    patient = RetryPolicy(max_retries=10_000, first_wait_s=1.0, max_backoff_s=20.0, max_wait_s=30.0)
    rng = random.Random(3)
    waits = [decide_retry(failure(), FailedAttempts(tries_made), patient, rng).wait_s for tries_made in (6, 50, 5_000)]
    assert all(wait is not None and wait <= 20.0 for wait in waits)
    assert decide_retry(failure(25.0), FailedAttempts(50), patient, random.Random(0)).wait_s == 30.0


def test_retry_after_is_the_least_wait() -> None:
    """Retry-After is the minimum; jitter is added to it, and the bound applies to the sum."""
    rng = random.Random(5)
    waits = [decide_retry(failure(20.0), FailedAttempts(1), POLICY, rng).wait_s for _ in range(100)]
    assert all(wait is not None and 20.0 <= wait <= 21.0 for wait in waits)
    assert len(set(waits)) > 1
    assert decide_retry(failure(30.0), FailedAttempts(3), POLICY, rng).wait_s == 30.0


def test_retry_after_beyond_the_bound_ends_at_once() -> None:
    """A pause above the bound is not shortened: the call gives up and reports the reason."""
    decision = decide_retry(failure(31.0), FailedAttempts(1), POLICY, random.Random(0))
    assert decision.wait_s is None
    assert "31 s" in decision.reason
    assert "30 s" in decision.reason


@pytest.mark.parametrize(
    ("tried", "tries_made"), [(failure(retryable=False), 1), (failure(), 4)], ids=["not retryable", "used up"]
)
def test_gives_up(tried: ModelFailure, tries_made: int) -> None:
    """A failure that is not retryable is not retried, and three retries mean four attempts."""
    assert decide_retry(tried, FailedAttempts(tries_made), POLICY, random.Random(0)).wait_s is None
    assert decide_retry(failure(), FailedAttempts(3), POLICY, random.Random(0)).wait_s is not None


def test_answers_after_failures() -> None:
    """After two failures and two waits, the answer is returned unchanged."""
    attempts, naps = Attempts(failure(), failure(5.0)), Naps()
    assert asyncio.run(with_retries(attempts, POLICY, random.Random(0), naps)) == "answer"
    assert attempts.made == 3
    assert len(naps.taken) == 2
    assert naps.taken[1] >= 5.0


def test_final_failure_keeps_its_kind_and_counts_tries() -> None:
    """The last failure is raised with its kind, cause and number of attempts; no wait follows the last attempt."""
    attempts, naps = Attempts(*[failure(2.0) for _ in range(9)]), Naps()
    with pytest.raises(ModelFailure, match="4 tries") as caught:
        asyncio.run(with_retries(attempts, POLICY, random.Random(0), naps))
    assert (attempts.made, len(naps.taken)) == (4, 3)
    final = caught.value
    assert (final.kind, final.retry_after_s, final.retryable) == ("server", 2.0, True)
    assert "slow down" in final.problem
    assert isinstance(final.__cause__, ModelFailure)
    assert str(pickle.loads(pickle.dumps(final))) == str(final)


def test_a_storm_of_refusals_uses_up_no_retries() -> None:
    """Refusals do not count as retries: twelve refusals and three failures are within ``max_retries: 3``."""
    attempts, naps = Attempts(*[refusal() for _ in range(12)], *[failure() for _ in range(3)]), Naps()
    assert asyncio.run(with_retries(attempts, POLICY, random.Random(0), naps)) == "answer"
    assert attempts.made == 16


def test_refusals_are_finite_too() -> None:
    attempts = Attempts(*[refusal() for _ in range(99)])
    with pytest.raises(ModelFailure, match="gave up after 13 tries: the retries are used up"):
        asyncio.run(with_retries(attempts, POLICY, random.Random(0), Naps()))


def test_a_storm_of_two_minutes_is_outlasted() -> None:
    """With the defaults, the waits alone outlast two minutes without Retry-After or pacing."""
    for seed in range(200):
        attempts, naps = Attempts(*[refusal() for _ in range(20)]), Naps()
        asyncio.run(with_retries(attempts, RetryPolicy(), random.Random(seed), naps))
        assert sum(naps.taken) > 120.0


def test_a_first_failure_after_refusals_waits_like_a_first_one() -> None:
    waits = [decide_retry(failure(), FailedAttempts(1, 12), POLICY, random.Random(seed)).wait_s for seed in range(50)]
    assert all(wait is not None and wait <= 1.0 for wait in waits)


def test_who_retries_nothing_waits_for_nobody() -> None:
    assert RetryPolicy(max_retries=0).outage_s == 0.0
    assert RetryPolicy(max_retries=1).outage_s > 0.0


def test_a_permanent_failure_stays_permanent_after_retries() -> None:
    attempts = Attempts(ModelFailure("auth", "bad key", retryable=False, ends_model=True))
    with pytest.raises(ModelFailure) as caught:
        asyncio.run(with_retries(attempts, POLICY, random.Random(0), Naps()))
    assert caught.value.ends_model
    assert pickle.loads(pickle.dumps(caught.value)).ends_model


def test_no_retry_for_what_cannot_help() -> None:
    """A refused key is sent once."""
    attempts, naps = Attempts(failure(retryable=False)), Naps()
    with pytest.raises(ModelFailure, match="1 try:"):
        asyncio.run(with_retries(attempts, POLICY, random.Random(0), naps))
    assert (attempts.made, naps.taken) == (1, [])


def test_zero_retries_is_one_try() -> None:
    """``max_retries: 0`` is valid and means one attempt."""
    attempts = Attempts(failure())
    with pytest.raises(ModelFailure):
        asyncio.run(with_retries(attempts, RetryPolicy(max_retries=0), random.Random(0), Naps()))
    assert attempts.made == 1


def test_other_errors_are_not_ours() -> None:
    """Only model failures are retried; any other exception is raised at once."""

    async def buggy() -> str:
        raise KeyError("bug")

    with pytest.raises(KeyError):
        asyncio.run(with_retries(buggy, POLICY, random.Random(0), Naps()))


def test_decisions_read_aloud() -> None:
    """The named constructors set the fields that their names state."""
    assert RetryDecision.retry(1.5, "backing off") == RetryDecision(1.5, "backing off")
    assert RetryDecision.give_up("used up") == RetryDecision(None, "used up")
