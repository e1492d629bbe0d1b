"""Limits bound the attempts in flight, lose no permit, grant leases fairly, and are shared within an account."""

import asyncio
import math
import random
from collections.abc import Mapping

import pytest
from hypothesis import given, settings, strategies as st
from muses_eval.pipeline.config.endpoint import Endpoint, Limits
from muses_eval.workers.coordinator.coordinator import Coordinator, LocalCoordinator
from muses_eval.workers.limits import AttemptOutcome, LeaseHolder, LimitsClient, RateLimiter, limit_conflicts
from muses_eval.workers.limits.account import Account
from muses_eval.workers.limits.fair_share import fair_shares, fair_shares_by_group
from muses_eval.workers.limits.limit_headers import HeaderLimits, limits_from_headers
from muses_eval.workers.limits.limit_learner import FIRST_WINDOW, AccountActivity, LimitLearner
from muses_eval.workers.limits.protocol import HORIZON_S, AccountReport, Rates, TimeSlot, TokenStats
from muses_eval.workers.limits.time_slots import LATE_S, HeldTimeSlots
from muses_eval.workers.limits.timeline import Timeline
from muses_eval.workers.limits.token_reserve import USED_SHARE
from muses_eval.workers.rehearsal.request_log import largest_window_sum

from tests.workers.virtual_time import clock, run

URL = "http://one/v1"


def limit_of(most: int) -> RateLimiter:
    return LimitsClient().limiter(Endpoint((URL,), limits=Limits(concurrency=most)))


# Attempts in one worker


async def _wait_for_turns(rounds: int = 20) -> None:
    """Lets every other task run as far as it can."""
    for _ in range(rounds):
        await asyncio.sleep(0)


class Caller:
    """Holds a permit until ``leave`` is called."""

    def __init__(self, limit: RateLimiter) -> None:
        self.inside = False
        self._leave = asyncio.Event()
        self.task = asyncio.ensure_future(self._work(limit))

    async def _work(self, limit: RateLimiter) -> None:
        async with limit.permit(0):
            self.inside = True
            await self._leave.wait()
        self.inside = False

    async def leave(self) -> None:
        self._leave.set()
        await self.task


def test_bounds_what_is_in_flight_in_order() -> None:
    """Three attempts start, the fourth waits, and waiting attempts start in the order of their arrival."""

    async def scenario() -> None:
        limit = limit_of(3)
        callers = [Caller(limit) for _ in range(6)]
        await _wait_for_turns()
        assert [caller.inside for caller in callers] == [True, True, True, False, False, False]
        await callers[1].leave()
        await _wait_for_turns()
        assert [caller.inside for caller in callers] == [True, False, True, True, False, False]
        for caller in callers:
            await caller.leave()
        assert limit.in_flight == 0

    asyncio.run(scenario())


def test_late_comers_do_not_overtake() -> None:
    """A freed permit goes to a waiting attempt, even when a new one arrives at the same time."""

    async def scenario() -> None:
        limit = limit_of(1)
        holder, waiter = Caller(limit), Caller(limit)
        await _wait_for_turns()
        leaving = asyncio.ensure_future(holder.leave())
        newcomer = Caller(limit)
        await leaving
        await _wait_for_turns()
        assert (waiter.inside, newcomer.inside) == (True, False)
        await waiter.leave()
        await newcomer.leave()

    asyncio.run(scenario())


def test_a_failing_try_gives_its_slot_back() -> None:
    """The permit is returned, however the attempt ends."""

    async def scenario() -> None:
        limit = limit_of(1)
        with pytest.raises(RuntimeError, match="broken"):
            async with limit.permit(0):
                raise RuntimeError("broken")
        assert limit.in_flight == 0

    asyncio.run(scenario())


def test_a_cancelled_waiter_leaves_the_queue() -> None:
    """When a waiting attempt is cancelled, the next one in the queue gets the permit."""

    async def scenario() -> None:
        limit = limit_of(1)
        holder, cancelled, patient = Caller(limit), Caller(limit), Caller(limit)
        await _wait_for_turns()
        cancelled.task.cancel()
        await _wait_for_turns()
        assert cancelled.task.cancelled()
        await holder.leave()
        await _wait_for_turns()
        assert patient.inside
        await patient.leave()
        async with limit.permit(0):
            assert limit.in_flight == 1

    asyncio.run(scenario())


