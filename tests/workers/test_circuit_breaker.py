"""A server that fails repeatedly is not called until a probe succeeds."""

import math

from muses_eval.workers.providers.circuit_breaker import CircuitBreaker, CircuitBreakerRules

RULES = CircuitBreakerRules(failures=3, first_pause_s=1.0, longest_pause_s=5.0)


def opened(now: float = 0.0) -> CircuitBreaker:
    breaker = CircuitBreaker(RULES)
    for _ in range(RULES.failures):
        breaker.failed(now, probe=breaker.begin(now))
    return breaker


def test_opens_after_failures_in_a_row() -> None:
    breaker = CircuitBreaker(RULES)
    for _ in range(2):
        breaker.failed(0.0, probe=False)
    assert breaker.admits(0.0)
    breaker.failed(0.0, probe=False)
    assert not breaker.admits(0.99)


def test_an_answer_starts_the_count_anew() -> None:
    """An answer resets the failure count, so two failures between answers never open the breaker."""
    breaker = CircuitBreaker(RULES)
    for _ in range(20):
        for _ in range(2):
            breaker.failed(0.0, probe=False)
        breaker.answered()
    assert breaker.closed


def test_after_the_pause_one_call_may_look() -> None:
    breaker = opened()
    assert breaker.wait_s(0.25) == 0.75
    assert breaker.admits(1.0)
    assert breaker.begin(1.0)
    assert not breaker.admits(100.0)
    assert breaker.wait_s(100.0) == math.inf


def test_a_probe_that_is_answered_closes_it() -> None:
    breaker = opened()
    breaker.begin(1.0)
    breaker.answered()
    assert breaker.closed
    assert breaker.admits(1.0)
    assert breaker.wait_s(1.0) == 0.0


def test_pauses_double_up_to_a_bound_and_start_small_again() -> None:
    breaker, now, pauses = opened(), 0.0, []
    for _ in range(5):
        pauses.append(breaker.wait_s(now))
        now += pauses[-1]
        breaker.failed(now, probe=breaker.begin(now))
    assert pauses == [1.0, 2.0, 4.0, 5.0, 5.0]
    breaker.answered()
    for _ in range(3):
        breaker.failed(now, probe=False)
    assert breaker.wait_s(now) == 1.0


def test_calls_from_before_neither_prolong_nor_end_the_pause() -> None:
    """A failure of an earlier call does not change the pause; an answer to one closes the breaker."""
    breaker = opened()
    breaker.failed(0.9, probe=False)
    assert breaker.admits(1.0)
    breaker.answered()
    assert breaker.closed


def test_an_abandoned_probe_lets_another_look() -> None:
    breaker = opened()
    breaker.abandoned(probe=breaker.begin(1.0))
    assert breaker.admits(1.0)


def test_a_call_in_the_pause_is_no_probe() -> None:
    """Failures of calls that were in flight when the breaker opened do not double the pause."""
    breaker = opened()
    for _ in range(50):
        probe = breaker.begin(0.5)
        assert not probe
        breaker.failed(0.5, probe=probe)
    assert breaker.wait_s(0.5) == 0.5
