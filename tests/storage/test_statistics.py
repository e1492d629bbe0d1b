"""Statistics compared with values computed by hand, with scipy and statsmodels, and with simulated coverage.

The tests import scipy and statsmodels, since at the top of the file each process of a test run would import them.
"""

import math
import random
import statistics
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings, strategies as st
from muses_eval.storage.analysis.intervals import Bounds, exact_interval, wilson_interval, worst_case_bounds
from muses_eval.storage.analysis.mean_estimate import MeanEstimate
from muses_eval.storage.analysis.multiple_comparisons import adjusted, benjamini_hochberg, holm
from muses_eval.storage.analysis.paired_t_test import Difference, average_difference, paired_t_test
from muses_eval.storage.analysis.power import Design, smallest_difference
from muses_eval.storage.analysis.rank_bands import RankBand, rank_bands
from muses_eval.storage.analysis.student_t import t_quantile, t_sf

from tests.bench.stats_coverage import (
    Population,
    bands_hold,
    coverage,
    edge_coverage,
    false_claims,
    power,
    proportion_coverage,
)
from tests.storage.clustered_means import clustered_mean, clustered_means, mean_of_means, paired_difference

unit = st.floats(0, 1)
grid = st.integers(0, 1000).map(lambda steps: steps / 1000)
"""Scores in steps of 0.001, so that no difference is a rounding error."""
p_values = st.lists(unit, max_size=30)


def test_by_hand() -> None:
    """For two scenarios of two epochs, residuals add up to -1 and +1, so SE² = 2/1 · (1 + 1) / 16."""
    assert clustered_mean([0, 0, 1, 1], ["a", "a", "b", "b"]) == MeanEstimate(0.5, 0.5)
    assert clustered_mean([0, 1, 0, 1], ["a", "a", "b", "b"]) == MeanEstimate(0.5, 0.0)


def test_too_little_to_tell() -> None:
    """One scenario gives no standard error, however often it was played."""
    assert clustered_mean([0.0, 1.0], ["a", "a"]) == MeanEstimate(0.5, None)


@given(st.lists(unit, min_size=2, max_size=30))
def test_clusters_of_one_are_the_usual_error(values: list[float]) -> None:
    """Without repetitions the standard error is s / sqrt(n)."""
    found = clustered_mean(values, range(len(values)))
    assert found.mean == pytest.approx(statistics.fmean(values))
    assert found.se == pytest.approx(statistics.stdev(values) / math.sqrt(len(values)), abs=1e-12)


@given(st.lists(unit, min_size=2, max_size=10), st.integers(1, 5))
def test_repeating_adds_no_certainty(values: list[float], epochs: int) -> None:
    """The same score in every epoch counts as one observation per scenario, not as several."""
    once = clustered_mean(values, range(len(values)))
    often = clustered_mean(values * epochs, [*range(len(values))] * epochs)
    assert often.se == pytest.approx(once.se, abs=1e-12)


def test_mean_of_means() -> None:
    """Squared errors are added; one unknown error makes the error of the mean unknown."""
    assert mean_of_means([MeanEstimate(0.25, 0.3), MeanEstimate(0.75, 0.4)]) == MeanEstimate(0.5, 0.25)
    assert mean_of_means([MeanEstimate(0.25, 0.3), MeanEstimate(0.75, None)]) == MeanEstimate(0.5, None)


@given(st.lists(unit, max_size=10), st.lists(unit, max_size=10))
def test_bounds_hold_whatever_is_missing(known: list[float], missing: list[float]) -> None:
    """The mean over all episodes lies within the bounds, and both bounds can be reached."""
    everything = known + missing
    if not everything:
        return
    mean = statistics.fmean(known) if known else None
    found = worst_case_bounds(mean, len(known), len(everything))
    assert found.low - 1e-9 <= statistics.fmean(everything) <= found.high + 1e-9
    assert found.low == pytest.approx(statistics.fmean(known + [0.0] * len(missing)))
    assert found.high == pytest.approx(statistics.fmean(known + [1.0] * len(missing)))