def test_a_slot_handed_to_a_cancelled_waiter_is_not_lost() -> None:
    """When an attempt is cancelled between receiving the permit and waking up, the next one gets the permit."""

    async def scenario() -> None:
        limit = limit_of(1)
        async with limit.permit(0):
            cancelled, patient = Caller(limit), Caller(limit)
            await _wait_for_turns()
        cancelled.task.cancel()
        await _wait_for_turns()
        assert cancelled.task.cancelled()
        assert (cancelled.inside, patient.inside, limit.in_flight) == (False, True, 1)
        await patient.leave()
        assert limit.in_flight == 0

    asyncio.run(scenario())


def test_outlives_an_event_loop() -> None:
    """A process may run several event loops one after another, with calls that wait in each."""
    limit = limit_of(1)

    async def contended() -> None:
        first, second = Caller(limit), Caller(limit)
        await _wait_for_turns()
        assert (first.inside, second.inside) == (True, False)
        await first.leave()
        await second.leave()

    asyncio.run(contended())
    asyncio.run(contended())
    assert limit.in_flight == 0


def test_one_limit_an_account() -> None:
    """An address with a key name, or an account name, identifies an account; its models share the smallest limits."""
    limits = LimitsClient()
    big = Endpoint((URL,), "KEY", limits=Limits(requests_per_minute=10, concurrency=64))
    small = Endpoint((URL,), "KEY", limits=Limits(concurrency=8), timeout_s=5.0)
    shared = limits.limiter(big)
    assert limits.limiter(small) is shared
    assert limits.limiter(big).declared == Limits(requests_per_minute=10, concurrency=8)
    assert limits.limiter(Endpoint((URL,), "OTHER_KEY")) is not shared
    assert limits.limiter(Endpoint(("http://two/v1",), "KEY")) is not shared
    assert limits.limiter(Endpoint(("http://two/v1",), "KEY", account="a")) is limits.limiter(
        Endpoint(("http://three/v1",), "KEY", account="a")
    )


def test_a_refusal_holds_the_worker_back_until_the_coordinator_knows() -> None:
    """Although permits are free, the next attempt starts only after the pause that the provider asked for."""

    async def scenario() -> list[float]:
        limits = LimitsClient(LocalCoordinator(Coordinator(clock)), clock=clock)
        limit = limits.limiter(Endpoint((URL,), limits=Limits(concurrency=8)))
        started = []
        for end in (
            AttemptOutcome("refused", retry_after_s=7.0),
            AttemptOutcome("answered", 10),
            AttemptOutcome("answered", 10),
        ):
            async with limit.permit(0) as permit:
                started.append(clock())
                permit.record(end)
        await limits.close()
        return started

    first, second, third = run(scenario())
    assert second - first >= 7.0
    assert second - first < 8.5
    assert third - second < 2.0  # the probe was admitted


def test_an_unexpected_error_is_raised_in_waiting_attempts() -> None:
    """No attempt waits forever for a broken coordinator."""

    class Broken(LocalCoordinator):
        async def renew(self, holder: object, reports: object) -> None:  # type: ignore[override]
            raise ZeroDivisionError

    async def scenario() -> None:
        async with LimitsClient(Broken()).limiter(Endpoint((URL,))).permit(0):
            pass

    with pytest.raises(ZeroDivisionError):
        asyncio.run(scenario())


def test_closing_gives_everything_back() -> None:
    """Another worker gets the permits at once; closing twice is harmless."""

    async def scenario() -> None:
        coordinator = LocalCoordinator(Coordinator(clock))
        endpoint = Endpoint((URL,), limits=Limits(concurrency=1))
        for name in ("one", "two"):
            limits = LimitsClient(coordinator, LeaseHolder("run", name), clock)
            async with limits.limiter(endpoint).permit(0) as permit:
                permit.record(AttemptOutcome("answered", 1))
            before = clock()
            await limits.close()
            await limits.close()
            assert clock() == before
        assert clock() - 1000.0 < 0.5

    run(scenario())


def test_an_idle_worker_gives_back_its_leases() -> None:
    """The leases are returned despite a small debt of an attempt that used more tokens than estimated."""

    class Left(LocalCoordinator):
        left = 0

        async def leave(self, holder: LeaseHolder, reports: Mapping[Account, AccountReport]) -> None:
            self.left += 1
            await super().leave(holder, reports)

    async def scenario() -> None:
        coordinator = Left(Coordinator(clock))
        limits = LimitsClient(coordinator, LeaseHolder("run", "one"), clock)
        async with limits.limiter(Endpoint((URL,), limits=Limits(tokens_per_minute=6000))).permit(100) as permit:
            await asyncio.sleep(20.0)
            permit.record(AttemptOutcome("answered", 110))
        await asyncio.sleep(5.0)
        assert coordinator.left == 1
        await limits.close()

    run(scenario())


