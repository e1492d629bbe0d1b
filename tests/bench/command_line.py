"""The command of a benchmark that measures calls: its options, and its result as JSON."""

import argparse
import json
import sys
from collections.abc import Callable


def run_benchmark(program: str, measure: Callable[[int, int], dict[str, object]], calls: int, each: str) -> None:
    """Measures and prints the result.

    Args:
        program: name of the module.
        measure: measures a number of calls in a number of rounds.
        calls: number of calls by default.
        each: the unit that makes so many calls in a round.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {program}")
    parser.add_argument("--calls", type=int, default=calls, help=f"calls per {each} and round (default: {calls})")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the cheapest counts (default: 3)")
    options = parser.parse_args()
    json.dump(measure(options.calls, options.rounds), sys.stdout, indent=2)
    sys.stdout.write("\n")
