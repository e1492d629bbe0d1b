"""Compaction: the many shards of a run become a few large objects, sorted, with one row per episode.

The command is ``muses store seal``, and a compacted run is called *sealed*.  The new objects contain the rows of the
view ``episodes``: the attempt that counts, with the newest version of its scores.  A crash after any step leaves a run
whose episodes are all stored and counted once:

1. Every object of the run is read completely.  A damaged object ends the compaction, so that no data are lost.
2. The new objects are written under names derived from their content.  No reader uses them yet.
3. The manifest is replaced by compare and swap.  From now on, readers use the new objects.
4. The shards, the rescored parts and the objects of an earlier compaction are deleted.

The next compaction finishes an interrupted one.  A sealed run with pending episodes can be resumed: it is reopened, and
its new shards count beside its sealed objects until the next compaction.
"""

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from muses_eval.pipeline.errors import StoreError
from muses_eval.storage.objects.object_keys import RescoredKey, SealedKey, ShardKey, rescored_keys, trace_keys
from muses_eval.storage.objects.object_store import ObjectStore, delete_all
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.query.duckdb_connection import connect_to
from muses_eval.storage.query.polars_frames import scan_objects
from muses_eval.storage.query.store_snapshot import StoreSnapshot
from muses_eval.storage.runs.live_objects import live_objects
from muses_eval.storage.runs.manifest import RunManifest, SealedObject, find_manifest, reopen, update_manifest
from muses_eval.storage.runs.run_lock import HEARTBEAT, HeartbeatTiming, RunLock, hold_run_lock
from muses_eval.storage.runs.shards import DamagedObjectError, read_verified_columns
from muses_eval.storage.runs.spending import usage_of
from muses_eval.storage.schema.parquet_schema import NESTED_DICTIONARIES, SCHEMA, SCHEMA_VERSION
from muses_eval.storage.upkeep.key_ranges import Cell, KeyRange, split_key_ranges

ORDER = ("family", "model", "episode_id")
"""Sort order: most queries select one family or model, and row groups of sorted ids do not overlap."""
_READERS = 8
_BATCH_ROWS = 1024


@dataclass(frozen=True, slots=True)
class CompactionSettings:
    """Sizes of the objects and row groups, and the memory that compaction uses."""

    object_bytes: int = 128 * 2**20
    """Size at which an object is closed."""
    group_rows: int = 16_384
    """Minimum number of rows of a row group, the smallest part of a column that a reader reads."""
    group_bytes: int = 64 * 2**20
    """Size of a row group before compression, for episodes with long transcripts."""
    range_rows: int = 50_000
    """Approximate number of rows that are sorted at a time."""
    memory_limit: str = "1GB"
    """Memory limit of the sort; DuckDB spills the rest to a temporary folder."""


@dataclass(frozen=True, slots=True)
class CompactionReport:
    """The result of one compaction."""

    run_id: str
    store: str
    episodes: int
    objects: int
    bytes: int
    removed: int
    """Number of objects that the sealed objects replaced."""


@dataclass(frozen=True, slots=True)
class _Inputs:
    """The objects of a run, and its manifest."""

    shards: tuple[ShardKey, ...]
    parts: tuple[RescoredKey, ...]
    manifest: RunManifest

    @classmethod
    def of(cls, store: ObjectStore, run_id: str) -> "_Inputs":
        """Lists the objects and then reads the manifest (see :mod:`muses_eval.storage.runs.live_objects`)."""
        shards, parts = tuple(trace_keys(store, run_id)), tuple(rescored_keys(store, run_id))
        return cls(shards, parts, find_manifest(store, run_id))

    @property
    def is_sealed(self) -> bool:
        return self.manifest.state == "sealed" and not self.shards and not self.parts


@dataclass(frozen=True, slots=True)
class _Run:
    """The input of a compaction."""

    manifest: RunManifest
    objects: tuple[str, ...]
    parts: tuple[RescoredKey, ...]


