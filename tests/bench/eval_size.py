"""Bytes per episode in this store and in a log of Inspect, for the same transcripts: prints one JSON object.

    python -m tests.bench.eval_size                       1,000 episodes of 10 short calls
    python -m tests.bench.eval_size --episodes 200        the same, fewer

``shards``: objects of 64 episodes, as workers write them.  ``sealed``: one large object, as compaction writes it.
``eval``: one log from ``muses export inspect``.  ``eval_without_events``: the same log without the model events, which
repeat the messages.  Texts are drawn from 2,000 made-up words, so that compression gains little from repetition.
"""

import argparse
import json
import random
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from inspect_ai.log import read_eval_log, write_eval_log
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.episode.model_call import Call
from muses_eval.pipeline.episode.score import SCORINGS, Score
from muses_eval.pipeline.episode.transcript import Message
from muses_eval.pipeline.hashing import digest
from muses_eval.storage.export.inspect_logs import export_inspect
from muses_eval.storage.objects.object_keys import ShardKey
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.query.duckdb_connection import connect
from muses_eval.storage.runs.manifest import create_or_check
from muses_eval.storage.runs.shards import write_shard
from muses_eval.storage.schema.parquet_schema import episodes_table, to_parquet

from tests.storage.samples import MANIFEST, SAMPLE

SHARD = 64
TURNS = 10
WORDS = 12
"""Number of words of a message."""


def transcripts(count: int) -> Iterator[Episode]:
    """Generates episodes of the family access with two users and ten turns of one call each."""
    dice = random.Random(0)
    vocabulary = ["".join(dice.choices("etaoinshrdlu", k=dice.randint(2, 9))) for _ in range(2000)]

    def text() -> str:
        return " ".join(dice.choices(vocabulary, k=WORDS))

    briefing = " ".join(dice.choices(vocabulary, k=100))
    for number in range(count):
        messages = [Message(0, "system", ("agent",), briefing)]
        for turn in range(1, TURNS + 1):
            reply = text()
            messages += [Message(turn, name, ("agent",), text()) for name in ("Ana", "Ben")]
            messages += [Message(turn, "agent", (), reply), Message(turn, "agent", ("Ana", "Ben"), reply)]
        yield replace(
            SAMPLE,
            episode_id=digest(number),
            family="access",
            scenario_id=f"access-{number}",
            turns=TURNS,
            scores=tuple(Score(s, m, dice.random()) for s in SCORINGS for m in ("privacy", "utility")),
            messages=tuple(messages),
            calls=tuple(
                Call("agent", "m", dice.randint(500, 3000), dice.randint(10, 60), dice.random(), 0, "stop")
                for _ in range(TURNS)
            ),
        )


def measure(count: int) -> dict[str, float]:
    """Returns the bytes per episode of each format."""
    episodes = list(transcripts(count))
    with tempfile.TemporaryDirectory(prefix="muses-bench-") as name:
        store = open_store(f"{name}/store")
        run = replace(MANIFEST, planned={(SAMPLE.model, "access"): count}, epochs=1)
        create_or_check(store, run)
        for start in range(0, count, SHARD):
            write_shard(
                store, ShardKey("run-a", "model-a", "access", start // SHARD, 1), episodes[start : start + SHARD]
            )
        with connect(store.url, "run-a") as connection:
            (log,) = export_inspect(connection, run, Path(name), replace=False, log_episodes=count)
        bare = read_eval_log(str(log.path), resolve_attachments=True)
        for sample in bare.samples or ():
            sample.events, sample.events_data = [], None
        without_events = Path(name, "bare.eval")
        write_eval_log(bare, str(without_events))
        sizes = {
            "text": sum(len(m.content) for e in episodes for m in e.messages),
            "shards": sum(info.size for info in store.list("traces/")),
            "sealed": len(to_parquet(episodes_table(episodes))),
            "eval": log.path.stat().st_size,
            "eval_without_events": without_events.stat().st_size,
        }
    return {form: round(size / count, 1) for form, size in sizes.items()}


def main() -> None:
    """Runs the benchmark and prints its results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--episodes", type=int, default=1000)
    episodes = parser.parse_args().episodes
    sizes = measure(episodes)
    ratios = {
        f"{ours} / {theirs}": round(sizes[ours] / sizes[theirs], 3)
        for ours in ("shards", "sealed")
        for theirs in ("eval", "eval_without_events")
    }
    print(json.dumps({"episodes": episodes, "bytes_an_episode": sizes, "ratios": ratios}, indent=2))  # noqa: T201


if __name__ == "__main__":
    main()
