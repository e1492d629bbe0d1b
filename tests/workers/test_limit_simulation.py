"""The guarantees of rate limits, in virtual time: a provider with hard sliding windows, workers and a coordinator."""

from collections.abc import Callable

import pytest
from muses_eval.pipeline.config.endpoint import Limits
from muses_eval.workers.rehearsal.fault_profile import HardLimits

from tests.workers.simulation import Dice, Estimate, Scene, SimulatedProvider, lognormal, play

pytestmark = pytest.mark.slow


def always(**limits: float) -> Callable[[float], HardLimits]:
    fixed = HardLimits.model_validate(limits)
    return lambda _: fixed


# Declared limits


@pytest.mark.parametrize("way_s", [0.001, 0.02])
def test_a_declared_limit_is_used_and_never_exceeded(way_s: float) -> None:
    """Four workers use one limit fully over four windows, and no call is refused."""
    scene = play(
        Limits(requests_per_minute=600),
        lambda rng: SimulatedProvider(always(requests_per_minute=600), rng, way_s=way_s),
        seconds=240,
    )
    assert scene.provider.used(0, 240) >= 0.98 * 10
    assert scene.provider.largest() <= 600
    assert scene.provider.refused == []
    assert scene.coordinator.asked <= 4 * 6 * 240  # a few requests per second and worker


def test_a_limit_smaller_than_the_number_of_workers() -> None:
    scene = play(
        Limits(requests_per_minute=3), lambda rng: SimulatedProvider(always(requests_per_minute=3), rng), seconds=300
    )
    assert len(scene.provider.admitted) in (14, 15, 16)
    assert scene.provider.largest() <= 3


def sized(mean: int, spread: float) -> Callable[[Dice], int]:
    """Returns a random number of tokens per attempt."""
    return lambda rng: int(mean * rng.lognormvariate(0, spread))


def few_are_large(rng: Dice) -> int:
    return 10_000 if rng.random() < 0.02 else 800


def right(tokens: int) -> int:
    return tokens


def always_the_same(_: int) -> int:
    return 1500


def half(tokens: int) -> int:
    return tokens // 2


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize(
    ("per_minute", "tokens", "estimate", "least"),
    [
        (4_000_000, sized(1500, 0.0), right, 0.985),
        (4_000_000, sized(1500, 0.2), right, 0.98),
        (4_000_000, sized(1500, 0.2), always_the_same, 0.97),
        (4_000_000, sized(1500, 0.2), half, 0.97),
        (4_000_000, few_are_large, right, 0.97),
        (600_000, sized(1500, 0.0), right, 0.97),
        (600_000, sized(1500, 0.2), right, 0.96),
        (600_000, sized(1500, 0.2), always_the_same, 0.92),
    ],
)
def test_a_declared_limit_of_tokens(
    per_minute: int, tokens: Callable[[Dice], int], estimate: Estimate, least: float, workers: int
) -> None:
    """The limit is used up to a margin for the largest attempt and wrong estimates in 10 s, and no call is refused."""
    scene = play(
        Limits(tokens_per_minute=per_minute),
        lambda rng: SimulatedProvider(
            always(tokens_per_minute=per_minute, window_s=10),
            rng,
            latency=lambda d: d.uniform(0.1, 0.3),
            tokens=tokens,
        ),
        seconds=60,
        workers=workers,
        callers=160 // workers,
        estimate=estimate,
    )
    assert scene.provider.refused == []
    assert scene.provider.tokens_used(10, 60) >= least * per_minute / 60


@pytest.mark.parametrize("requests", [1_500, 2_667, 5_000])
def test_both_limits_declared(requests: int) -> None:
    """The tighter limit is used, also when it is now the one and now the other."""
    scene = play(
        Limits(requests_per_minute=requests, tokens_per_minute=4_000_000),
        lambda rng: SimulatedProvider(
            always(requests_per_minute=requests, tokens_per_minute=4_000_000, window_s=10),
            rng,
            tokens=sized(1470, 0.2),
        ),
        seconds=60,
        workers=2,
        callers=80,
        estimate=right,
    )
    assert scene.provider.refused == []
    used = scene.provider.used(10, 60) * 60 / requests, scene.provider.tokens_used(10, 60) * 60 / 4_000_000
    assert max(used) >= (0.95 if requests == 2_667 else 0.98)  # in the middle case both limits are equally tight


