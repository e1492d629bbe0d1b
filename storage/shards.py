"""Shards in a store: written once, read whole, and counted without opening a transcript."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.episode import Episode
from pipeline.errors import StoreError
from storage.frames import scan_objects
from storage.layout import ShardKey, trace_keys
from storage.objects import ObjectStore
from storage.schema import episodes_from_table, episodes_table, from_parquet, to_parquet


@dataclass(frozen=True, slots=True)
class RunIndex:
    """What a run has stored so far."""

    scored: frozenset[str]
    """Ids of the episodes that need not be played again."""
    attempts: Mapping[tuple[str, str, int], int]
    """(model slug, family, shard number) -> its highest attempt; shards never stored are absent."""

    def next_attempt(self, model: str, family: str, number: int) -> int:
        """The attempt under which the shard is to be stored next."""
        return self.attempts.get((model, family, number), 0) + 1


def write_shard(store: ObjectStore, key: ShardKey, episodes: Sequence[Episode]) -> bool:
    """Stores a shard's episodes as one object.  False: this attempt of the shard was stored before."""
    return store.put_if_absent(str(key), to_parquet(episodes_table(episodes)))


def read_shard(store: ObjectStore, key: ShardKey) -> list[Episode]:
    """The episodes of one object.

    Raises:
        StoreError: it is missing, damaged or of a newer version.
    """
    data = store.get(str(key))
    try:
        return episodes_from_table(from_parquet(data))
    except StoreError as error:
        raise StoreError(f"store {store.url}: {key}: {error}") from error


def read_index(store: ObjectStore, run_id: str) -> RunIndex:
    """What a run has stored.  Reads ids and outcomes only: a second for 200,000 episodes in a folder.

    Raises:
        StoreError: an object is damaged; the message names it.
    """
    attempts: dict[tuple[str, str, int], int] = {}
    keys = list(trace_keys(store, run_id))
    for key in keys:
        shard = (key.model, key.family, key.number)
        attempts[shard] = max(key.attempt, attempts.get(shard, 0))
    return RunIndex(_scored_ids(store, keys), attempts)


def _scored_ids(store: ObjectStore, keys: Sequence[ShardKey]) -> frozenset[str]:
    if not keys:
        return frozenset()
    import polars as pl

    # Polars reads thousands of small footers two to five times as fast as DuckDB and Arrow (tests/bench).
    rows = scan_objects(store, list(map(str, keys))).select("episode_id", "outcome")
    try:
        found = rows.collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        for key in keys:
            read_shard(store, key)  # names the object that cannot be read
        raise StoreError(f"store {store.url}: cannot read the traces: {error}") from error
    return frozenset(found.filter(pl.col("outcome") == "scored")["episode_id"])
