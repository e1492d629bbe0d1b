"""Object keys are written and parsed."""

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st
from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.hashing import slug
from muses_eval.storage.objects.object_keys import (
    RescoredKey,
    SealedKey,
    ShardKey,
    lock_key,
    manifest_key,
    parse_lock_key,
    parse_manifest_key,
    run_folder,
    sealed_folder,
)

slugs = st.text(min_size=1).map(slug)
keys = st.builds(ShardKey, slugs, slugs, slugs, st.integers(0, 10**7), st.integers(1, 10**4), st.booleans())


def test_a_shards_name() -> None:
    """The layout of keys is documented, so other tools may rely on it."""
    key = ShardKey("nightly-1", "gpt-x", "queue", 42, 1)
    old = replace(key, is_old=True)
    assert str(key) == "traces/run=nightly-1/gpt-x/queue/shard-00042.a1.parquet"
    assert str(old) == "traces/run=nightly-1/model=gpt-x/family=queue/shard-00042.a1.parquet"
    assert all(str(each).startswith(run_folder("nightly-1")) for each in (key, old))


@given(st.builds(SealedKey, slugs, st.integers(0, 10**7), st.from_regex(r"[0-9a-f]{16}", fullmatch=True)))
def test_sealed_names_are_read_back(key: SealedKey) -> None:
    """Keys of sealed objects are not parsed as shards; keys of lock objects contain the run id as manifests do."""
    assert SealedKey.parse(str(key)) == key
    assert ShardKey.parse(str(key)) is RescoredKey.parse(str(key)) is None
    assert str(key).startswith(sealed_folder(key.run_id))
    assert parse_lock_key(lock_key(key.run_id)) == key.run_id
    assert parse_lock_key(manifest_key(key.run_id)) is None


@pytest.mark.parametrize(
    "name", ["00000.parquet", "00000-0123.parquet", "0-0123456789abcdef.parquet", "x/00000-0123456789abcdef.parquet"]
)
def test_foreign_sealed_objects(name: str) -> None:
    """Objects without a content hash in their name are foreign."""
    assert SealedKey.parse(f"sealed/run=r/{name}") is None


@given(keys)
def test_names_are_read_back(key: ShardKey) -> None:
    """The key of every shard is parsed back to the same shard."""
    assert ShardKey.parse(str(key)) == key


@pytest.mark.parametrize(
    "foreign",
    [
        "",
        "traces/",
        "traces/run=r/m/f/shard-00001.parquet",
        "traces/run=r/m/family=f/shard-00001.a1.parquet",
        "traces/run=r/model=m/f/shard-00001.a1.parquet",
        "traces/run=r/m/shard-00001.a1.parquet",
        "traces/run=r/m/f/more/shard-00001.a1.parquet",
        "traces/run=r/model=m/family=f/shard-00001.parquet",
        "traces/run=r/model=m/family=f/shard-00001.a0.parquet",
        "traces/run=r/model=m/family=f/shard-000001.a1.parquet",
        "traces/run=r/model=m/family=f/shard-1.a1.parquet",
        "traces/run=r/model=m/family=f/shard-00001.a1.parquet.tmp",
        "traces/run=r/model=m/family=f/more/shard-00001.a1.parquet",
        "sealed/run=r/model=m/family=f/shard-00001.a1.parquet",
        "runs/r.json",
    ],
)
def test_foreign_names(foreign: str) -> None:
    """Foreign keys are not parsed as shards."""
    assert ShardKey.parse(foreign) is None


def test_the_name_of_rescored_scores() -> None:
    """The key contains the run, the family, the scorer's version and the part."""
    key = RescoredKey("nightly-1", "queue", 2, 7)
    assert str(key) == "rescored/run=nightly-1/family=queue/v2-00007.parquet"


@given(st.builds(RescoredKey, slugs, slugs, st.integers(1, 10**4), st.integers(0, 10**7)))
def test_rescored_names_are_read_back(key: RescoredKey) -> None:
    """The key of every object is parsed back, and is not parsed as a shard."""
    assert RescoredKey.parse(str(key)) == key
    assert ShardKey.parse(str(key)) is None


@pytest.mark.parametrize(
    "foreign",
    [
        "",
        "rescored/",
        "rescored/run=r/family=f/v0-00001.parquet",
        "rescored/run=r/family=f/v01-00001.parquet",
        "rescored/run=r/family=f/v1-1.parquet",
        "rescored/run=r/family=f/v1-000001.parquet",
        "rescored/run=r/model=m/family=f/v1-00001.parquet",
        "traces/run=r/model=m/family=f/shard-00001.a1.parquet",
    ],
)
def test_names_that_are_no_rescored_scores(foreign: str) -> None:
    """Other keys are skipped."""
    assert RescoredKey.parse(foreign) is None


def test_a_manifests_name() -> None:
    """Each run has one manifest object."""
    assert manifest_key("nightly-1") == "runs/nightly-1.json"
    assert parse_manifest_key("runs/nightly-1.json") == "nightly-1"
    for foreign in ("runs/nightly 1.json", "runs/a/b.json", "runs/.json", "runs/a.json.bak", "traces/a.json"):
        assert parse_manifest_key(foreign) is None


@pytest.mark.parametrize("run_id", ["", "a/b", "..", "a b", "ü"])
def test_unusable_run_ids(run_id: str) -> None:
    """The error proposes a valid run id."""
    for name in (run_folder, manifest_key):
        with pytest.raises(ConfigError, match=f"run id {run_id!r}: expected letters.* write '"):
            name(run_id)
