"""Benchmark of storage: prints one JSON object.

    python -m tests.bench.storage_bench             in a folder and on S3 (SeaweedFS on loopback)
    python -m tests.bench.storage_bench --stores folder --episodes 6400 --sealed 40000

``shard_write_cpu_ms``: processor time to write one shard of 64 episodes as Parquet to a folder.  ``resume_s``: time to
find that a completely scored run has no pending episodes: plan it, read the index, subtract.  ``sealed``: a run of ten
models and four families with nested scores and 1.4 messages per episode, compacted as by `muses store seal`; each query
opens its own connection.  ``floor_s``: lower bound, the time in which the same engine reads the queried column and does
nothing with it.  Seconds are wall time, the best of several rounds, since other load can only add time.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.datasets.dataset import Dataset, generate_dataset
from muses_eval.pipeline.episode.score import SCORINGS, Score
from muses_eval.pipeline.episode.transcript import Message
from muses_eval.pipeline.families import FAMILIES
from muses_eval.pipeline.plan.plan import RunRequest, make_plan
from muses_eval.storage.analysis.leaderboard import leaderboard
from muses_eval.storage.objects.object_keys import ShardKey
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.query.duckdb_connection import connect
from muses_eval.storage.query.find_episode import find_episode
from muses_eval.storage.runs.manifest import create_or_check
from muses_eval.storage.runs.shards import read_index, write_shard
from muses_eval.storage.schema.parquet_schema import SCHEMA, episodes_table, to_parquet
from muses_eval.storage.upkeep.compaction import compact

from tests.s3_server import s3_server
from tests.storage.samples import MANIFEST, SAMPLE, episode

RUN = "run-a"
SHARD = 32
CALLS = 10
"""Number of calls per episode of the resumed run."""
MODELS = [f"model-{number}" for number in range(10)]
PLAYED = ("access", "instruct", "meeting", "queue")
SCENARIOS = 500
SAMPLE_ROW = episodes_table([SAMPLE])
WORDS = 60
"""Number of words of a message."""

Column = Any
"""An Arrow array; the type stubs have a separate class for each type of value."""


class Generator:
    """Generates tables of episodes quickly, from Arrow arrays without Python objects per episode."""

    def __init__(self) -> None:
        self._dice = np.random.default_rng(0)
        letters = np.array(list("etaoinshrdlu"))
        self._words = pa.array(["".join(self._dice.choice(letters, size)) for size in self._dice.integers(2, 10, 2000)])

    def cell(self, model: str, family: str, count: int) -> pa.Table:
        """Returns episodes of one model and family; those of access have 3 to 10 rounds."""
        lengths = np.array_split(np.arange(count), 8) if family == "access" else [np.arange(count)]
        return pa.concat_tables(
            [self._block(model, family, rows, 3 + number) for number, rows in enumerate(lengths) if len(rows)]
        )

    def _block(self, model: str, family: str, rows: "np.ndarray[Any, Any]", rounds: int) -> pa.Table:
        changed: dict[str, Column] = {
            "episode_id": pa.array([self._dice.bytes(16).hex() for _ in rows]),
            "model": pa.array([model] * len(rows)),
            "family": pa.array([family] * len(rows)),
            "scenario_id": pa.array([f"{family}-{row * 7 % SCENARIOS:05d}" for row in rows]),
            "seconds": pa.array(self._dice.random(len(rows)) * 10),
            "scores": self._scores(family, len(rows), rounds),
            "messages": self._messages(rows),
        }
        columns = [
            changed[name] if name in changed else _repeated(SAMPLE_ROW.column(name).combine_chunks(), len(rows))
            for name in SCHEMA.names
        ]
        return pa.Table.from_arrays(columns, schema=SCHEMA)

    def _scores(self, family: str, count: int, rounds: int) -> Column:
        keys: list[tuple[str, str, int | None]] = [(s, m, None) for s in SCORINGS for m in FAMILIES[family].metrics]
        if family == "access":
            turns = range(1, rounds + 1)
            keys += [(s, m, turn) for s in SCORINGS for m in ("privacy", "utility") for turn in turns]
        which = _int32(np.tile(np.arange(len(keys)), count))
        value = pa.array(self._dice.integers(0, 21, len(which)) / 20)
        kinds: list[Any] = [pa.string(), pa.string(), pa.int32()]
        parts: list[Any] = [list(part) for part in zip(*keys, strict=True)]
        columns: list[Column] = [pa.array(part, kind).take(which) for part, kind in zip(parts, kinds, strict=True)]
        items = pa.StructArray.from_arrays([*columns, value], fields=list(SCHEMA.field("scores").type.value_type))
        return pa.ListArray.from_arrays(_int32(np.arange(0, len(which) + 1, len(keys))), items)

    def _messages(self, rows: "np.ndarray[Any, Any]") -> Column:
        """Returns one message per episode, or two in two of five episodes."""
        ends = np.concatenate([[0], np.cumsum(np.where(rows % 5 < 3, 1, 2))])
        total = int(ends[-1])
        spoken: Column = self._words.take(_int32(self._dice.integers(0, len(self._words), total * WORDS)))
        limits = _int32(np.arange(0, total * WORDS + 1, WORDS))
        fields = list(SCHEMA.field("messages").type.value_type)
        said = (pa.array([1], pa.int32()), pa.array(["agent"]), pa.array([["Ana"]]))
        columns = [_repeated(one, total) for one in said]
        content: Column = pc.binary_join(pa.ListArray.from_arrays(limits, spoken), " ")
        return pa.ListArray.from_arrays(_int32(ends), pa.StructArray.from_arrays([*columns, content], fields=fields))


def _int32(values: "np.ndarray[Any, Any]") -> Column:
    return pa.array(values.astype(np.int32))


def _repeated(one: Column, count: int) -> Column:
    """Returns an array with one value repeated *count* times."""
    return one.take(pa.array([0] * count))


def peak_mb() -> int:
    """Returns the peak resident memory of this process in MiB; the value in ``resource`` includes the parent's peak."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def _best(work: Callable[[], object], times: int) -> float:
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return round(min(seconds), 3)


