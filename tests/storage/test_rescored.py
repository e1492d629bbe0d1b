"""Recomputed scores are stored once and shown instead of the original ones, which are kept."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.episode.evidence import Evidence
from muses_eval.pipeline.episode.score import Score
from muses_eval.pipeline.errors import StoreError
from muses_eval.storage.analysis.leaderboard import leaderboard
from muses_eval.storage.objects.object_keys import RescoredKey, ShardKey, rescored_keys
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.query.duckdb_connection import VIEWS, connect
from muses_eval.storage.query.find_episode import find_episode
from muses_eval.storage.query.polars_frames import scan
from muses_eval.storage.runs.manifest import create_or_check, update_manifest, with_current_schema
from muses_eval.storage.runs.rescored import (
    RescoredEpisode,
    batches,
    played_families,
    read_pending_rescore,
    write_rescored,
)
from muses_eval.storage.runs.shards import write_shard
from muses_eval.storage.schema.parquet_schema import RESCORED_SCHEMA, VERSION_KEY, to_parquet, to_table
from muses_eval.storage.upkeep.compaction import compact

from tests.storage.samples import MANIFEST, episode, failed, scored

FIXTURES = Path(__file__).parent / "fixtures"
KEY = ShardKey("run-a", "model-a", "queue", 0, 1)
PART = RescoredKey("run-a", "queue", 2, 0)


def rescored(one: Episode, value: float, version: int = 2) -> RescoredEpisode:
    return RescoredEpisode(one.run_id, one.episode_id, version, (Score("published", "f1", value),))


def _values(store: ObjectStore) -> list[tuple[object, ...]]:
    with connect(store.url) as connection:
        return connection.execute("SELECT scenario_id, value FROM scores ORDER BY ALL").fetchall()


def _played(*values: float, **changes: object) -> list[Episode]:
    """Returns episodes of scenarios s0, s1, ... with these scores."""
    return [scored(("s", n), {"f1": value}, scenario_id=f"s{n}", **changes) for n, value in enumerate(values)]


def test_the_newest_version_is_shown(store: ObjectStore) -> None:
    """All views and Polars show the new scores; other episodes show their own."""
    first, second, third = _played(0.0, 0.5, 0.25)
    write_shard(store, KEY, [first, second, third])
    create_or_check(store, replace(MANIFEST, planned={("model-a", "queue"): 3}))
    write_rescored(store, replace(PART, version=3), [rescored(first, 1.0, 3)])
    write_rescored(store, PART, [rescored(first, 0.9), rescored(second, 0.75)])
    assert _values(store) == [("s0", 1.0), ("s1", 0.75), ("s2", 0.25)]
    with connect(store.url) as connection:
        versions = connection.execute("SELECT scenario_id, scorer_version FROM episodes ORDER BY ALL").fetchall()
        assert versions == [("s0", 3), ("s1", 2), ("s2", 1)]
        (row,) = leaderboard(connection)
        assert row.estimates["queue_f1"].mean == pytest.approx(2 / 3)
        assert (row.episodes, row.coverage) == (3, 1.0)
        shown = find_episode(connection, first.episode_id)
    assert shown == replace(first, scores=(Score("published", "f1", 1.0),), scorer_version=3)
    frame = scan(store.url).select("scenario_id", "scorer_version", "scores").collect().sort("scenario_id")
    assert [(s, v, scores[0]["value"]) for s, v, scores in frame.rows()] == [
        ("s0", 3, 1.0),
        ("s1", 2, 0.75),
        ("s2", 1, 0.25),
    ]


def test_all_versions_stay(store: ObjectStore) -> None:
    """The view score_versions contains every version and marks the one that counts."""
    (one,) = _played(0.0)
    write_shard(store, KEY, [one])
    for version, value in ((3, 1.0), (2, 0.9)):
        write_rescored(store, replace(PART, version=version), [rescored(one, value, version)])
    with connect(store.url) as connection:
        rows = connection.execute("SELECT scorer_version, newest, value FROM score_versions ORDER BY ALL").fetchall()
    assert rows == [(1, False, 0.0), (2, False, 0.9), (3, True, 1.0)]


def test_failed_and_newer_episodes_keep_what_they_have(store: ObjectStore) -> None:
    """Scores of an older scorer never replace newer ones, and failed episodes get no scores."""
    (newer,) = _played(0.25, scorer_version=3)
    lost = failed("lost", scenario_id="lost")
    write_shard(store, KEY, [newer, lost])
    write_rescored(store, PART, [rescored(newer, 1.0), rescored(lost, 1.0)])
    assert _values(store) == [("s0", 0.25)]
    with connect(store.url) as connection:
        assert connection.execute("SELECT DISTINCT scorer_version FROM score_versions").fetchall() == [(3,)]
        rows = connection.execute("SELECT outcome, len(scores) FROM episodes ORDER BY ALL").fetchall()
    assert rows == [("infra_failed", 0), ("scored", 1)]
    frame = scan(store.url).select("scenario_id", "scores").collect().sort("scenario_id")
    assert [len(scores) for scores in frame["scores"]] == [0, 1]


def test_the_same_episode_in_two_runs(store: ObjectStore) -> None:
    """Rescoring one run does not change another."""
    (one,) = _played(0.25)
    write_shard(store, KEY, [one])
    write_shard(store, replace(KEY, run_id="run-b"), [replace(one, run_id="run-b")])
    write_rescored(store, PART, [rescored(one, 1.0)])
    with connect(store.url) as connection:
        rows = connection.execute("SELECT run_id, value FROM scores ORDER BY ALL").fetchall()
    assert rows == [("run-a", 1.0), ("run-b", 0.25)]
    with connect(store.url, "run-b") as connection:
        assert connection.execute("SELECT value FROM scores").fetchall() == [(0.25,)]


def test_views_have_the_same_columns_with_rescored_scores(store: ObjectStore) -> None:
    """Queries are the same whether or not episodes were rescored."""
    (one,) = _played(0.25)
    write_shard(store, KEY, [one])
    with connect(store.url) as connection:
        before = {view: connection.execute(f"DESCRIBE {view}").fetchall() for view in (*VIEWS, "rescored")}
    frame = scan(store.url).collect_schema()
    write_rescored(store, PART, [rescored(one, 1.0)])
    with connect(store.url) as connection:
        for view, columns in before.items():
            now = connection.execute(f"DESCRIBE {view}").fetchall()
            assert [column[:2] for column in now] == [column[:2] for column in columns]
    assert scan(store.url).collect_schema() == frame


def test_nothing_rescored_costs_nothing(store: ObjectStore) -> None:
    """Without rescored objects the query plan has no join; with them it has a hash join."""
    write_shard(store, KEY, _played(0.25))
    query = "EXPLAIN SELECT sum(value) FROM scores"
    with connect(store.url) as connection:
        assert "JOIN" not in str(connection.execute(query).fetchall())
    write_rescored(store, PART, [rescored(_played(0.25)[0], 1.0)])
    with connect(store.url) as connection:
        plan = str(connection.execute(query).fetchall())
    assert "HASH_JOIN" in plan
    assert "NL_JOIN" not in plan
    assert "NESTED_LOOP" not in plan


def test_what_is_owed(store: ObjectStore) -> None:
    """Scored episodes with older scores are pending, in the object whose attempt counts."""
    old, again, newer, done = _played(0.0, 0.1, 0.2, 0.3)
    write_shard(store, KEY, [old, again, replace(newer, scorer_version=2), done, failed("lost")])
    second = replace(KEY, attempt=2)
    write_shard(store, second, [replace(again, attempt=2)])
    write_shard(store, replace(KEY, family="access"), [episode("other", family="access")])
    write_shard(store, replace(KEY, run_id="run-ab"), [episode("elsewhere", run_id="run-ab")])
    write_rescored(store, PART, [rescored(done, 1.0)])
    assert played_families(store, "run-a") == ("access", "queue")
    owed = read_pending_rescore(store, "run-a", "queue", 2)
    assert owed.episodes == {str(KEY): {old.episode_id}, str(second): {again.episode_id}}
    assert (owed.count, owed.next_part, owed.current, owed.unscored) == (2, 1, 2, 1)
    assert read_pending_rescore(store, "run-a", "queue", 1).count == 0
    third = read_pending_rescore(store, "run-a", "queue", 3)
    assert (third.count, third.next_part) == (4, 0)
    assert read_pending_rescore(store, "run-a", "meeting", 3).episodes == {}


def test_writers_race_for_a_part(store: ObjectStore) -> None:
    """One write succeeds, and no episode is stored twice."""
    (one,) = _played(0.0)
    write_shard(store, KEY, [one])
    values = [number / 8 for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        won = list(threads.map(lambda value: write_rescored(store, PART, [rescored(one, value)]), values))
    assert won.count(True) == 1
    assert _values(store) == [("s0", values[won.index(True)])]
    assert list(rescored_keys(store)) == [PART]


def test_damaged_objects_are_named(store: ObjectStore) -> None:
    """The message names the unreadable shard."""
    write_shard(store, KEY, _played(0.0))
    damaged = replace(KEY, number=1)
    store.put_if_absent(str(damaged), b"not Parquet")
    with pytest.raises(StoreError, match=rf"{damaged}: not a readable Parquet file"):
        read_pending_rescore(store, "run-a", "queue", 2)


def test_evidence_is_added_to_an_older_run(store: ObjectStore) -> None:
    """Episodes of a schema version without evidence are pending until it is stored; then every reader has it.

    Parts that were rescored before that lack the column.  Sealing keeps the evidence, and garbage collection does not
    take a part with evidence that the sealed objects lack.
    """
    source = open_store(str(FIXTURES / "schema-v5"))
    for info in source.list(""):
        store.put_if_absent(info.key, source.get(info.key))
    run_id, version = "with-calls", 1
    pending = read_pending_rescore(store, run_id, "queue", version)
    ids = sorted(episode_id for found in pending.episodes.values() for episode_id in found)
    assert (len(ids), pending.current) == (2, 0)
    rows = [RescoredEpisode(run_id, each, 2, (Score("published", "f1", 0.25),)) for each in ids]
    part = RescoredKey(run_id, "queue", 2, 0)
    earlier = to_table(rows[:1], RESCORED_SCHEMA).drop_columns("evidence").replace_schema_metadata({VERSION_KEY: b"5"})
    store.put_if_absent(str(part), to_parquet(earlier))
    assert _evidence_of(store, run_id) == [None, None]
    update_manifest(store, run_id, with_current_schema)
    again = read_pending_rescore(store, run_id, "queue", 2)
    assert (again.count, again.next_part, again.current) == (2, 1, 0)
    added = (Evidence(scoring="published", metric="f1", rule="Ana_1", verdict="pass"),)
    write_rescored(store, replace(part, part=1), [replace(row, evidence=added) for row in rows])
    assert _evidence_of(store, run_id) == [["Ana_1"], ["Ana_1"]]
    with connect(store.url) as connection:
        versions = connection.execute("SELECT scorer_version, count(*) FROM score_versions GROUP BY ALL").fetchall()
        seen = connection.execute("SELECT episode_id, rule, verdict FROM evidence ORDER BY ALL").fetchall()
    assert dict(versions)[2] == len(ids)
    assert seen == [(each, "Ana_1", "pass") for each in ids]
    assert read_pending_rescore(store, run_id, "queue", 2).count == 0
    compact(store, run_id)
    assert list(rescored_keys(store, run_id)) == []
    assert _evidence_of(store, run_id) == [["Ana_1"], ["Ana_1"]]
    assert read_pending_rescore(store, run_id, "queue", 2).count == 0


def _evidence_of(store: ObjectStore, run_id: str) -> list[list[str] | None]:
    """Returns the rules of the evidence of each scored episode, which SQL and Polars agree on."""
    query = (
        "SELECT [item.rule for item in evidence] FROM episodes WHERE run_id = ? AND outcome = 'scored'"
        " ORDER BY episode_id"
    )
    with connect(store.url) as connection:
        found = [rules for (rules,) in connection.execute(query, [run_id]).fetchall()]
    frame = scan(store.url, run_id).filter(outcome="scored").sort("episode_id").collect()
    rows = frame["evidence"].to_list()
    assert found == [None if row is None else [each["rule"] for each in row] for row in rows]
    return found


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (2, [2]), (3, [3]), (7, [3, 3, 1])])
def test_batches(count: int, sizes: Sequence[int]) -> None:
    """All rows are returned in order, in batches of at most the given size."""
    rows = [RescoredEpisode("r", str(number), 2, ()) for number in range(count)]
    found = list(batches(rows, 3))
    assert list(map(len, found)) == sizes
    assert [row for batch in found for row in batch] == rows
