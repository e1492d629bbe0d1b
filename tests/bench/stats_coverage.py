"""Simulated coverage and error rates of the statistics: prints one JSON object.

    python -m tests.bench.stats_coverage                        20,000 repetitions per design; some minutes
    python -m tests.bench.stats_coverage --repetitions 2000     the same, coarser

``coverage``: share of 95 % intervals that contain the true value, for one model's mean and for the difference of two
models.  ``claims``: share of runs of equally good models in which any difference is significant (5 % at most).
``bands``: share of runs in which every model's rank lies in its band (95 % or more).  ``power``: share of runs in
which the smallest detectable difference of a design is significant (80 %).
``proportions``: coverage of the intervals of proportions, summed over all outcomes rather than simulated.  ``edges``:
the same near 0 and 1, where mean ± t · SE covers too little, beside the Wilson interval.
"""

import argparse
import json
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from muses_eval.storage.analysis.intervals import Bounds, exact_interval, wilson_interval
from muses_eval.storage.analysis.multiple_comparisons import Correction, adjusted
from muses_eval.storage.analysis.paired_t_test import Difference, paired_t_test
from muses_eval.storage.analysis.power import Design, smallest_difference
from muses_eval.storage.analysis.rank_bands import rank_bands

from tests.storage.clustered_means import clustered_means


@dataclass(frozen=True, slots=True)
class Population:
    """Scenarios of different difficulty, each played several times by every model.

    ``graded``: scores are normal around a model's true score on the scenario.  ``binary``: right or wrong, with a
    probability that is uniform over the scenarios and, for half of them, the same for every model.
    """

    kind: Literal["graded", "binary"]
    scenarios: int
    epochs: int
    means: tuple[float, ...] = (0.5, 0.5)
    """Means of the models' true scores; 0.5 for binary models."""
    sd_scenarios: float = 0.3
    sd_epochs: float = 0.2
    correlation: float = 0.5

    def draw(self, dice: random.Random) -> list[list[float]]:
        """Simulates one run; returns each model's scores, ordered by scenario."""
        scores: list[list[float]] = [[] for _ in self.means]
        own, shared = math.sqrt(1 - self.correlation), math.sqrt(self.correlation)
        for _ in range(self.scenarios):
            common, chance, easy = dice.gauss(), dice.random(), dice.random() < 0.5
            for mean, values in zip(self.means, scores, strict=True):
                if self.kind == "binary":
                    true = chance if easy else dice.random()
                    values += [float(dice.random() < true) for _ in range(self.epochs)]
                else:
                    true = mean + self.sd_scenarios * (shared * common + own * dice.gauss())
                    values += [dice.gauss(true, self.sd_epochs) for _ in range(self.epochs)]
        return scores

    @property
    def clusters(self) -> list[int]:
        return [number for number in range(self.scenarios) for _ in range(self.epochs)]


def coverage(population: Population, repetitions: int, dice: random.Random) -> dict[str, float]:
    """Returns the share of intervals of each kind that contain the true value."""
    runs = [population.draw(dice) for _ in range(repetitions)]
    alone = _tested([first for first, _ in runs], population)
    paired = _tested([_differences(first, second) for first, second in runs], population)
    truth = population.means[0] - population.means[1]
    return {
        "mean": sum(_holds(one, population.means[0]) for one in alone) / repetitions,
        "paired": sum(_holds(one, truth) for one in paired) / repetitions,
    }


def compared(
    population: Population, correction: Correction, repetitions: int, dice: random.Random
) -> list[set[tuple[str, str]]]:
    """Returns the significant (winner, loser) pairs of each of several runs; models are named by number."""
    runs = [population.draw(dice) for _ in range(repetitions)]
    pairs = list(combinations(range(len(population.means)), 2))
    tested = iter(_tested([_differences(run[a], run[b]) for run in runs for a, b in pairs], population))
    return [_claims(pairs, [next(tested) for _ in pairs], correction) for _ in runs]


def _claims(
    pairs: Sequence[tuple[int, int]], tested: Sequence[Difference], correction: Correction
) -> set[tuple[str, str]]:
    p_values = adjusted([one.p for one in tested if one.p is not None], correction)
    return {
        (str(a), str(b)) if one.mean > 0 else (str(b), str(a))
        for (a, b), one, p in zip(pairs, tested, p_values, strict=True)
        if p <= 0.05
    }


def _tested(samples: Sequence[Sequence[float]], population: Population) -> list[Difference]:
    return [paired_t_test(mean, se, population.scenarios) for mean, se in clustered_means(samples, population.clusters)]


def _differences(first: Sequence[float], second: Sequence[float]) -> list[float]:
    return [a - b for a, b in zip(first, second, strict=True)]


def false_claims(population: Population, correction: Correction, repetitions: int, dice: random.Random) -> float:
    """Returns the share of runs with any significant difference between equally good models."""
    return sum(map(bool, compared(population, correction, repetitions, dice))) / repetitions


