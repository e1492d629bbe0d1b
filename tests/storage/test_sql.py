"""The views over a store, and Polars over the same files."""

import os
import random
import subprocess
import sys
from dataclasses import replace

import duckdb
import pytest
from muses_eval import storage
from muses_eval.pipeline.episode.event import Event
from muses_eval.pipeline.episode.model_call import Call
from muses_eval.pipeline.episode.score import Score
from muses_eval.pipeline.episode.transcript import Message
from muses_eval.storage.objects.object_keys import ShardKey
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.query.duckdb_connection import VIEWS, connect
from muses_eval.storage.query.polars_frames import scan
from muses_eval.storage.runs.manifest import create_or_check, reopen
from muses_eval.storage.runs.shards import write_shard
from muses_eval.storage.upkeep.compaction import compact

from tests.s3_server import SECRET
from tests.storage.clustered_means import clustered_mean
from tests.storage.samples import MANIFEST, episode, failed, scored

KEY = ShardKey("run-a", "model-a", "queue", 0, 1)


def _rows(store: ObjectStore, query: str) -> list[tuple[object, ...]]:
    with connect(store.url) as connection:
        return connection.execute(query).fetchall()


def test_an_empty_store_has_typed_views(store: ObjectStore) -> None:
    """Views of an empty store have no rows, and the columns of a full store."""
    with connect(store.url) as connection:
        empty = {view: connection.execute(f"DESCRIBE {view}").fetchall() for view in (*VIEWS, "traces")}
        assert all(connection.execute(f"SELECT count(*) FROM {view}").fetchone() == (0,) for view in empty)
    assert scan(store.url).collect().shape[0] == 0
    empty_frame = scan(store.url).collect_schema()
    write_shard(store, KEY, [episode(1)])
    create_or_check(store, MANIFEST)
    with connect(store.url) as connection:
        for view, columns in empty.items():
            full = connection.execute(f"DESCRIBE {view}").fetchall()
            assert [column[:2] for column in full] == [column[:2] for column in columns]
    assert scan(store.url).collect_schema() == empty_frame


def test_nested_columns_become_rows(store: ObjectStore) -> None:
    """Messages and calls keep their order, and scores their scoring."""
    write_shard(store, KEY, [episode(1)])
    assert _rows(store, "SELECT scoring, metric, round, value FROM scores ORDER BY ALL") == [
        ("corrected", "f1", None, 0.25),
        ("published", "f1", None, 0.5),
    ]
    assert _rows(store, "SELECT position, turn, sender, audience, content FROM messages ORDER BY position") == [
        (1, 0, "system", ["agent"], "The briefing."),
        (2, 1, "agent", [], '{"accept": ["Ana"]}'),
    ]
    assert _rows(store, "SELECT role, called_model, prompt_tokens, finish_reason FROM calls") == [
        ("agent", "provider/model-a", 100, "stop")
    ]


def test_events_and_places_of_calls(store: ObjectStore) -> None:
    """Events keep their order; calls have their turn and step; every row names the agent."""
    calls = (
        Call("agent", "m", 1, 1, 1.0, 0, "stop", turn=1, step=1),
        Call("agent", "m", 1, 1, 1.0, 0, "stop", turn=1, step=2),
    )
    events = (Event(1, 1, "log", "checked"), Event(1, 2, "error", "Traceback"))
    names = {"model": "m + guard", "base_model": "m", "agent": "guard", "facts": "structured"}
    write_shard(store, KEY, [episode(1, calls=calls, events=events, **names), episode(2, events=())])
    entry = ("m + guard", "m", "guard", "structured")
    columns = "model, base_model, agent, facts"
    assert _rows(store, f"SELECT {columns}, position, turn, step, kind, text FROM events ORDER BY position") == [
        (*entry, 1, 1, 1, "log", "checked"),
        (*entry, 2, 1, 2, "error", "Traceback"),
    ]
    assert _rows(store, "SELECT turn, step FROM calls WHERE agent = 'guard' ORDER BY position") == [(1, 1), (1, 2)]
    for view in ("scores", "score_versions", "messages", "calls", "usage", "leaderboard", "leaderboard_cells"):
        found = _rows(store, f"SELECT DISTINCT {columns} FROM {view} ORDER BY model")
        assert found == [entry, ("model-a", "model-a", "chat", "prose")], view