def test_a_try_of_more_than_a_worker_holds_at_a_time() -> None:
    """The attempt waits until the worker holds enough time for it, while the other workers go on."""
    limit = 60_000
    scene = play(
        Limits(tokens_per_minute=limit),
        lambda rng: SimulatedProvider(
            always(tokens_per_minute=limit), rng, tokens=lambda d: 5_000 if d.random() < 0.1 else 300
        ),
        seconds=360,
        estimate=right,
    )
    assert scene.provider.refused == []
    assert scene.provider.tokens_used(60, 360) >= 0.85 * limit / 60
    assert min(worker.answered for worker in scene.workers) > 0.5 * max(worker.answered for worker in scene.workers)


def test_declared_concurrency_is_a_hard_cap() -> None:
    scene = play(
        Limits(concurrency=10),
        lambda rng: SimulatedProvider(always(concurrency=10), rng, latency=lognormal),
        seconds=120,
    )
    assert scene.provider.refused == []
    assert scene.provider.peak == 10
    assert scene.provider.used(5, 120) >= 0.93 * 10 / 1.133  # the mean latency


def test_more_workers_than_calls_in_flight() -> None:
    """The workers take turns, and none starves."""
    scene = play(
        Limits(concurrency=2), lambda rng: SimulatedProvider(always(concurrency=2), rng), seconds=120, callers=4
    )
    assert scene.provider.refused == []
    answered = [worker.answered for worker in scene.workers]
    assert min(answered) > 0.5 * max(answered)


# Unknown limits

LEARN_S = 120.0


@pytest.mark.parametrize("retry_after", [True, False])
def test_an_unknown_rate_is_learned(retry_after: bool) -> None:
    scene = play(
        Limits(),
        lambda rng: SimulatedProvider(always(requests_per_minute=600), rng, latency=lognormal, retry_after=retry_after),
        seconds=400,
    )
    assert scene.provider.used(LEARN_S, 400) >= 0.93 * 10
    assert scene.provider.refused_share(LEARN_S, 400) < 0.01
    assert scene.provider.refused_share(0, 400) < 0.02


def test_an_unknown_rate_with_a_short_window() -> None:
    """The provider's window is 5 s: the learner does not assume a window of one minute."""
    scene = play(
        Limits(),
        lambda rng: SimulatedProvider(
            always(requests_per_minute=6000, window_s=5), rng, latency=lambda _: 0.05, retry_after=False
        ),
        seconds=120,
    )
    assert scene.provider.used(20, 120) >= 0.9 * 100
    assert scene.provider.refused_share(20, 120) < 0.01


def test_an_unknown_concurrency_is_learned() -> None:
    scene = play(
        Limits(),
        lambda rng: SimulatedProvider(always(concurrency=32), rng, latency=lognormal, retry_after=False),
        seconds=180,
    )
    assert scene.provider.used(60, 180) >= 0.9 * 32 / 1.133
    assert scene.provider.refused_share(0, 180) < 0.01


def test_a_limit_that_is_raised_is_used_again() -> None:
    scene = play(
        Limits(),
        lambda rng: SimulatedProvider(
            lambda now: HardLimits(requests_per_minute=600 if now < 200 else 1200), rng, latency=lognormal
        ),
        seconds=480,
    )
    assert scene.provider.used(400, 480) >= 0.9 * 20


def test_a_limit_that_is_lowered_is_kept() -> None:
    scene = play(
        Limits(),
        lambda rng: SimulatedProvider(
            lambda now: HardLimits(requests_per_minute=1200 if now < 200 else 600), rng, latency=lognormal
        ),
        seconds=480,
    )
    assert scene.provider.used(360, 480) >= 0.9 * 10
    assert scene.provider.refused_share(360, 480) < 0.01


def test_no_limit_is_found_where_there_is_none() -> None:
    """Without a limit, slow start ends with all callers in flight."""
    scene = play(Limits(), lambda rng: SimulatedProvider(always(), rng, latency=lognormal), seconds=30)
    assert scene.provider.peak == 128


def test_a_storm_is_outlived() -> None:
    """Throughput recovers after all calls of the first six seconds were refused, the worst time for it."""
    scene = play(
        Limits(),
        lambda rng: SimulatedProvider(always(), rng, latency=lognormal, storm=lambda now: now < 6),
        seconds=60,
    )
    assert len(scene.provider.refused) < 40
    assert scene.provider.used(40, 60) >= 0.9 * 128 / 1.133


# Sharing