def _write_cpu_ms(folder: Path) -> float:
    """Returns the CPU milliseconds to write a shard whose episodes have twelve messages of sixty words."""
    text = " ".join(["bananas"] * WORDS)
    messages = tuple(Message(turn, "agent", ("Ana",), f"{turn} {text}") for turn in range(12))
    scores = tuple(Score(scoring, metric, 0.5) for scoring in SCORINGS for metric in FAMILIES["queue"].metrics)
    episodes = [episode(number, messages=messages, scores=scores) for number in range(64)]
    store, repeats = open_store(str(folder / "written")), 20
    start = time.process_time()
    for number in range(repeats):
        write_shard(store, ShardKey(RUN, "model", "all", number, 1), episodes)
    return round((time.process_time() - start) / repeats * 1000, 2)


def _request(episodes: int) -> tuple[RunRequest, Dataset]:
    base = generate_dataset("1", 0, ("queue",))
    scenario = base.scenarios("queue")[0]
    many: dict[str, Any] = {f"q-{n}": replace(scenario, id=f"q-{n}") for n in range(episodes // 4)}
    models = tuple(ModelSpec(f"m{n}", "openai", f"m{n}") for n in range(4))
    return RunRequest("bench", models, ("queue",)), Dataset("bench", base.versions, {"queue": many})


def _resume(store: ObjectStore, episodes: int, times: int) -> dict[str, object]:
    """Measures how fast a completely scored run finds that nothing is pending, before and after compaction."""
    request, dataset = _request(episodes)
    plan = make_plan(request, dataset, SHARD, RUN)
    base = episodes_table([replace(SAMPLE, run_id=RUN, calls=SAMPLE.calls * CALLS)] * SHARD)
    for cell in plan.cells:
        for shard in cell.shards:
            ids = pa.array([each.id for each in shard.episodes])
            table = base.slice(0, len(ids)).set_column(0, SCHEMA.field(0), ids)
            key = ShardKey(RUN, cell.model.slug, cell.family, shard.number, 1)
            store.put_if_absent(str(key), to_parquet(table))
    create_or_check(store, replace(MANIFEST, run_id=RUN, planned=plan.planned))

    def resumed() -> None:
        planned = make_plan(request, dataset, SHARD, RUN)
        assert not planned.without(read_index(store, RUN).scored).episode_count

    def asked() -> dict[str, float]:
        return {
            "resume_s": _best(resumed, times),
            "of_that_index_s": _best(lambda: read_index(store, RUN), times),
        }

    shards = sum(len(cell.shards) for cell in plan.cells)
    result: dict[str, object] = {
        "episodes": plan.episode_count,
        "plan_s": _best(lambda: make_plan(request, dataset, SHARD, RUN), times),
    }
    result[f"{shards}_shards"] = {**asked(), "spending": _spending(store)}
    compact(store, RUN)
    return {**result, "sealed": asked()}


def _spending(store: ObjectStore) -> dict[str, float]:
    """Measures reading the spending of a run in a new process: seconds and memory."""
    script = (
        "import json, sys, time, polars\n"
        "from muses_eval.storage.objects.open_store import open_store\n"
        "from muses_eval.storage.runs.spending import read_spending\n"
        "from tests.bench.storage_bench import peak_mb\n"
        "store, before, start = open_store(sys.argv[1]), peak_mb(), time.perf_counter()\n"
        "assert read_spending(store, sys.argv[2]).calls\n"
        "print(json.dumps({'s': round(time.perf_counter() - start, 3), 'memory_mb': peak_mb() - before}))\n"
    )
    done = subprocess.run([sys.executable, "-c", script, store.url, RUN], check=True, capture_output=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _sealed(store: ObjectStore, episodes: int, times: int) -> dict[str, object]:
    """Measures queries on one large compacted run."""
    generator, per_cell = Generator(), episodes // len(MODELS) // len(PLAYED)
    number = 0
    for model in MODELS:
        for family in PLAYED:
            table = generator.cell(model, family, per_cell)
            store.put_if_absent(str(ShardKey(RUN, model, family, number, 1)), to_parquet(table))
            number += 1
    planned = {(model, family): per_cell for model in MODELS for family in PLAYED}
    create_or_check(store, replace(MANIFEST, run_id=RUN, planned=planned))
    start = time.perf_counter()
    report = compact(store, RUN)
    sealed_s = round(time.perf_counter() - start, 1)
    with connect(store.url) as connection:
        row = connection.execute("SELECT episode_id FROM traces LIMIT 1 OFFSET $1", [episodes // 2]).fetchone()
    assert row is not None
    questions = _questions(store, row[0])
    return {
        "episodes": report.episodes,
        "objects": report.objects,
        "bytes": report.bytes,
        "seal_s": sealed_s,
        **{name: _best(ask, times) for name, ask in questions},
    }


def _questions(store: ObjectStore, episode_id: str) -> Iterator[tuple[str, Callable[[], object]]]:
    def asking(query: str) -> Callable[[], object]:
        def ask() -> object:
            with connect(store.url) as connection:
                return connection.execute(query).fetchall()

        return ask

    def ranked() -> None:
        with connect(store.url) as connection:
            assert len(leaderboard(connection)) == len(MODELS)

    def found() -> None:
        with connect(store.url) as connection:
            assert find_episode(connection, episode_id).episode_id == episode_id

    yield "connect_s", lambda: connect(store.url).close()
    yield "leaderboard_s", ranked
    yield "leaderboard_view_s", asking("FROM leaderboard")
    yield "leaderboard_floor_s", asking("SELECT sum(list_sum([s.value for s in scores])) FROM traces")
    yield "privacy_by_round_s", asking("FROM privacy_by_round")
    yield "usage_s", asking("FROM usage")
    yield "text_search_s", asking("SELECT count(*) FROM messages WHERE contains(content, 'no such word')")
    yield "text_search_any_case_s", asking("SELECT count(*) FROM messages WHERE content ILIKE '%no such word%'")
    yield "text_search_floor_s", asking("SELECT sum(list_sum([strlen(m.content) for m in messages])) FROM traces")
    yield "one_episode_s", found


def _measured(url: str, options: argparse.Namespace) -> dict[str, object]:
    return {
        "resume": _resume(open_store(f"{url}/shards"), options.episodes, options.times),
        "sealed": _sealed(open_store(f"{url}/large"), options.sealed, options.times),
    }


def main() -> None:
    """Runs the benchmark and prints its results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--stores", nargs="+", choices=("folder", "s3"), default=["folder", "s3"])
    parser.add_argument("--episodes", type=int, default=200_000, help="of the run that is resumed")
    parser.add_argument("--sealed", type=int, default=1_000_000, help="episodes of the sealed run")
    parser.add_argument("--times", type=int, default=5, help="the best of so many")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="muses-bench-")))
        result: dict[str, object] = {"shard_write_cpu_ms": _write_cpu_ms(folder)}
        if "folder" in options.stores:
            result["folder"] = _measured(str(folder), options)
        if "s3" in options.stores:
            server = stack.enter_context(s3_server())
            server.create_bucket("muses-bench")
            os.environ.update(server.environment)
            result["s3"] = _measured("s3://muses-bench/bench", options)
    print(json.dumps(result, indent=2))  # noqa: T201 - the output of the benchmark


if __name__ == "__main__":
    main()