def test_usage(store: ObjectStore) -> None:
    """One query returns the usage by model; unknown values are NULL, and cached responses cost nothing."""
    paid = Call("agent", "m", 100, 20, 1.0, 2, "stop", cached_tokens=60, cost_usd=0.25)
    ours = Call("agent", "m", 100, 20, 0.0, 0, "stop", cached=True)
    silent = Call("agent", "m", None, 5, 1.0, 0, "stop")
    user = Call("user", "u", 50, 5, 1.0, 1, "stop", cached_tokens=0, cost_usd=0.5)
    write_shard(store, KEY, [episode(1, calls=(paid, user, ours)), episode(2, calls=(paid, paid))])
    write_shard(store, replace(KEY, number=1), [episode(3, model="b", calls=(silent, paid)), failed(4, calls=(paid,))])
    write_shard(store, replace(KEY, number=1, attempt=2), [failed(4, attempt=2, calls=(user,))])
    columns = "model, role, calls, cached_calls, retries, prompt_tokens, completion_tokens, cached_tokens"
    assert _rows(store, f"SELECT {columns} FROM usage") == [
        ("b", "agent", 2, 0, 2, 100, 25, 60),
        ("model-a", "agent", 3, 1, 6, 300, 60, 180),
        ("model-a", "user", 2, 0, 2, 100, 10, 0),
    ]
    assert _rows(store, "SELECT model, role, cache_hit_rate, uncounted, cost_usd, unpriced FROM usage") == [
        ("b", "agent", 0.6, 1, None, 1),
        ("model-a", "agent", 0.6, 0, 0.75, 0),
        ("model-a", "user", 0.0, 0, 1.0, 0),
    ]


def test_usage_out_of_our_cache_alone(store: ObjectStore) -> None:
    """Cached responses have no tokens, and their cost is zero."""
    write_shard(store, KEY, [episode(1, calls=(Call("agent", "m", 9, 9, 0.0, 0, "stop", cached=True),))])
    assert _rows(store, "SELECT calls, cached_calls, prompt_tokens, cache_hit_rate, cost_usd FROM usage") == [
        (0, 1, None, None, 0.0)
    ]


def test_connect_and_scan_are_the_packages_own() -> None:
    """Engines are imported on first use, not with the package."""
    check = "assert not {'duckdb', 'polars', 'pyarrow'} & set(sys.modules)"
    code = f"import sys; from muses_eval import storage; {check}; storage.connect"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (storage.connect, storage.scan) == (connect, scan)
    with pytest.raises(AttributeError, match="nothing_here"):
        _ = storage.nothing_here


@pytest.mark.parametrize("again", [False, True], ids=["sealed", "opened again"])
def test_a_sealed_run_reads_the_same(store: ObjectStore, again: bool) -> None:
    """Sealed runs are read in SQL and Polars, together with unsealed runs."""
    create_or_check(store, MANIFEST)
    write_shard(store, KEY, [episode(1), failed(2)])
    write_shard(store, replace(KEY, attempt=2), [scored(2, {"f1": 1.0}, attempt=2)])
    write_shard(store, replace(KEY, run_id="run-b"), [episode(1, run_id="run-b"), failed(3, run_id="run-b")])
    write_shard(store, replace(KEY, run_id="run-b", attempt=2), [episode(3, run_id="run-b", attempt=2)])
    compact(store, "run-a")
    if again:
        reopen(store, "run-a")
        write_shard(store, replace(KEY, attempt=3), [episode(5, attempt=3), failed(1, attempt=3)])
    expected = [("run-a", episode(1).episode_id, 1), ("run-a", episode(2).episode_id, 2)]
    expected += [("run-b", episode(1).episode_id, 1), ("run-b", episode(3).episode_id, 2)]
    expected += [("run-a", episode(5).episode_id, 3)] if again else []
    assert _rows(store, "SELECT run_id, episode_id, attempt FROM episodes ORDER BY ALL") == sorted(expected)
    assert sorted(scan(store.url).select("run_id", "episode_id", "attempt").collect().rows()) == sorted(expected)