# Fair shares


@given(st.integers(0, 100), st.dictionaries(st.text(max_size=3), st.integers(0, 50)))
def test_shares(total: int, wants: dict[str, int]) -> None:
    """Everything is granted up to the demand; a share below its demand is at most one below any other share."""
    shares = fair_shares(total, wants)
    assert shares.keys() == wants.keys()
    assert sum(shares.values()) == min(total, sum(wants.values()))
    assert all(0 <= shares[key] <= wants[key] for key in wants)
    short = [shares[key] for key in wants if shares[key] < wants[key]]
    assert not short or min(short) >= max(shares.values()) - 1


def test_shares_are_fair_between_runs_first() -> None:
    wants = {"a1": 9, "a2": 9, "a3": 9, "b1": 9}
    groups = {key: key[0] for key in wants}
    even = {"a": 1, "b": 1}
    assert fair_shares_by_group(12, wants, groups, even, list(wants)) == {"a1": 2, "a2": 2, "a3": 2, "b1": 6}
    assert fair_shares_by_group(1, wants, groups, even, ["b1", "a1", "a2", "a3"])["b1"] == 1
    assert fair_shares_by_group(12, wants, groups, {"a": 3, "b": 1}, list(wants)) == {
        "a1": 3,
        "a2": 3,
        "a3": 3,
        "b1": 3,
    }
    assert fair_shares_by_group(30, wants, groups, {"a": 1, "b": 4}, list(wants)) == {
        "a1": 7,
        "a2": 7,
        "a3": 7,
        "b1": 9,
    }


@given(st.integers(0, 100), st.dictionaries(st.text(max_size=3), st.tuples(st.integers(0, 50), st.integers(1, 9))))
def test_shares_by_weight(total: int, each: dict[str, tuple[int, int]]) -> None:
    """All permits are granted up to the demand, whatever the weights."""
    wants = {key: want for key, (want, _) in each.items()}
    shares = fair_shares(total, wants, {key: weight for key, (_, weight) in each.items()})
    assert sum(shares.values()) == min(total, sum(wants.values()))
    assert all(0 <= shares[key] <= wants[key] for key in wants)


# The timeline


@settings(max_examples=50, deadline=None)
@given(
    st.integers(3, 2000),
    st.lists(st.tuples(st.integers(1, 50), st.floats(0, 2), st.booleans()), min_size=1, max_size=60),
)
def test_no_window_holds_more_than_its_share(per_minute: int, asks: list[tuple[int, float, bool]]) -> None:
    """For any requests at any times, no 60 s hold more attempts than the limit, and no time is granted twice."""
    now, timeline, times, ends = 0.0, Timeline(), [], [-math.inf]
    each = 60 / (USED_SHARE * per_minute)
    for count, pause, urgent in asks:
        now += pause
        slot = timeline.grant(count * each, now, now + HORIZON_S, each if urgent else 0.0)
        if slot is not None:
            assert slot.start >= max(ends[-1], now - each)
            ends.append(slot.end)
            times += [slot.start + n * each for n in range(1, count + 1)]
    assert largest_window_sum([(at, 1) for at in times], 60.0) <= per_minute


def test_a_try_that_waits_starts_at_once_on_a_line_that_is_free() -> None:
    timeline = Timeline()
    assert timeline.grant(20.0, 100.0, 101.0, backdated_s=20.0) == TimeSlot(80.0, 100.0)
    assert timeline.grant(20.0, 100.0, 101.0, backdated_s=20.0) == TimeSlot(100.0, 120.0)
    assert timeline.grant(20.0, 100.0, 101.0, backdated_s=20.0) is None  # would begin too late
    assert timeline.grant(20.0, 200.0, 201.0) == TimeSlot(200.0, 220.0)


def test_what_is_given_back_is_lent_again() -> None:
    """The part of a returned slot that is still in the future is granted again."""
    timeline = Timeline()
    timeline.give_back(TimeSlot(0.0, 1.0))
    assert timeline.grant(0.25, 0.5, 1.0) == TimeSlot(0.5, 0.75)
    assert timeline.grant(9.0, 0.5, 1.0) == TimeSlot(0.75, 1.0)
    assert timeline.grant(9.0, 0.5, 1.0) == TimeSlot(0.5, 9.5)


