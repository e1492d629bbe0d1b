"""Numbers of users and variants of scenarios, as the commands of datasets print them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from muses_eval.dashboards.tables.scenario import variant_values
from muses_eval.pipeline.episode.scenario import Scenario


def variant_counts(scenarios: Iterable[Scenario[Any]]) -> dict[str, dict[str, int]]:
    """Returns variant -> value -> number of scenarios."""
    counts: dict[str, Counter[str]] = {}
    for scenario in scenarios:
        for name, value in variant_values(scenario).items():
            counts.setdefault(name, Counter())[value] += 1
    return {name: dict(sorted(counter.items())) for name, counter in counts.items()}


def format_counts(variants: Mapping[str, Mapping[str, int]]) -> str:
    return "; ".join(
        f"{name} {', '.join(f'{value} {count}' for value, count in counts.items())}"
        for name, counts in variants.items()
    )


def user_counts(scenarios: Iterable[Scenario[Any]]) -> dict[int, int]:
    return dict(sorted(Counter(len(scenario.principals) for scenario in scenarios).items()))


def user_range(scenarios: Iterable[Scenario[Any]]) -> str:
    """Returns the smallest and largest number of users per scenario, as ``2-6``."""
    numbers = list(user_counts(scenarios))
    return "-".join(map(str, sorted({numbers[0], numbers[-1]})))