def test_resumed_shards_are_counted_once(store: ObjectStore) -> None:
    """An episode's scored attempt counts, or otherwise its last one, in SQL and in Polars."""
    write_shard(store, KEY, [episode(1), failed(2), failed(3), scored(4, {"f1": 1.0})])
    write_shard(
        store,
        replace(KEY, attempt=2),
        [scored(2, {"f1": 0.75}, attempt=2), failed(3, attempt=2, error="again"), failed(4, attempt=2)],
    )
    # Resumed with another shard size, the same episode is in another shard.
    write_shard(store, replace(KEY, number=9), [scored(3, {"f1": 0.5}, shard=9)])
    expected = sorted(
        [
            (episode(1).episode_id, 1, "scored"),
            (episode(2).episode_id, 2, "scored"),
            (episode(3).episode_id, 1, "scored"),
            (episode(4).episode_id, 1, "scored"),
        ]
    )
    assert _rows(store, "SELECT episode_id, attempt, outcome FROM episodes ORDER BY ALL") == expected
    assert sorted(scan(store.url).select("episode_id", "attempt", "outcome").collect().rows()) == expected
    assert _rows(store, "SELECT count(*) FROM traces") == [(8,)]


def test_the_last_failure_is_shown(store: ObjectStore) -> None:
    """When no attempt succeeded, the newest one counts."""
    for attempt in (1, 2, 10):
        write_shard(store, replace(KEY, attempt=attempt), [failed(1, attempt=attempt, error=f"try {attempt}")])
    assert _rows(store, "SELECT error FROM episodes") == [("try 10",)]


def test_the_same_episode_in_two_runs(store: ObjectStore) -> None:
    """An episode of two runs is stored twice; a connection can be limited to one run."""
    write_shard(store, KEY, [episode(1)])
    write_shard(store, replace(KEY, run_id="run-b"), [episode(1, run_id="run-b")])
    assert _rows(store, "SELECT run_id FROM episodes ORDER BY run_id") == [("run-a",), ("run-b",)]
    with connect(store.url, run_id="run-b") as connection:
        assert connection.execute("SELECT run_id FROM episodes").fetchall() == [("run-b",)]


def test_foreign_files_are_passed_over(store: ObjectStore) -> None:
    """Foreign files are ignored, even unreadable ones."""
    write_shard(store, KEY, [episode(1)])
    for key in ("traces/notes.parquet", f"{str(KEY).rpartition('/')[0]}/shard-1.parquet", "runs/readme.md"):
        store.put_if_absent(key, b"not ours")
    assert _rows(store, "SELECT count(*) FROM episodes") == [(1,)]
    assert scan(store.url).collect().shape[0] == 1


def test_runs_come_from_the_manifests(store: ObjectStore) -> None:
    """Runs have their plan and config; references to environment variables are not resolved."""
    create_or_check(store, MANIFEST)
    assert _rows(
        store, "SELECT run_id, state, episodes_planned, planned, commit, config->>'$.models[0].api_key' FROM runs"
    ) == [
        (
            "run-a",
            "open",
            12,
            [{"model": "model-a", "family": "queue", "episodes": 12}],
            MANIFEST.commit,
            "${MODEL_A_KEY}",
        )
    ]
    assert _rows(store, "SELECT created_at FROM runs") == [(MANIFEST.created_at,)]