def lent(*slots: TimeSlot, requests: float | None = None, tokens: float | None = None) -> HeldTimeSlots:
    time = HeldTimeSlots()
    time.rates = Rates(requests, tokens)
    for slot in slots:
        time.add(slot)
    return time


def test_a_try_starts_when_its_time_has_passed() -> None:
    """An attempt starts once held slots worth its tokens have passed."""
    time = lent(TimeSlot(0.0, 1.0), TimeSlot(5.0, 9.0), tokens=100.0)
    assert time.due(50.0) == pytest.approx(0.5, abs=1e-5)
    assert time.due(300.0) == pytest.approx(7.0)
    assert time.due(10_000.0) is None
    time.pay(300.0, 7.0)
    assert time.due(100.0) == pytest.approx(8.0)


def test_a_small_part_may_be_paid_later() -> None:
    time = lent(TimeSlot(0.0, 1.0), TimeSlot(5.0, 9.0), tokens=100.0)
    assert time.due(110.0) == 1.0
    time.pay(110.0, 1.0)
    assert not time.in_debt(100.0)  # paid with the next attempt
    assert time.in_debt(10.0)
    assert time.due(100.0) == pytest.approx(6.1)


def test_what_was_guessed_wrong_is_corrected_at_the_next_try() -> None:
    time = lent(TimeSlot(0.0, 9.0), tokens=100.0)
    time.pay(100.0, 1.0)
    time.correct(50.0)  # more than was estimated
    assert time.due(100.0) == pytest.approx(2.5)
    time.pay(100.0, 2.5)
    time.correct(-50.0)
    assert time.due(100.0) == pytest.approx(3.0)


def test_what_is_not_used_in_time_is_void() -> None:
    """Unused time expires, so there is no burst after a pause; expired time still pays a debt."""
    time = lent(TimeSlot(0.0, 9.0), requests=10.0, tokens=100.0)
    time.correct(500.0)
    time.drop_late(8.0)
    assert time.seconds == pytest.approx(1.0 + LATE_S)
    assert not time.in_debt(0.0)
    late = lent(TimeSlot(0.0, 9.0), requests=10.0)
    late.pay(0.0, 8.0)
    assert late.due(0.0) == pytest.approx(8.0 - LATE_S + 0.1)


def test_the_tighter_limit_counts() -> None:
    """The unused part of the other limit is credit for later attempts, unless it would be late."""
    time = lent(TimeSlot(0.0, 9.0), requests=10.0, tokens=100.0)
    time.pay(0.0, 0.1)  # one request takes 0.1 s, so 0.05 s of tokens remain
    assert time.due(20.0) == pytest.approx(0.25, abs=1e-5)
    time.pay(20.0, 0.25)
    assert time.due(20.0) == pytest.approx(0.45, abs=1e-5)


def test_the_end_is_taken_back_as_far_as_it_is_still_to_come() -> None:
    time = lent(TimeSlot(0.0, 2.0), TimeSlot(3.0, 4.0), requests=10.0)
    assert time.take_back(1.5, 0.0) == [TimeSlot(3.0, 4.0), TimeSlot(1.5, 2.0)]
    assert time.end == 1.5
    assert time.take_back(1.5, 1.0) == [TimeSlot(1.0, 1.5)]


def test_sizes_of_tries() -> None:
    """The mean, the bias, the deviation and the largest size follow the attempts."""
    sizes = TokenStats()
    for n in range(1000):
        sizes = sizes.updated(100 + 10 * (n % 2), 65)
    assert sizes.mean == pytest.approx(105, abs=1)
    assert sizes.bias == pytest.approx(40, abs=1)
    assert sizes.off == pytest.approx(5, abs=0.5)
    assert sizes.largest == pytest.approx(110, abs=0.2)


# Limits in headers


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"x-ratelimit-limit-requests": "500"}, Limits(500.0)),
        ({"x-ratelimit-limit-requests": "500", "x-ratelimit-limit-tokens": "30000"}, Limits(500.0, 30000.0)),
        ({"anthropic-ratelimit-requests-limit": "50", "anthropic-ratelimit-tokens-limit": "4e4"}, Limits(50.0, 4e4)),
        ({"x-ratelimit-limit-requests": "0"}, None),
        ({"x-ratelimit-limit-requests": "-5", "x-ratelimit-limit-tokens": "10"}, Limits(None, 10.0)),
        ({"x-ratelimit-limit-requests": "many"}, None),
        ({"x-ratelimit-limit-requests": "inf"}, None),
        ({"x-ratelimit-limit-requests": "nan"}, None),
    ],
)
def test_limits_in_headers(headers: dict[str, str], expected: Limits | None) -> None:
    assert limits_from_headers(headers) == expected