def test_a_lost_workers_lease_comes_back() -> None:
    """One worker held the whole limit; after its lease has expired, the other holds it."""

    def lose(scene: Scene) -> None:
        scene.workers[0].vanish()
        scene.workers[1].work(32)

    scene = play(
        Limits(concurrency=10),
        lambda rng: SimulatedProvider(always(), rng, latency=lambda _: 1.0),
        seconds=60,
        workers=2,
        callers=0,
        events={0.0: lambda scene: scene.workers[0].work(32), 20.0: lose},
    )
    assert scene.provider.used(5, 20) >= 9
    assert scene.provider.used(28, 60) >= 9
    assert scene.workers[1].answered >= 9 * 30


@pytest.mark.parametrize("weight", [1, 4])
@pytest.mark.parametrize(
    "declared", [Limits(requests_per_minute=1200), Limits(tokens_per_minute=120_000), Limits(concurrency=20)]
)
def test_runs_share_fairly(declared: Limits, weight: int) -> None:
    """A run of three workers and a run of one get equal shares, or shares by weight."""

    def other_run(scene: Scene) -> None:
        last = scene.workers[3].limits
        last._holder = type(last._holder)("other", "w3", weight)
        for worker in scene.workers:
            worker.work(32)

    scene = play(
        declared,
        lambda rng: SimulatedProvider(always(), rng, latency=lambda _: 1.0),
        seconds=120,
        callers=0,
        events={0.0: other_run},
    )
    answered = [worker.answered for worker in scene.workers]
    assert 0.85 * weight <= answered[3] / sum(answered[:3]) <= (1.15 if weight == 1 else 1.3) * weight
    assert min(answered[:3]) > 0.4 * max(answered[:3])  # with four permits, one worker may hold two


def test_an_unused_share_goes_to_other_runs() -> None:
    """A run with little demand leaves the rest to the other run."""

    def one_caller(scene: Scene) -> None:
        scene.workers[0].work(1)
        scene.workers[1].work(64)

    scene = play(
        Limits(requests_per_minute=1200),
        lambda rng: SimulatedProvider(always(), rng, latency=lambda _: 1.0),
        seconds=120,
        workers=2,
        runs=2,
        callers=0,
        events={0.0: one_caller},
    )
    assert scene.provider.used(10, 120) >= 0.96 * 20


@pytest.mark.parametrize(
    ("declared", "hard"),
    [
        (Limits(requests_per_minute=600), always(requests_per_minute=600)),
        (Limits(tokens_per_minute=60_000), always(tokens_per_minute=60_000)),
        (Limits(concurrency=10), always(concurrency=10)),
    ],
)
def test_a_coordinator_that_is_lost_lets_nobody_exceed_a_limit(
    declared: Limits, hard: Callable[[float], HardLimits]
) -> None:
    """The coordinator is lost three times, and each successor starts without any state."""
    scene = play(
        declared,
        lambda rng: SimulatedProvider(hard, rng, latency=lognormal),
        seconds=180,
        events={at: lambda scene: scene.coordinator.lose(away_s=1.0, recovery_s=2.0) for at in (40.0, 80.0, 120.0)},
    )
    assert scene.provider.refused == []
    assert scene.provider.used(0, 180) >= 0.8 * (10 / 1.133 if declared.concurrency else 10)


def test_what_was_learned_outlives_the_coordinator() -> None:
    """The workers report what was learned to the next coordinator."""
    scene = play(
        Limits(),
        lambda rng: SimulatedProvider(always(requests_per_minute=600), rng, latency=lognormal),
        seconds=300,
        events={200.0: lambda scene: scene.coordinator.lose(away_s=1.0, recovery_s=2.0)},
    )
    assert scene.provider.refused_share(200, 300) < 0.02
    assert scene.provider.used(200, 300) >= 0.85 * 10


def test_the_snapshot_agrees_with_the_provider() -> None:
    seen = []
    scene = play(
        Limits(requests_per_minute=600),
        lambda rng: SimulatedProvider(always(requests_per_minute=600), rng),
        seconds=60,
        events={50.0: lambda scene: seen.append((scene.snapshot.accounts[0], len(scene.provider.admitted)))},
    )
    (status, admitted), provider = seen[0], scene.provider
    assert status.calls_per_s == pytest.approx(provider.used(40, 50), rel=0.1)
    assert status.answered == pytest.approx(admitted, abs=10)
    assert (status.requests_per_minute, status.source, status.refused) == (600.0, "declared", 0)
    assert status.waiting > 100


def test_lognormal_has_the_mean_that_the_tests_assume() -> None:
    rng = Dice(0)
    assert sum(lognormal(rng) for _ in range(20_000)) / 20_000 == pytest.approx(1.133, rel=0.02)