def compact(
    store: ObjectStore,
    run_id: str,
    work: str = "muses store seal",
    settings: CompactionSettings = CompactionSettings(),
    heartbeat: HeartbeatTiming = HEARTBEAT,
) -> CompactionReport:
    """Compacts a run.  A run that is sealed already stays unchanged.

    Raises:
        StoreError: there is no such run, one of its objects is damaged, or the store cannot be written.
        RunLockedError: another process works on the run.
    """
    find_manifest(store, run_id)
    with hold_run_lock(store, run_id, work, heartbeat) as lock:
        _finish(store, run_id)
        inputs = _Inputs.of(store, run_id)
        if inputs.is_sealed:
            return _report(store, inputs.manifest, 0)
        opened = reopen(store, run_id)  # leftovers of an interrupted compaction and late shards count as well
        run = _Run(opened, tuple(live_objects(inputs.shards, [opened])), inputs.parts)
        expected = _count_episodes(store, run)
        used = usage_of(store, run.objects)
        written = tuple(_write_sealed(store, run, lock, settings))
        found = sum(entry.episodes for entry in written)
        if found != expected:
            raise StoreError(
                f"store {store.url}: the run {run_id!r} has {expected} episodes, but {found} were written; nothing has"
                " been deleted. `muses store verify` reports damaged objects"
            )
        dropped = used - usage_of(store, [entry.key for entry in written])
        lock.check()
        obsolete = tuple(map(str, inputs.shards))
        update_manifest(
            store,
            run_id,
            lambda before: replace(
                before,
                state="sealed",
                sealed=written,
                oldest_schema_version=SCHEMA_VERSION,
                obsolete_shards=obsolete,
                superseded_usage=before.superseded_usage + dropped,
            ),
        )
        kept = {entry.key for entry in written}
        spent = [entry.key for entry in opened.sealed if entry.key not in kept]
        manifest = _finish(store, run_id)
        delete_all(store, spent)
        # Last, because a shard must not outlive its newer scores.
        delete_all(store, list(map(str, inputs.parts)))
        return _report(store, manifest, len(obsolete) + len(spent) + len(inputs.parts))


def _finish(store: ObjectStore, run_id: str) -> RunManifest:
    """Deletes the obsolete shards, and removes them from the manifest."""
    delete_all(store, find_manifest(store, run_id).obsolete_shards)
    return update_manifest(store, run_id, lambda before: replace(before, obsolete_shards=()))


def _report(store: ObjectStore, manifest: RunManifest, removed: int) -> CompactionReport:
    return CompactionReport(
        run_id=manifest.run_id,
        store=store.url,
        episodes=sum(entry.episodes for entry in manifest.sealed),
        objects=len(manifest.sealed),
        bytes=sum(entry.bytes for entry in manifest.sealed),
        removed=removed,
    )


def _count_episodes(store: ObjectStore, run: _Run) -> int:
    """Returns the number of distinct episodes of a run, after reading all of its objects completely."""

    def ids(key: str) -> pa.Table:
        try:
            return read_verified_columns(store, key, ["episode_id"])
        except DamagedObjectError as error:
            raise DamagedObjectError(
                store.url,
                key,
                f"{error.problem}. Nothing was sealed: `muses store verify {run.manifest.run_id}` lists what is"
                " lost. Restore a copy of it, or resume the run, which plays its episodes again, and delete it",
            ) from error

    with ThreadPoolExecutor(_READERS) as threads:
        found = list(threads.map(ids, run.objects))
    return len(pa.concat_tables(found).column("episode_id").unique()) if found else 0


def _write_sealed(store: ObjectStore, run: _Run, lock: RunLock, settings: CompactionSettings) -> Iterator[SealedObject]:
    plain = open_store(store.url)  # Polars and DuckDB read the store directly, not through a wrapper
    ranges = _key_ranges(plain, run.objects, settings.range_rows)
    rows = (table for each in ranges for table in _sorted(plain, run, each, settings))
    for part, (data, episodes) in enumerate(_objects(rows, settings)):
        lock.check()
        sha256 = hashlib.sha256(data).hexdigest()
        key = str(SealedKey(run.manifest.run_id, part, sha256[:16]))
        store.put_if_absent(key, data)  # False: an interrupted compaction has written the same object
        yield SealedObject(key, episodes, len(data), sha256)


