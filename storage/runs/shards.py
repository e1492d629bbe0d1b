"""Shards: small objects of episodes, written once; and the index of the stored episodes of a run."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.errors import StoreError
from muses_eval.pipeline.hashing import slug
from muses_eval.storage.objects.object_keys import SealedKey, ShardKey, trace_keys
from muses_eval.storage.objects.object_store import MissingObjectError, ObjectStore
from muses_eval.storage.query.polars_frames import scan_objects
from muses_eval.storage.runs.live_objects import live_objects, manifests_of
from muses_eval.storage.schema.parquet_schema import (
    SCHEMA,
    SCHEMA_VERSION,
    VERSION_KEY,
    check_version,
    episodes_from_table,
    episodes_table,
    from_parquet,
    to_parquet,
    with_later_columns,
)

if TYPE_CHECKING:
    import polars as pl

ShardId = tuple[str, str, int]
"""Model slug, family, shard number."""
_READERS = 16
_BATCH_ROWS = 1024
_GONE = "there is no such object"


class DamagedObjectError(StoreError):
    """The object under a shard's or a sealed object's key is not readable."""

    def __init__(self, store: str, key: str, problem: str) -> None:
        super().__init__(store, key, problem)
        self.store, self.key, self.problem = store, key, problem

    def __str__(self) -> str:
        return f"store {self.store}: {self.key}: {self.problem}"


@dataclass(frozen=True, slots=True)
class RunIndex:
    """The stored episodes and attempts of a run."""

    scored: frozenset[str]
    """Ids of the scored episodes, which are not played again."""
    attempts: Mapping[ShardId, int]
    """Shard -> highest stored attempt."""
    damaged: Mapping[str, str] = field(default_factory=dict)
    """Key -> problem of a damaged object.  Its episodes count as not scored."""
    sealed: bool = False
    """True when the run has to be reopened before shards are added."""

    def next_attempt(self, model: str, family: str, number: int) -> int:
        """Returns the number of a shard's next attempt."""
        return self.attempts.get((model, family, number), 0) + 1


def write_shard(store: ObjectStore, key: ShardKey, episodes: Sequence[Episode]) -> bool:
    """Stores a shard's episodes as one object.  Returns False when this attempt of the shard is stored already."""
    return store.put_if_absent(str(key), to_parquet(episodes_table(episodes)))


def read_shard(store: ObjectStore, key: ShardKey) -> list[Episode]:
    """Returns the episodes of one object.

    Raises:
        DamagedObjectError: the object is not readable.
        StoreError: the object is missing, or a newer version wrote it.
    """
    data = store.get(str(key))
    with _errors_name(store, str(key), data):
        return episodes_from_table(from_parquet(data))


def read_episodes(store: ObjectStore, key: str, episode_ids: Collection[str]) -> Iterator[Episode]:
    """Yields the requested episodes of one shard or sealed object, in batches, because sealed objects are large.

    Raises as :func:`read_shard` does.
    """
    data = store.get(key)
    wanted = pa.array(list(episode_ids), pa.string())
    with _errors_name(store, key, data):
        for rows in _batches(data, SCHEMA.names):
            yield from episodes_from_table(rows.filter(pc.is_in(rows.column("episode_id"), wanted)))


def read_verified_columns(store: ObjectStore, key: str, columns: Sequence[str]) -> pa.Table:
    """Returns columns of one shard or sealed object, after reading all of its pages and verifying their checksums.

    Raises as :func:`read_shard` does.
    """
    return verified_columns(store, key, store.get(key), columns)


def verified_columns(store: ObjectStore, key: str, data: bytes, columns: Sequence[str]) -> pa.Table:
    """As :func:`read_verified_columns`, for an object whose bytes are in memory."""
    with _errors_name(store, key, data):
        batches = list(_batches(data, columns))
        return pa.concat_tables(batches) if batches else SCHEMA.empty_table().select(list(columns))