def test_nothing_known() -> None:
    """Without scored episodes the bounds are 0 and 1."""
    assert worst_case_bounds(None, 0, 5) == Bounds(0.0, 1.0)


def test_bounds_of_nothing_and_of_too_much() -> None:
    """Without a plan the bounds are 0 and 1; more scores than planned raise ValueError."""
    assert worst_case_bounds(None, 0, 0) == Bounds(0.0, 1.0)
    with pytest.raises(ValueError, match="6 episodes are scored of 5"):
        worst_case_bounds(0.5, 6, 5)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused(bad: float) -> None:
    """The message names the value and its position."""
    with pytest.raises(ValueError, match=f"value 1 of 2 is {bad!r}"):
        paired_t_test(0.5, bad, 2)
    with pytest.raises(ValueError, match="value 0 of 1"):
        paired_t_test(bad, None, 1)
    with pytest.raises(ValueError, match="p-value 1 of 2 is"):
        holm([0.5, bad])
    with pytest.raises(ValueError, match="sd_epochs"):
        smallest_difference(Design(scenarios=5, sd_epochs=bad))


@given(st.floats(-60, 60), st.floats(1, 2000))
def test_students_t_is_scipys(t: float, df: float) -> None:
    import scipy.stats

    assert t_sf(t, df) == pytest.approx(scipy.stats.t.sf(t, df), rel=1e-9, abs=1e-280)


