"""Every reader reads all older versions of the schema, and refuses newer ones."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from muses_eval import storage
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.errors import StoreError
from muses_eval.pipeline.protocols import ProtocolName
from muses_eval.storage.objects.object_keys import ShardKey, manifest_key, trace_keys
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.query.duckdb_connection import VIEWS
from muses_eval.storage.query.find_episode import find_episode
from muses_eval.storage.query.resilient_query import resilient_query
from muses_eval.storage.runs.manifest import (
    RunMismatchError,
    create_or_check,
    read_manifest,
    update_manifest,
    with_current_schema,
)
from muses_eval.storage.runs.shards import read_index, read_shard, write_shard
from muses_eval.storage.schema.parquet_schema import (
    LATER_COLUMNS,
    RESCORED_SCHEMA,
    SCHEMA,
    SCHEMA_VERSION,
    VERSION_KEY,
    episodes_table,
    schema_template,
    to_parquet,
)
from muses_eval.storage.upkeep.compaction import compact
from muses_eval.storage.upkeep.verify import verify

from tests.storage.samples import MANIFEST, episode
from tests.storage.version_fixture import RUN, fixture_episodes

FIXTURES = Path(__file__).parent / "fixtures"
VERSIONS = range(1, SCHEMA_VERSION + 1)
ADDED_TO_CALLS = {2: ("cached_tokens", "cost_usd"), 4: ("turn", "step")}
"""Fields of a call that each schema version added."""
SINCE_PROTOCOL = 3
"""The schema version that added the column ``protocol``."""
SINCE_AGENTS = 4
"""The schema version that added the columns of agents."""
SINCE_UNUSABLE = 5
"""The schema version that added the column ``unusable``."""
SINCE_EVIDENCE = 6
"""The schema version that added the column ``evidence``."""
KEY = ShardKey(RUN, "model-a", "queue", 0, 1)


def fixture_key(store: ObjectStore) -> ShardKey:
    """Returns the key of the fixture's only shard, whose form depends on the version that wrote it."""
    (key,) = trace_keys(store, RUN)
    return key


def _as_read_from(version: int) -> list[Episode]:
    """Returns the fixture's episodes as they are read: calls without later fields, and the values of earlier rows."""
    later: dict[str, Any] = {name: None for since, names in ADDED_TO_CALLS.items() if since > version for name in names}
    earlier: dict[str, Any] = {"protocol": "muses"} if version < SINCE_PROTOCOL else {}
    if version < SINCE_AGENTS:
        earlier |= {"base_model": "model-a", "agent": "chat", "facts": "prose", "events": ()}
    if version < SINCE_UNUSABLE:
        earlier |= {"unusable": None}
    if version < SINCE_EVIDENCE:
        earlier |= {"evidence": None}
    return [
        replace(one, calls=tuple(replace(call, **later) for call in one.calls), **earlier) for one in fixture_episodes()
    ]


def _without_later(episodes: list[Episode]) -> Iterator[dict[str, object]]:
    for one in episodes:
        yield {
            "episode_id": one.episode_id,
            "protocol": one.protocol,
            "base_model": one.base_model,
            "agent": one.agent,
            "facts": one.facts,
            "events": [asdict(event) for event in one.events],
            "unusable": one.unusable and asdict(one.unusable),
            "evidence": None if one.evidence is None else [asdict(each) for each in one.evidence],
            "calls": [(call.cached_tokens, call.cost_usd) for call in one.calls],
        }


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> int:
    found: int = request.param
    return found


@pytest.fixture
def old(version: int) -> ObjectStore:
    """Returns a copy of the store that a version wrote."""
    return open_store(str(FIXTURES / f"schema-v{version}"))


def test_there_is_a_fixture_of_every_version(version: int, old: ObjectStore) -> None:
    """Every version has a fixture, which was written by that version."""
    for key in trace_keys(old):
        metadata = pq.read_schema(old.uri(str(key))).metadata or {}
        assert metadata[VERSION_KEY] == str(version).encode()


def test_read_shard(version: int, old: ObjectStore) -> None:
    assert read_shard(old, fixture_key(old)) == _as_read_from(version)


def test_read_index(old: ObjectStore) -> None:
    assert read_index(old, RUN).scored == {one.episode_id for one in fixture_episodes() if one.outcome == "scored"}


