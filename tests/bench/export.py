"""Benchmark of exporting a large run: prints one JSON object.

    python -m tests.bench.export                      80,000 episodes with 960,000 messages
    python -m tests.bench.export --episodes 8000      the same, smaller

``seconds`` is the duration and ``megabytes`` the size of the file.  ``memory_mb`` is the increase in peak memory since
the process opened the store.  Each format runs in its own process.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.episode.score import SCORINGS, Score
from muses_eval.pipeline.episode.transcript import Message
from muses_eval.pipeline.families import FAMILIES
from muses_eval.pipeline.hashing import digest
from muses_eval.storage.export.tables import ExportFormat, ExportView, export_table
from muses_eval.storage.objects.object_keys import ShardKey
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.query.duckdb_connection import connect
from muses_eval.storage.runs.manifest import create_or_check
from muses_eval.storage.schema.parquet_schema import SCHEMA, episodes_table, to_parquet

from tests.bench.storage_bench import peak_mb
from tests.storage.samples import MANIFEST, SAMPLE

SHARD = 1000
TURNS = 12
WORDS = 60
"""Number of words of a message."""


def export(store: str, view: ExportView, form: ExportFormat, target: Path) -> dict[str, Any]:
    """Runs and measures one export."""
    with connect(store, "run-a") as connection:
        before, start = peak_mb(), time.perf_counter()
        rows = export_table(connection, view, form, target, replace=True)
        seconds = round(time.perf_counter() - start, 2)
    return {
        "view": view,
        "form": form,
        "rows": rows,
        "seconds": seconds,
        "megabytes": target.stat().st_size // 10**6,
        "memory_mb": peak_mb() - before,
    }


def _episodes() -> Iterator[Episode]:
    """Generates the episodes of one shard, of all families in turn."""
    dice, families = random.Random(0), sorted(FAMILIES)
    words = ["".join(dice.choices("etaoinshrdlu", k=dice.randint(2, 9))) for _ in range(2000)]
    for number in range(SHARD):
        family = families[number % len(families)]
        scores = (Score(scoring, metric, dice.random()) for scoring in SCORINGS for metric in FAMILIES[family].metrics)
        messages = (Message(turn, "agent", ("Ana",), " ".join(dice.choices(words, k=WORDS))) for turn in range(TURNS))
        yield replace(
            SAMPLE,
            episode_id=digest(number),
            family=family,
            scenario_id=f"{family}-{number}",
            scores=tuple(scores),
            messages=tuple(messages),
        )


def _fill(store: ObjectStore, shards: int) -> None:
    """Writes shards with the same rows but different episode ids."""
    create_or_check(store, MANIFEST)
    rows = episodes_table(list(_episodes()))
    for number in range(shards):
        ids = pa.array([digest([number, row]) for row in range(SHARD)])
        table = rows.set_column(0, SCHEMA.field(0), ids)
        store.put_if_absent(str(ShardKey("run-a", "model-a", "all", number, 1)), to_parquet(table))


def main() -> None:
    """Runs the benchmark and prints its results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--episodes", type=int, default=80_000)
    parser.add_argument("--one", nargs=4, metavar=("STORE", "VIEW", "FORM", "TARGET"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        store, view, form, target = arguments.one
        print(json.dumps(export(store, view, form, Path(target))))  # noqa: T201
        return
    with tempfile.TemporaryDirectory(prefix="muses-bench-") as name:
        store = f"{name}/store"
        _fill(open_store(store), max(1, arguments.episodes // SHARD))
        found = []
        for view in ("messages", "episodes"):
            for form in get_args(ExportFormat):
                command = [sys.executable, "-m", "tests.bench.export", "--one", store, view, form, f"{name}/out"]
                found.append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
    print(json.dumps(found, indent=2))  # noqa: T201 - the output of the benchmark


if __name__ == "__main__":
    main()