def _batches(data: bytes, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yields small tables with some columns of a Parquet file; all columns are read and verified."""
    try:
        file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
        check_version(file.schema_arrow.metadata or {})
        for batch in file.iter_batches(_BATCH_ROWS):
            yield with_later_columns(pa.Table.from_batches([batch])).select(list(columns))
    except (pa.ArrowException, OSError, KeyError) as error:
        raise StoreError(f"not a readable Parquet file ({' '.join(str(error).split())})") from error


@contextmanager
def _errors_name(store: ObjectStore, key: str, data: bytes) -> Iterator[None]:
    """Turns errors of these bytes into errors that name the object."""
    try:
        yield
    except StoreError as error:
        if _is_newer(data):
            raise StoreError(f"store {store.url}: {key}: {error}") from error
        raise DamagedObjectError(store.url, key, str(error)) from error


def read_index(store: ObjectStore, run_id: str) -> RunIndex:
    """Returns the index of a run.  Reads ids and outcomes only: 1 s for 200,000 episodes in a folder.

    Raises:
        StoreError: a sealed object is damaged, or a newer version wrote an object; the message names it.
    """
    shards = list(trace_keys(store, run_id))  # before the manifest, see muses_eval.storage.runs.live_objects
    manifests = manifests_of(store, run_id)
    objects = live_objects(shards, manifests)
    is_sealed = any(manifest.state == "sealed" for manifest in manifests)
    if not objects:
        return RunIndex(frozenset(), {}, sealed=is_sealed)
    counted, sealed = set(objects), [key for key in objects if SealedKey.parse(key)]
    shards = [key for key in shards if str(key) in counted]
    rows, damaged = _read_columns(store, list(map(str, shards)), ("episode_id", "outcome"))
    attempts = _highest((key.model, key.family, key.number, key.attempt) for key in shards)
    scored = frozenset(_scored_ids(rows))
    if sealed:
        columns = ("episode_id", "outcome", "model", "family", "shard", "attempt")
        old, lost = _read_columns(store, sealed, columns)
        _refuse_damaged_seal(store, lost)
        found = old.select(columns[2:]).unique().iter_rows()
        before = _highest((slug(model), family, number, attempt) for model, family, number, attempt in found)
        attempts = _highest((*shard, attempt) for each in (before, attempts) for shard, attempt in each.items())
        scored, damaged = scored | frozenset(_scored_ids(old)), {**damaged, **lost}
    return RunIndex(scored, attempts, damaged, is_sealed)


def _highest(stored: Iterable[tuple[str, str, int, int]]) -> dict[ShardId, int]:
    attempts: dict[ShardId, int] = {}
    for model, family, number, attempt in stored:
        attempts[model, family, number] = max(attempt, attempts.get((model, family, number), 0))
    return attempts


def _scored_ids(rows: "pl.DataFrame") -> "pl.Series":
    import polars as pl

    return rows.filter(pl.col("outcome") == "scored")["episode_id"]


def _read_columns(
    store: ObjectStore, keys: Sequence[str], columns: Sequence[str]
) -> "tuple[pl.DataFrame, dict[str, str]]":
    """Returns these columns of all readable objects, and key -> problem of the others."""
    import polars as pl

    if not keys:
        return pl.DataFrame(schema=dict.fromkeys(columns, pl.String)), {}
    # Polars reads thousands of small footers two to five times as fast as DuckDB and Arrow (tests/bench).
    try:
        return scan_objects(store, keys).select(columns).collect(), {}
    except (pl.exceptions.PolarsError, OSError) as error:
        damaged = dict(_damages(store, keys))
        if not damaged:
            raise StoreError(f"store {store.url}: cannot read the traces: {error}") from error
    whole = [key for key in keys if key not in damaged]
    rows, more = _read_columns(store, whole, columns)
    return rows, {**damaged, **more}


def _damages(store: ObjectStore, keys: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yields (key, problem) of the damaged objects among these."""

    def problem(key: str) -> str | None:
        try:
            read_verified_columns(store, key, ("episode_id",))
        except DamagedObjectError as error:
            return error.problem
        except MissingObjectError:
            return _GONE
        return None

    with ThreadPoolExecutor(_READERS) as threads:
        yield from ((key, text) for key, text in zip(keys, threads.map(problem, keys), strict=True) if text)


def _refuse_damaged_seal(store: ObjectStore, damaged: Mapping[str, str]) -> None:
    """Raises for a damaged sealed object: thousands of episodes are never replayed silently."""
    for key, problem in damaged.items():
        if problem != _GONE:
            raise DamagedObjectError(
                store.url, key, f"{problem}. Put back a copy of it, or delete it to have its episodes played again"
            )


def _is_newer(data: bytes) -> bool:
    """Returns True when a newer version of this project wrote these bytes."""
    try:
        found = (pq.read_schema(pa.BufferReader(data)).metadata or {}).get(VERSION_KEY, b"")
    except (pa.ArrowException, OSError):
        return False
    return found.isdigit() and int(found) > SCHEMA_VERSION