def _key_ranges(store: ObjectStore, objects: Sequence[str], most_rows: int) -> Iterator[KeyRange]:
    import polars as pl

    if not objects:
        return
    cell = ("family", "model")
    found = scan_objects(store, objects, object_column="uri").group_by(*cell, "uri").agg(pl.len()).collect()
    keys = {store.uri(key): key for key in objects}
    counts: dict[Cell, dict[str, int]] = {}
    for family, model, uri, rows in found.iter_rows():
        counts.setdefault((family, model), {})[keys[uri]] = rows
    yield from split_key_ranges(counts, most_rows)


def _sorted(store: ObjectStore, run: _Run, key_range: KeyRange, settings: CompactionSettings) -> Iterator[pa.Table]:
    """Yields the episodes of one key range in order, in small tables."""
    step = min(_BATCH_ROWS, settings.group_rows)
    cells = " OR ".join("(family = ? AND model = ?)" for _ in key_range.cells)
    query = (
        f"SELECT {', '.join(SCHEMA.names)} FROM episodes"  # noqa: S608 - our own names
        f" WHERE ({cells}) AND episode_id >= ? AND (? IS NULL OR episode_id < ?) ORDER BY {', '.join(ORDER)}"
    )
    values = [*chain.from_iterable(key_range.cells), key_range.low, key_range.high, key_range.high]
    families = {family for family, _ in key_range.cells}
    parts = tuple(str(part) for part in run.parts if part.family in families)
    snapshot = StoreSnapshot(settled=(), unsettled=key_range.objects, rescored=parts, manifests=(run.manifest,))
    with tempfile.TemporaryDirectory(prefix="muses-seal-") as spill, connect_to(store, snapshot) as connection:
        connection.execute(f"SET memory_limit = '{settings.memory_limit}'")
        connection.execute(f"SET temp_directory = '{spill}'")
        try:
            for batch in connection.execute(query, values).to_arrow_reader(_BATCH_ROWS):
                rows = pa.Table.from_batches([batch]).cast(SCHEMA)
                yield from (rows.slice(start, step) for start in range(0, rows.num_rows, step))
        except (duckdb.Error, pa.ArrowException) as error:
            problem = " ".join(str(error).split())
            raise StoreError(f"store {store.url}: cannot sort the run {run.manifest.run_id!r}: {problem}") from error


def _objects(rows: Iterable[pa.Table], settings: CompactionSettings) -> Iterator[tuple[bytes, int]]:
    """Yields Parquet files with their number of rows."""
    sink, writer, count = pa.BufferOutputStream(), None, 0
    for group in _groups(rows, settings):
        writer = writer or _writer(sink)
        writer.write_table(group, row_group_size=group.num_rows)
        count += group.num_rows
        if sink.tell() >= settings.object_bytes:
            writer.close()
            yield sink.getvalue().to_pybytes(), count
            sink, writer, count = pa.BufferOutputStream(), None, 0
    if writer is not None:
        writer.close()
        yield sink.getvalue().to_pybytes(), count


def _groups(rows: Iterable[pa.Table], settings: CompactionSettings) -> Iterator[pa.Table]:
    """Yields the rows as tables of the size of a row group; the last one is smaller."""
    gathered: list[pa.Table] = []
    for table in rows:
        gathered.append(table)
        full = sum(each.num_rows for each in gathered) >= settings.group_rows
        if full or sum(each.nbytes for each in gathered) >= settings.group_bytes:
            yield pa.concat_tables(gathered)
            gathered = []
    if gathered:
        yield pa.concat_tables(gathered)


def _writer(sink: pa.BufferOutputStream) -> pq.ParquetWriter:
    flat = [field.name for field in SCHEMA if not isinstance(field.type, pa.ListType)]
    return pq.ParquetWriter(
        sink,
        SCHEMA,
        compression="zstd",
        compression_level=3,
        # Ids are unique: a dictionary does not help, and the statistics of sorted ids select the row group.
        use_dictionary=[*(name for name in flat if name != "episode_id"), *NESTED_DICTIONARIES],  # type: ignore[arg-type]
        write_statistics=flat,
        write_page_checksum=True,
    )
