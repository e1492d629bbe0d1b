"""What storing and reading cost: prints one JSON object.

    python -m tests.bench.storage_bench                       200,000 episodes in 6,250 shards, then 1,000,000 in 16
    python -m tests.bench.storage_bench --episodes 6400       the same, smaller

``shard_write_cpu_ms``: one shard of 64 episodes to Parquet and into a folder.  ``index_read_s``: which episodes of a
run are scored, as a resume asks.  ``leaderboard_s``: over the same shards, and over few large objects as sealing
leaves them.  Seconds are wall time, the best of three.
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from pipeline.episode import Episode
from pipeline.hashing import digest
from pipeline.scores import SCORINGS, Score
from pipeline.transcript import Message
from storage.layout import ShardKey
from storage.leaderboard import COLUMNS, leaderboard
from storage.manifest import create_or_check
from storage.objects import ObjectStore, open_store
from storage.schema import SCHEMA, episodes_table, to_parquet
from storage.shards import read_index, write_shard
from storage.sql import connect
from tests.storage.samples import MANIFEST, SAMPLE

SHARD = 64
FAMILIES = ("queue", "instruct", "access", "meeting")
OTHER_METRICS = ("mais", "precision", "parse_ok", "social_welfare", "tokens", "latency")


def _episodes(count: int, turns: int) -> Iterator[Episode]:
    """Episodes with transcripts of *turns* messages of 60 words."""
    dice = random.Random(0)
    words = ["".join(dice.choices("etaoinshrdlu", k=dice.randint(2, 9))) for _ in range(2000)]
    for number in range(count):
        family = FAMILIES[number % len(FAMILIES)]
        metrics = [metric for other, metric in COLUMNS.values() if other == family]
        scores = (
            Score(scoring, metric, dice.random()) for scoring in SCORINGS for metric in (*metrics, *OTHER_METRICS)
        )
        messages = (Message(turn, "agent", ("Ana",), " ".join(dice.choices(words, k=60))) for turn in range(turns))
        yield replace(
            SAMPLE,
            episode_id=digest(number),
            model=f"model-{number // len(FAMILIES) % 10}",
            family=family,
            scenario_id=f"{family}-{number % 500}",
            scores=tuple(scores),
            messages=tuple(messages),
        )


def _renamed(table: pa.Table, number: int) -> pa.Table:
    """The same rows as episodes of their own."""
    ids = pa.array([digest(number, row) for row in range(table.num_rows)])
    return table.set_column(0, SCHEMA.field(0), ids)


def _fill(store: ObjectStore, base: pa.Table, shards: int) -> None:
    for number in range(shards):
        key = ShardKey("run-a", "model", "all", number, 1)
        store.put_if_absent(str(key), to_parquet(_renamed(base, number)))
    planned = {(f"model-{model}", family): base.num_rows * shards // 40 for model in range(10) for family in FAMILIES}
    create_or_check(store, replace(MANIFEST, planned=planned))


def _best(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return round(min(seconds), 3)


def _write_cpu_ms(folder: Path) -> float:
    episodes, store, repeats = list(_episodes(SHARD, 12)), open_store(str(folder / "written")), 20
    start = time.process_time()
    for number in range(repeats):
        write_shard(store, ShardKey("run-a", "model", "all", number, 1), episodes)
    return round((time.process_time() - start) / repeats * 1000, 2)


def _leaderboard(store: ObjectStore) -> None:
    with connect(store.url) as connection:
        assert len(leaderboard(connection)) == 10


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--episodes", type=int, default=200_000, help="episodes in small shards; five times as many large"
    )
    episodes = parser.parse_args().episodes
    with tempfile.TemporaryDirectory(prefix="muses-bench-") as name:
        folder = Path(name)
        shards, many = open_store(str(folder / "shards")), max(1, episodes // 32)
        _fill(shards, episodes_table(list(_episodes(32, 3))), many)
        sealed, few = open_store(str(folder / "sealed")), 16
        base = episodes_table(list(_episodes(2000, 1)))
        _fill(sealed, pa.concat_tables([base] * max(1, episodes * 5 // few // 2000)).combine_chunks(), few)
        result = {
            "shard_write_cpu_ms": _write_cpu_ms(folder),
            "shards": {
                "episodes": many * 32,
                "objects": many,
                "index_read_s": _best(lambda: read_index(shards, "run-a")),
                "leaderboard_s": _best(lambda: _leaderboard(shards)),
            },
            "large_objects": {
                "episodes": max(1, episodes * 5 // few // 2000) * 2000 * few,
                "objects": few,
                "leaderboard_s": _best(lambda: _leaderboard(sealed)),
            },
        }
    print(json.dumps(result, indent=2))  # noqa: T201 - what it is run for


if __name__ == "__main__":
    main()