def test_sql(version: int, old: ObjectStore) -> None:
    """Every view can be queried, and an episode is read back unchanged."""
    wanted = _as_read_from(version)
    with storage.connect(old.url) as connection:
        for view in VIEWS:
            connection.execute(f"FROM {view}").fetchall()
        assert [find_episode(connection, one.episode_id, RUN) for one in wanted] == wanted
        seen = connection.execute("SELECT cached_tokens, cost_usd FROM calls WHERE role = 'user'").fetchall()
    assert seen == [(None, None)]


def test_polars(version: int, old: ObjectStore) -> None:
    rows = (
        storage.scan(old.url)
        .filter(pl.col("run_id") == RUN)
        .select("episode_id", "protocol", "base_model", "agent", "facts", "events", "unusable", "evidence", "calls")
        .collect()
        .to_dicts()
    )
    found = [{**row, "calls": [(call["cached_tokens"], call["cost_usd"]) for call in row["calls"]]} for row in rows]
    assert sorted(found, key=str) == sorted(_without_later(_as_read_from(version)), key=str)


@pytest.mark.parametrize("order", [tuple(VERSIONS), tuple(reversed(VERSIONS))])
def test_versions_side_by_side_in_one_run(order: tuple[int, ...], store: ObjectStore) -> None:
    """A run may have shards of two versions, in either order."""
    for number, each in enumerate(order):
        fixture = open_store(str(FIXTURES / f"schema-v{each}"))
        key = fixture_key(fixture)
        store.put_if_absent(str(replace(key, number=number)), fixture.get(str(key)))
        write_shard(store, replace(KEY, number=100 + number), [episode(("other", number), run_id=RUN)])
    with storage.connect(store.url) as connection:
        found = connection.execute(
            "SELECT count(*), round(sum(list_sum([c.cost_usd for c in calls])), 6) FROM traces"
        ).fetchall()
        protocols = connection.execute("SELECT protocol, count(*) FROM traces GROUP BY ALL ORDER BY ALL").fetchall()
    assert found == [(3 * len(VERSIONS) + len(VERSIONS), round(0.003 * (len(VERSIONS) - 1), 6))]
    later = 3 * (SCHEMA_VERSION + 1 - SINCE_PROTOCOL)
    assert protocols == [("muses", found[0][0] - later), ("released", later)]
    frame = storage.scan(store.url).collect()
    assert frame.height == 3 + len(VERSIONS)
    later_columns = [name for name in LATER_COLUMNS if name not in ("unusable", "evidence")]
    assert [frame[name].null_count() for name in later_columns] == [0] * len(later_columns)
    assert len(read_index(store, RUN).scored) == 2 + len(VERSIONS)


@pytest.mark.parametrize("version", VERSIONS[:-1], indirect=True)
def test_an_old_run_that_is_resumed(version: int, old: ObjectStore, store: ObjectStore) -> None:
    """A resumed run's manifest has the highest schema version, so an older reader refuses it."""
    for info in old.list(""):
        store.put_if_absent(info.key, old.get(info.key))
    begun = read_manifest(store, RUN)
    protocol = begun.protocol
    other: ProtocolName = "muses" if protocol == "released" else "released"
    again = replace(MANIFEST, run_id=RUN, planned={("model-a", "queue"): 3}, protocol=protocol, models=begun.models)
    create_or_check(store, again)
    with pytest.raises(RunMismatchError, match=f'protocol: "{protocol}" -> "{other}"'):
        create_or_check(store, replace(again, protocol=other))
    assert read_manifest(store, RUN).schema_version == version  # until something is played
    update_manifest(store, RUN, with_current_schema)
    assert read_manifest(store, RUN).schema_version == SCHEMA_VERSION
    (owed,) = (one for one in fixture_episodes() if one.outcome != "scored")
    played = replace(episode(3, run_id=RUN, attempt=2), cost_usd=0.25)
    assert played.episode_id == owed.episode_id
    assert read_index(store, RUN).next_attempt("model-a", "queue", 0) == 2
    write_shard(store, replace(KEY, attempt=2), [played])
    wanted = [one for one in _as_read_from(version) if one.outcome == "scored"]
    for sealed in (False, True):
        if sealed:
            compact(store, RUN)
        assert read_index(store, RUN).scored == {one.episode_id for one in fixture_episodes()}
        with storage.connect(store.url, RUN) as connection:
            assert [find_episode(connection, one.episode_id, RUN) for one in [*wanted, played]] == [*wanted, played]
        frame = storage.scan(store.url).filter(pl.col("run_id") == RUN).collect()
        assert frame.height == 3
        assert frame["cost_usd"].sum() == pytest.approx(0.25 + sum(one.cost_usd or 0 for one in wanted))
        assert verify(store, RUN).findings == ()
    assert read_manifest(store, RUN).schema_version == SCHEMA_VERSION