def test_the_smallest_of_recently_reported_limits_holds() -> None:
    reported = HeaderLimits()
    reported.note(Limits(500.0), 0.0)
    reported.note(Limits(100.0), 10.0)
    reported.note(Limits(500.0), 50.0)
    assert reported.limits == Limits(100.0)
    reported.note(Limits(500.0), 70.0)
    assert reported.limits == Limits(100.0)
    reported.note(Limits(500.0), 130.0)  # the limit was raised
    assert reported.limits == Limits(500.0)


def test_reported_limits_hold_where_none_is_declared() -> None:
    async def scenario(declared: Limits) -> tuple[float | None, str]:
        coordinator = Coordinator(clock)
        limits = LimitsClient(LocalCoordinator(coordinator), clock=clock)
        limit = limits.limiter(Endpoint((URL,), limits=declared))
        for _ in range(20):
            async with limit.permit(0) as permit:
                permit.record(AttemptOutcome("answered", 10, headers={"x-ratelimit-limit-requests": "300"}))
            await asyncio.sleep(0.1)
        status = coordinator.snapshot().accounts[0]
        await limits.close()
        return status.requests_per_minute, status.source

    assert run(scenario(Limits())) == (300.0, "reported")
    assert run(scenario(Limits(requests_per_minute=200))) == (200.0, "declared")


# Learning from refusals


def busy(learner: LimitLearner, seconds: float, from_s: float, **seen: object) -> float:
    """Feeds the learner one activity per second for *seconds*; returns the end time."""
    for n in range(round(seconds)):
        learner.observe(
            AccountActivity(**{"started": 50, "answered": 50, "answered_after_cut": 50, **seen}), from_s + n
        )  # type: ignore[arg-type]
    return from_s + seconds


def test_slow_start_doubles_while_calls_wait() -> None:
    learner = LimitLearner(0.0, slow_start=True)
    assert learner.window == FIRST_WINDOW
    learner.observe(AccountActivity(started=16, answered=16, in_flight=16, crowded=True), 1.0)
    assert learner.window == 2 * FIRST_WINDOW
    learner.observe(AccountActivity(started=32, answered=32, in_flight=20), 2.0)  # no call waits
    assert learner.window == 2 * FIRST_WINDOW


def test_one_cut_for_one_episode() -> None:
    """Forty refusals of attempts that were in flight at the first refusal cause one cut."""
    learner = LimitLearner(0.0, slow_start=True)
    now = busy(learner, 10, 1.0, in_flight=100, crowded=True)
    learner.observe(AccountActivity(refused=1, refused_after_cut=1, in_flight=100), now)
    first = learner.window
    assert first == pytest.approx(90)
    for _ in range(4):
        learner.observe(AccountActivity(refused=10, in_flight=100), now + 0.1)
    assert (learner.cut, learner.window) == (1, first)


def test_failures_hold_and_do_not_cut() -> None:
    learner = LimitLearner(0.0, slow_start=True)
    now = busy(learner, 3, 1.0, crowded=True)
    before = learner.window
    now = busy(learner, 10, now, crowded=True, failed=1)
    assert (learner.window, learner.cut) == (before, 0)
    busy(learner, 10, now, crowded=True)
    assert learner.window > before  # type: ignore[operator]


def test_a_bound_grows_only_while_it_holds_something_back() -> None:
    learner = LimitLearner(0.0, slow_start=True)
    now = busy(learner, 10, 1.0, crowded=True)
    learner.observe(AccountActivity(refused=1, refused_after_cut=1, in_flight=100), now)
    cut = learner.window
    now = busy(learner, 20, now + 1)
    assert learner.window == cut
    busy(learner, 40, now, crowded=True)
    assert learner.window > 100  # type: ignore[operator]


def test_a_pause_that_was_asked_for_is_kept_and_ends() -> None:
    """A requested pause is kept, but a pause of hours is interrupted by probes."""
    learner = LimitLearner(0.0, slow_start=False)
    busy(learner, 3, 1.0)
    learner.observe(AccountActivity(refused=1, refused_after_cut=1, retry_after_s=7200.0), 10.0)
    assert 60.0 < learner.hold_until - 10.0 < 7200.0
    assert learner.probing