def bands_hold(population: Population, repetitions: int, dice: random.Random) -> float:
    """Returns the share of runs in which every model's rank lies in its band."""
    names = [str(number) for number in range(len(population.means))]
    good = 0
    for claims in compared(population, "holm", repetitions, dice):
        bands = rank_bands(names, claims)
        good += all(_rank_in(bands[name], population.means, number) for number, name in enumerate(names))
    return good / repetitions


def power(design: Design, repetitions: int, dice: random.Random) -> float:
    """Returns the share of runs in which the design's smallest detectable difference is significant."""
    gap = smallest_difference(design)
    assert gap is not None
    assert design.correlation is not None
    population = Population(
        "graded",
        design.scenarios,
        design.epochs,
        (0.5 + gap, 0.5),
        design.sd_scenarios,
        design.sd_epochs,
        design.correlation,
    )
    runs = [population.draw(dice) for _ in range(repetitions)]
    shown = 0
    for found in _tested([_differences(first, second) for first, second in runs], population):
        assert found.p is not None
        shown += found.p <= design.alpha / design.comparisons
    return shown / repetitions


def proportion_coverage(method: Literal["wilson", "exact"], trials: int) -> tuple[float, float]:
    """Returns the mean and the minimum coverage of the 95 % interval over the proportions 0.01 to 0.99."""
    interval = wilson_interval if method == "wilson" else exact_interval
    intervals = [interval(successes, trials) for successes in range(trials + 1)]
    shares = [sum(_chances_held(intervals, trials, step / 100)) for step in range(1, 100)]
    return math.fsum(shares) / len(shares), min(shares)


def edge_coverage(method: Literal["t", "wilson"], trials: int, true: float) -> float:
    """Returns the coverage of the 95 % interval of binary scores with the true proportion *true*, one epoch."""
    counts = range(trials + 1)
    intervals = _t_intervals(trials) if method == "t" else [wilson_interval(count, trials) for count in counts]
    return math.fsum(_chances_held(intervals, trials, true))


def _t_intervals(trials: int) -> list[Bounds]:
    """Returns mean ± t · SE for every number of successes."""
    samples = [[1.0] * successes + [0.0] * (trials - successes) for successes in range(trials + 1)]
    intervals = [paired_t_test(mean, se, trials).interval() for mean, se in clustered_means(samples, range(trials))]
    return [interval for interval in intervals if interval is not None]


def _chances_held(intervals: Sequence[Bounds], trials: int, true: float) -> Iterator[float]:
    for successes, bounds in enumerate(intervals):
        if bounds.low <= true <= bounds.high:
            yield math.comb(trials, successes) * true**successes * (1 - true) ** (trials - successes)


def _holds(found: Difference, truth: float) -> bool:
    interval = found.interval()
    return interval is not None and interval.low <= truth <= interval.high


def _rank_in(band: tuple[int, int], means: Sequence[float], number: int) -> bool:
    better = sum(mean > means[number] for mean in means)
    worse = sum(mean < means[number] for mean in means)
    return band[0] <= 1 + better and band[1] >= len(means) - worse


def main() -> None:
    """Runs the simulations and prints their results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=20_000)
    repetitions = parser.parse_args().repetitions
    dice = random.Random(2024)
    equal, spread = (0.5,) * 5, (0.6, 0.5, 0.5, 0.45, 0.3)
    result = {
        "repetitions": repetitions,
        "coverage": [
            {"kind": kind, "scenarios": n, "epochs": epochs} | coverage(Population(kind, n, epochs), repetitions, dice)  # type: ignore[arg-type]
            for kind in ("graded", "binary")
            for n in (10, 30, 100)
            for epochs in (1, 4)
        ],
        "claims": {
            correction: false_claims(Population("graded", 50, 2, equal), correction, repetitions // 10, dice)  # type: ignore[arg-type]
            for correction in ("holm", "bh")
        },
        "bands": bands_hold(Population("graded", 50, 2, spread), repetitions // 10, dice),
        "power": {
            str(n): power(Design(scenarios=n, epochs=2, sd_scenarios=0.3, sd_epochs=0.2), repetitions // 2, dice)
            for n in (5, 20, 100)
        },
        "proportions": {
            f"{method} {n}": dict(zip(("mean", "least"), proportion_coverage(method, n), strict=True))  # type: ignore[arg-type]
            for method in ("wilson", "exact")
            for n in (10, 50, 200)
        },
        "edges": {
            f"{true} of {n}": {method: edge_coverage(method, n, true) for method in ("t", "wilson")}  # type: ignore[arg-type]
            for true in (0.5, 0.9, 0.95, 0.99)
            for n in (12, 30, 100, 300)
        },
    }
    print(json.dumps(result, indent=2))  # noqa: T201 - the output of the benchmark


if __name__ == "__main__":
    main()