def test_cells_agree_with_the_python_statistics(store: ObjectStore) -> None:
    """Each cell has the mean and the clustered error; failures and scores by round are not observations."""
    dice = random.Random(7)
    observed: dict[tuple[str, str], list[tuple[float, str]]] = {}
    episodes = []
    for number in range(120):
        family = dice.choice(["queue", "access"])
        scenario, value = f"{family}-{dice.randrange(12)}", dice.random()
        observed.setdefault((family, "f1"), []).append((value, scenario))
        whole = Score("published", "f1", value)
        changes = {"family": family, "scenario_id": scenario, "epoch": number}
        episodes.append(episode(number, scores=(whole, Score("published", "f1", 0.9, round=1)), **changes))
        episodes.append(failed(("failed", number), **changes))
    write_shard(store, KEY, episodes)
    rows = _rows(store, "SELECT family, metric, episodes, scenarios, mean, se FROM leaderboard_cells ORDER BY family")
    assert [row[0] for row in rows] == ["access", "queue"]
    for cell_family, metric, count, scenarios, mean, se in rows:
        values, clusters = zip(*observed[str(cell_family), str(metric)], strict=True)
        expected = clustered_mean(values, clusters)
        assert (count, scenarios) == (len(values), len(set(clusters)))
        assert (mean, se) == (pytest.approx(expected.mean), pytest.approx(expected.se))


def test_a_single_scenario_has_no_error(store: ObjectStore) -> None:
    """The error of a single scenario is NULL, not zero."""
    write_shard(store, KEY, [scored(1, {"f1": 0.0}), scored(2, {"f1": 1.0}, epoch=1)])
    assert _rows(store, "SELECT mean, se, scenarios, episodes FROM leaderboard_cells") == [(0.5, None, 1, 2)]


def test_privacy_by_round(store: ObjectStore) -> None:
    """The view has one row per round, for the family access only."""
    rounds = tuple(Score("published", "privacy", 1.0 / number, round=number) for number in (1, 2))
    for number in (1, 2):
        changes = {"family": "access", "scenario_id": f"access-{number}"}
        write_shard(store, replace(KEY, number=number), [episode(number, scores=rounds, **changes)])
    write_shard(store, replace(KEY, number=3), [episode(3, scores=rounds)])
    assert _rows(store, "SELECT metric, round, scenarios, mean, se FROM privacy_by_round ORDER BY ALL") == [
        ("privacy", 1, 2, 1.0, 0.0),
        ("privacy", 2, 2, 0.5, 0.0),
    ]


def test_any_text_can_be_queried(store: ObjectStore) -> None:
    """Quotes, NULs and lone surrogates in messages can be queried."""
    messages = (Message(1, "agent", (), "a\0b'\";--\ud800"),)
    calls = (Call("agent", "m", None, None, 0.0, 0, "stop\0"),)
    write_shard(store, KEY, [episode(1, messages=messages, calls=calls)])
    assert _rows(store, "SELECT content FROM messages") == [("a\0b'\";--\ufffd",)]


def test_queries_fail_as_duckdb_fails(store: ObjectStore) -> None:
    """A wrong query raises DuckDB's own error."""
    with connect(store.url) as connection, pytest.raises(duckdb.Error, match="no_such_column"):
        connection.execute("SELECT no_such_column FROM episodes")


def test_paths_with_quotes_and_wildcards(tmp_path: os.PathLike[str]) -> None:
    """The path of a folder may contain quotes and wildcards."""
    store = open_store(os.fspath(tmp_path) + "/it's [a-z]*?")
    write_shard(store, KEY, [episode(1)])
    assert _rows(store, "SELECT count(*) FROM episodes") == [(1,)]
    assert scan(store.url).collect().shape[0] == 1


def test_secrets_stay_secret(s3_url: str) -> None:
    """SQL shows that a secret exists, but not its key."""
    store = open_store(s3_url)
    write_shard(store, KEY, [episode(1)])
    for query in ("FROM duckdb_secrets()", "FROM duckdb_settings()", "SELECT current_setting('s3_secret_access_key')"):
        assert not [value for row in _rows(store, query) for value in row if SECRET in str(value)]
    assert _rows(store, "SELECT count(*) FROM episodes") == [(1,)]


def test_a_cursor_sees_the_views(store: ObjectStore) -> None:
    """A cursor sees the views, so several threads can share one connection."""
    write_shard(store, KEY, [episode(1)])
    with connect(store.url) as connection:
        assert connection.cursor().execute("SELECT count(*) FROM scores").fetchone() == (2,)
