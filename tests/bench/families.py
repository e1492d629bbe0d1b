"""Benchmark of the families: ``python -m tests.bench.families`` prints JSON.

CPU milliseconds to score one stored episode in both scorings (several built-in agents, generated scenarios, caches warm
as in a long run), and CPU seconds to generate the dataset ``paper``.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time

from muses_eval.pipeline.datasets.dataset import generate_dataset
from muses_eval.pipeline.families import FAMILIES
from muses_eval.workers.providers.scripted import play_scripted

SCENARIOS = "40"


def scoring(name: str) -> dict[str, float]:
    family = FAMILIES[name]
    costs = []
    for scenario in generate_dataset(SCENARIOS, 1, [name]).scenarios(name):
        for kind in ("oracle", "compliant", "refuse", "random"):
            transcript = asyncio.run(play_scripted(family, scenario, kind, 1)).transcript  # type: ignore[arg-type]
            start = time.process_time()
            family.score(scenario, transcript)
            costs.append(1000 * (time.process_time() - start))
    return {"median_ms": round(statistics.median(costs), 3), "p95_ms": round(statistics.quantiles(costs, n=20)[-1], 3)}


def main() -> None:
    argparse.ArgumentParser(prog="python -m tests.bench.families", description=__doc__).parse_args()
    start = time.process_time()
    for name in FAMILIES:
        scoring_of_one = next(iter(generate_dataset("1", 0, [name]).scenarios(name)))
        asyncio.run(play_scripted(FAMILIES[name], scoring_of_one, "oracle"))  # warms the lazily loaded data
    generated = time.process_time()
    sizes = {name: len(generate_dataset("paper", 0, [name]).scenarios(name)) for name in FAMILIES}
    done = time.process_time()
    report = {
        "first_use_s": round(generated - start, 2),
        "generate_paper_s": round(done - generated, 2),
        "scenarios": sizes,
        "score_an_episode": {name: scoring(name) for name in FAMILIES},
    }
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