@pytest.mark.parametrize("version", VERSIONS[:-1], indirect=True)
def test_an_old_run_that_is_sealed(version: int, old: ObjectStore, store: ObjectStore) -> None:
    """Sealed objects are written in the current version, and the manifest records it."""
    for info in old.list(""):
        store.put_if_absent(info.key, old.get(info.key))
    assert read_manifest(store, RUN).schema_version == version
    compact(store, RUN)
    assert read_manifest(store, RUN).schema_version == SCHEMA_VERSION
    with storage.connect(store.url, RUN) as connection:
        found = [find_episode(connection, one.episode_id, RUN) for one in _as_read_from(version)]
    assert found == _as_read_from(version)


def test_the_heads_say_what_the_columns_are() -> None:
    """If this test fails, write the templates again with ``to_parquet(SCHEMA.empty_table())``."""
    for path, schema in ((schema_template("traces"), SCHEMA), (schema_template("rescored"), RESCORED_SCHEMA)):
        found = pq.read_schema(path)
        assert found.equals(schema)
        assert (found.metadata or {})[VERSION_KEY] == str(SCHEMA_VERSION).encode()
        assert pq.read_metadata(path).num_rows == 0


def _newer() -> bytes:
    """Writes a shard of a future version with an additional column."""
    later = SCHEMA.append(pa.field("mood", pa.string())).with_metadata({VERSION_KEY: b"99"})
    table = episodes_table([episode(1, run_id=RUN)])
    return to_parquet(pa.Table.from_arrays([*table.columns, pa.array(["glad"])], schema=later))


def test_a_newer_run_is_refused(store: ObjectStore) -> None:
    """Every reader refuses the run by its manifest, before opening an object."""
    create_or_check(store, replace(MANIFEST, run_id=RUN, schema_version=99))
    store.put_if_absent(str(KEY), _newer())
    readers = (storage.connect, storage.scan, lambda url: read_index(open_store(url), RUN))
    for read in readers:
        with pytest.raises(StoreError, match=rf"{manifest_key(RUN)}: written with schema version 99.*upgrade it"):
            read(store.url)


def test_a_newer_object_is_refused(store: ObjectStore) -> None:
    """Readers of the footer refuse the object; SQL fails when the columns differ."""
    store.put_if_absent(str(KEY), _newer())
    named = rf"{KEY}: written with schema version 99.*upgrade it"
    with pytest.raises(StoreError, match=named):
        read_shard(store, KEY)
    with pytest.raises(StoreError, match=named):
        read_index(store, RUN)
    create_or_check(store, replace(MANIFEST, run_id=RUN))
    renamed = SCHEMA.remove(0).insert(0, pa.field("id", pa.string())).with_metadata({VERSION_KEY: b"99"})
    table = episodes_table([episode(1, run_id=RUN)])
    store.put_if_absent(str(replace(KEY, number=1)), to_parquet(table.rename_columns(renamed.names).cast(renamed)))
    with pytest.raises(StoreError, match=rf"{RUN}.*written with schema version 99"):
        resilient_query(store.url, lambda connection: connection.execute("SELECT episode_id FROM episodes").fetchall())


def test_a_fixture_stays_as_it_was(tmp_path: Path, version: int) -> None:
    """Reading an old store changes nothing in it."""
    copy = tmp_path / "copy"
    shutil.copytree(FIXTURES / f"schema-v{version}", copy)
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    with storage.connect(str(copy)) as connection:
        connection.execute("FROM episodes").fetchall()
    read_index(open_store(str(copy)), RUN)
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before
    assert json.loads((copy / manifest_key(RUN)).read_bytes())["schema_version"] == version