@given(st.floats(1e-9, 1 - 1e-9), st.floats(1, 2000))
def test_the_quantiles_of_t_are_scipys(probability: float, df: float) -> None:
    import scipy.stats

    assert t_quantile(probability, df) == pytest.approx(scipy.stats.t.ppf(probability, df), rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("probability", [0.0, 1.0, -0.1, 1.5, math.nan])
def test_quantiles_of_no_probability(probability: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        t_quantile(probability, 5)


@given(st.integers(1, 3000), st.data(), st.sampled_from([0.8, 0.95, 0.99]))
def test_intervals_of_proportions_are_those_of_statsmodels(trials: int, data: st.DataObject, level: float) -> None:
    from statsmodels.stats.proportion import proportion_confint

    successes = data.draw(st.sampled_from([0, 1, trials - 1, trials]) | st.integers(0, trials))
    for ours, method in ((wilson_interval, "wilson"), (exact_interval, "beta")):
        theirs = proportion_confint(successes, trials, 1 - level, method)
        assert ours(successes, trials, level) == pytest.approx(Bounds(*theirs), abs=1e-9)


def test_proportions_of_nothing_and_of_nonsense() -> None:
    for interval in (wilson_interval, exact_interval):
        assert interval(0, 0) == Bounds(0.0, 1.0)
        assert interval(0, 5).low == 0.0
        assert interval(5, 5).high == 1.0
        for successes, trials in ((-1, 5), (6, 5), (math.nan, 5)):
            with pytest.raises(ValueError, match="expected between 0 and the number of trials"):
                interval(successes, trials)  # type: ignore[arg-type]


@given(st.lists(st.tuples(grid, grid), min_size=2, max_size=30))
def test_pairs_without_repetition_are_the_paired_t_test(pairs: list[tuple[float, float]]) -> None:
    import scipy.stats

    first, second = map(list, zip(*pairs, strict=True))
    assume(statistics.pvariance([a - b for a, b in pairs]) > 1e-9)
    found = paired_difference(first, second, range(len(pairs)))
    theirs = scipy.stats.ttest_rel(first, second)
    assert found.p == pytest.approx(theirs.pvalue, rel=1e-6)
    assert found.df == theirs.df
    assert found.interval(0.9) == pytest.approx(Bounds(*theirs.confidence_interval(0.9)), abs=1e-9)


@given(st.lists(st.tuples(grid, grid, st.integers(0, 5)), min_size=3, max_size=40))
def test_pairs_in_clusters_are_a_clustered_regression(pairs: list[tuple[float, float, int]]) -> None:
    """The mean difference is the constant of a regression with cluster-robust errors and G - 1 degrees of freedom."""

    import scipy.stats
    from statsmodels.regression.linear_model import OLS

    first, second, clusters = map(list, zip(*pairs, strict=True))
    count = len(set(clusters))
    found = paired_difference(first, second, clusters)
    if count < 2:
        assert found == Difference(found.mean, None, None, None)
        return
    assert found.se is not None
    assume(found.se > 1e-6)
    values = [a - b for a, b in zip(first, second, strict=True)]
    fit = OLS(values, [1.0] * len(values)).fit(cov_type="cluster", cov_kwds={"groups": clusters}, use_t=True)
    assert found.se == pytest.approx(fit.bse[0], rel=1e-6)
    assert found.p == pytest.approx(2 * scipy.stats.t.sf(abs(fit.tvalues[0]), count - 1), rel=1e-6)


def test_differences_that_cannot_be_tested() -> None:
    """No parts give None; one scenario gives a mean without error, however often it was played."""
    assert average_difference([], 1) is None
    once = paired_difference([1.0, 1.0], [0.5, 0.25], ["a", "a"])
    assert once == Difference(0.625, None, None, None)
    assert (once.interval(), once.detectable()) == (None, None)


@pytest.mark.parametrize("count", [2, 6, 40, 3000])
def test_differences_that_are_all_the_same(count: int) -> None:
    """Equal differences have no error, so p is that of the sign test, not 0."""
    rounding = [0.1 + 0.2 if number % 2 else 0.3 for number in range(count)]
    found = paired_difference(rounding, [0.1] * count, range(count))
    assert found.mean == pytest.approx(0.2)
    assert found.p == 2.0 ** (1 - count)
    assert paired_difference(rounding, [0.3] * count, range(count)) == pytest.approx(
        Difference(0, 0, count - 1, 1.0), abs=1e-12
    )


def test_the_sign_test_is_that_of_scipy() -> None:
    """For six positive differences out of six, the p-value equals that of scipy's sign test."""

    import scipy.stats

    found = paired_difference([1.0] * 6, [0.0] * 6, range(6))
    assert found.p == pytest.approx(scipy.stats.binomtest(6, 6).pvalue)


def test_an_average_adds_families_and_keeps_columns_together() -> None:
    """Two columns of the same episodes that always sum to 1 add no variance."""
    dice = random.Random(3)
    privacy = [float(dice.random() < 0.5) for _ in range(20)]
    kept = paired_t_test(*_mean_and_se([value + (1 - value) - 0.7 for value in privacy]), 20)
    queue_values = [dice.random() - 0.3 for _ in range(15)]
    queue = paired_t_test(*_mean_and_se(queue_values), 15)
    average = average_difference([kept, queue], 3)
    assert average is not None
    assert queue.se is not None
    assert average.mean == pytest.approx((0.3 + statistics.fmean(queue_values)) / 3)
    assert average.se == pytest.approx(queue.se / 3)
    assert average.df == pytest.approx(14)


def test_an_average_of_independent_families_is_welchs() -> None:
    """Over two families the test is that of a sum; with one sign reversed, it is Welch's test of a difference."""

    import scipy.stats

    dice = random.Random(4)
    first, second = ([dice.random() for _ in range(count)] for count in (9, 14))
    parts = [paired_t_test(*_mean_and_se(first), 9), paired_t_test(*_mean_and_se([-value for value in second]), 14)]
    average = average_difference(parts, 2)
    theirs = scipy.stats.ttest_ind(first, second, equal_var=False)
    assert average is not None
    assert (average.p, average.df) == (pytest.approx(theirs.pvalue), pytest.approx(theirs.df))
    assert average.mean == pytest.approx((statistics.fmean(first) - statistics.fmean(second)) / 2)


def test_an_average_of_what_does_not_vary() -> None:
    """Without variance, p is that of the sign test over all families; None when signs differ or a test is missing."""
    up, down = paired_t_test(0.5, 0.0, 4), paired_t_test(-0.25, 0.0, 3)
    assert average_difference([up, up], 2) == Difference(0.5, 0.0, 6, 2.0**-7)
    assert average_difference([up, down], 2) == Difference(0.125, 0.0, 5, None)
    assert average_difference([paired_t_test(0.0, 0.0, 4)], 1) == Difference(0.0, 0.0, 3, 1.0)
    assert average_difference([up, paired_t_test(0.1, None, 1)], 2) == Difference(0.3, None, None, None)


def _mean_and_se(values: list[float]) -> MeanEstimate:
    return clustered_mean(values, range(len(values)))


@given(p_values)
@settings(max_examples=15)
def test_corrections_are_those_of_scipy_and_statsmodels(values: list[float]) -> None:
    import scipy.stats
    from statsmodels.stats.multitest import multipletests

    expected = list(multipletests(values, method="holm")[1]) if values else []
    assert holm(values) == pytest.approx(expected, rel=1e-12, abs=1e-300)
    expected = list(scipy.stats.false_discovery_control(values)) if values else []
    assert benjamini_hochberg(values) == pytest.approx(expected, rel=1e-12, abs=1e-300)
    assert adjusted(values, "holm") == holm(values)
    assert adjusted(values, "bh") == benjamini_hochberg(values)


@given(p_values)
def test_corrections_keep_the_order_and_only_raise(values: list[float]) -> None:
    for corrected in (holm(values), benjamini_hochberg(values)):
        both = sorted(zip(values, corrected, strict=True))
        assert all(value <= raised <= 1 or raised == pytest.approx(value) for value, raised in both)
        ordered = [raised for _, raised in both]
        assert all(low <= high for low, high in pairwise(ordered))


def test_bands_by_hand() -> None:
    """Model a beats c and d, and b beats d; all other differences are not significant."""
    found = rank_bands(["a", "b", "c", "d"], [("a", "c"), ("a", "d"), ("b", "d"), ("a", "c"), ("a", "stranger")])
    assert found == {"a": RankBand(1, 2), "b": RankBand(1, 3), "c": RankBand(2, 4), "d": RankBand(3, 4)}
    assert [str(band) for band in found.values()] == ["1-2", "1-3", "2-4", "3-4"]
    assert rank_bands([], []) == {}
    assert str(rank_bands(["a"], [])["a"]) == "1"


@given(st.permutations(["a", "b", "c", "d", "e"]))
def test_bands_are_ranks_where_everything_is_known(order: list[str]) -> None:
    better = [(winner, loser) for place, winner in enumerate(order) for loser in order[place + 1 :]]
    assert rank_bands(sorted(order), better) == {
        name: RankBand(place, place) for place, name in enumerate(order, start=1)
    }


@given(st.integers(20, 500), st.floats(0.7, 0.9), st.floats(0.01, 0.1))
def test_the_smallest_difference_has_the_power_that_statsmodels_says(n: int, wanted: float, alpha: float) -> None:
    """The power is that of statsmodels' noncentral t; the variance of a difference is 1 in the first design, then 2."""

    from statsmodels.stats.power import TTestIndPower, TTestPower

    half = math.sqrt(0.5)
    paired = Design(scenarios=n, sd_scenarios=half, sd_epochs=0, correlation=0, alpha=alpha, power=wanted)
    assert TTestPower().power(smallest_difference(paired), n, alpha) == pytest.approx(wanted, abs=0.01)
    unpaired = Design(scenarios=n, sd_scenarios=0, sd_epochs=1, correlation=None, alpha=alpha, power=wanted)
    assert TTestIndPower().power(smallest_difference(unpaired), n, alpha) == pytest.approx(wanted, abs=0.01)


def test_what_makes_a_difference_smaller() -> None:
    """The smallest difference falls with scenarios, epochs and correlation, and grows with comparisons and power."""
    base = smallest_difference(Design(scenarios=50))
    assert base is not None
    for changes in ({"scenarios": 100}, {"epochs": 4}, {"correlation": 0.8}):
        better = smallest_difference(Design(**{"scenarios": 50} | changes))
        assert better is not None
        assert better < base
    for changes in ({"comparisons": 10}, {"power": 0.9}, {"alpha": 0.01}, {"correlation": None}):
        worse = smallest_difference(Design(**{"scenarios": 50} | changes))
        assert worse is not None
        assert worse > base
    ten = smallest_difference(Design(scenarios=50, comparisons=10))
    assert ten == smallest_difference(Design(scenarios=50, alpha=0.005))


def test_designs_that_show_nothing_and_designs_that_are_none() -> None:
    assert smallest_difference(Design(scenarios=0)) is None
    assert smallest_difference(Design(scenarios=1, epochs=100)) is None
    for changes, name in (
        ({"scenarios": -1}, "scenarios = -1"),
        ({"epochs": 0}, "epochs = 0"),
        ({"comparisons": 0}, "comparisons = 0"),
        ({"sd_scenarios": -0.1}, "sd_scenarios = -0.1"),
        ({"alpha": 0.0}, "alpha = 0.0"),
        ({"power": 1.0}, "power = 1.0"),
        ({"correlation": 1.5}, "correlation = 1.5"),
    ):
        with pytest.raises(ValueError, match=name):
            smallest_difference(Design(**{"scenarios": 5} | changes))


def test_a_difference_knows_what_it_could_have_shown() -> None:
    """A measured difference has the same smallest detectable difference as a plan with an equal standard error."""
    planned = smallest_difference(Design(scenarios=30, sd_scenarios=math.sqrt(0.5), sd_epochs=0, correlation=0))
    found = paired_t_test(0.1, math.sqrt(1 / 30), 30)
    assert found.detectable() == pytest.approx(planned)


@pytest.mark.parametrize(
    "population", [Population("graded", 20, 3), Population("binary", 40, 4)], ids=lambda one: one.kind
)
def test_intervals_hold_the_truth_as_often_as_they_say(population: Population) -> None:
    """95 % intervals cover the truth in 95 % of 4,000 runs, within 1 %; the standard error of this count is 0.3 %."""
    shares = coverage(population, 4000, random.Random(11))
    assert shares == pytest.approx(dict.fromkeys(shares, 0.95), abs=0.01)


def test_epochs_taken_for_scenarios_would_be_too_sure() -> None:
    """Without clustering by scenario, the intervals cover the truth far too rarely."""
    dice, population, hits = random.Random(12), Population("graded", 20, 4), 0
    samples = [population.draw(dice)[0] for _ in range(500)]
    size = len(samples[0])
    for mean, se in clustered_means(samples, range(size)):
        naive = paired_t_test(mean, se, size).interval()
        assert naive is not None
        hits += naive.low <= 0.5 <= naive.high
    assert hits / 500 < 0.85


def test_corrections_hold_the_chance_of_a_false_claim() -> None:
    """Without correction, all pairs of five equal models would give a false claim in one run of four."""
    population = Population("graded", 30, 1, means=(0.5,) * 5)
    for correction in ("holm", "bh"):
        assert false_claims(population, correction, 600, random.Random(13)) < 0.07


def test_bands_hold_the_true_ranks() -> None:
    population = Population("graded", 30, 1, means=(0.6, 0.5, 0.5, 0.45, 0.3))
    assert bands_hold(population, 600, random.Random(14)) > 0.94


def test_the_smallest_difference_is_shown_as_often_as_promised() -> None:
    design = Design(scenarios=25, epochs=2, sd_scenarios=0.3, sd_epochs=0.2, comparisons=3)
    assert power(design, 2500, random.Random(15)) == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("trials", [10, 60])
def test_intervals_of_proportions_cover(trials: int) -> None:
    """Over all outcomes, the exact interval covers at least 95 %, and Wilson's covers 95 % on average."""
    assert proportion_coverage("exact", trials)[1] >= 0.95
    assert proportion_coverage("wilson", trials)[0] == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize(("true", "trials"), [(0.95, 30), (0.95, 100), (0.99, 100)])
def test_near_the_ends_only_wilsons_interval_covers(true: float, trials: int) -> None:
    """Near 0 and 1 the t interval covers too rarely, so docs/statistics.md recommends Wilson's."""
    assert edge_coverage("t", trials, true) < 0.9 < edge_coverage("wilson", trials, true)
    assert edge_coverage("t", 100, 0.5) == pytest.approx(0.95, abs=0.01)