def test_refusals_that_go_on_measure_the_rate() -> None:
    """Six hundred attempts in ten seconds, then only refusals for fifty, give a rate of ten per second."""
    learner = LimitLearner(0.0, slow_start=False)
    busy(learner, 10, 0.0, started=60)
    now = 10.0
    while now < 60.0:
        learner.observe(AccountActivity(started=1, refused=1, refused_after_cut=1), now)
        now = max(now + 0.1, learner.hold_until)
    assert learner.may_probe(now)
    learner.probe_sent(now)
    learner.observe(AccountActivity(started=1), now)
    learner.observe(AccountActivity(answered_after_cut=1, answered=1), now + 0.5)
    assert not learner.probing
    assert learner.rate == pytest.approx(600 / now, rel=0.1)


def test_one_refusal_of_a_declared_rate_is_no_news_but_two_are() -> None:
    """The first refusal only holds the calls back; the second one starts a probe and lowers the rate."""
    learner = LimitLearner(0.0, slow_start=False)
    now = busy(learner, 20, 1.0, paced=True)
    learner.observe(AccountActivity(started=50, refused=1, refused_after_cut=1, paced=True), now)
    assert (learner.rate, learner.window, learner.probing) == (None, None, False)
    assert learner.hold_until > now
    learner.observe(AccountActivity(started=10, refused=1, refused_after_cut=1, paced=True), now + 1.0)
    assert learner.probing
    learner.probe_sent(now + 2.0)
    learner.observe(AccountActivity(started=1), now + 2.0)
    learner.observe(AccountActivity(answered=1, answered_after_cut=1), now + 2.5)
    assert learner.rate is not None
    assert learner.rate < 50


def test_before_anything_was_let_in_a_refusal_teaches_nothing() -> None:
    learner = LimitLearner(0.0, slow_start=True)
    for n in range(5):
        learner.observe(AccountActivity(started=1, refused=1, refused_after_cut=1), float(n))
    learner.probe_sent(60.0)
    learner.observe(AccountActivity(started=1), 60.0)
    learner.observe(AccountActivity(answered=1, answered_after_cut=1, crowded=True), 61.0)
    assert learner.rate is None
    busy(learner, 3, 62.0, crowded=True)
    assert learner.window > 100  # type: ignore[operator]  # slow start continues


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32))
def test_whatever_happens_the_bounds_stay_sane(seed: int) -> None:
    """For any activity, the bounds are positive and finite, and no hold exceeds 300 s."""
    rng, learner, now = random.Random(seed), LimitLearner(0.0, slow_start=seed % 2 == 0), 0.0
    for _ in range(200):
        now += rng.choice((0.01, 0.2, 1.0, 30.0))
        started, refused = rng.randrange(50), rng.randrange(20) * (rng.random() < 0.3)
        learner.observe(
            AccountActivity(
                started=started,
                answered=rng.randrange(50),
                answered_after_cut=rng.randrange(5),
                failed=rng.randrange(5) * (rng.random() < 0.1),
                refused=refused,
                refused_after_cut=rng.randrange(refused + 1),
                in_flight=rng.randrange(100),
                crowded=rng.random() < 0.5,
                paced=rng.random() < 0.5,
                retry_after_s=rng.choice((None, 0.0, 1.0, 1e9)),
            ),
            now,
        )
        for bound in (learner.rate, learner.window):
            assert bound is None or 0 < bound < math.inf
        assert learner.hold_until - now <= 300.0 + 1e-6


# Limits declared by models of one account


def test_where_models_of_one_account_disagree_a_line_says_so() -> None:
    def endpoint(key: str | None = "KEY", **limits: float) -> Endpoint:
        return Endpoint((URL,), key, limits=Limits(**limits))  # type: ignore[arg-type]

    assert limit_conflicts([endpoint(concurrency=8), endpoint(concurrency=8), endpoint()]) == []
    assert limit_conflicts([endpoint(concurrency=8), endpoint(None, concurrency=9)]) == []
    assert limit_conflicts([endpoint(concurrency=64, requests_per_minute=10), endpoint(concurrency=8)]) == [
        f"models of the account {URL} (KEY) declare different limits, and the smallest holds: max_concurrency 8, 64"
    ]
