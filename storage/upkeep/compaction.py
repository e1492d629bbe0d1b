"""Sealing: the many shards of a run become few large objects, sorted and each episode once.

What is written is what the view ``episodes`` shows: of several attempts the one that counts, with the newest version of
its scores.  The steps are such that a crash after any of them leaves a run that is whole and counted once:

1. every object of the run is read to the last byte; a damaged one ends the seal, since nothing may get lost by it,
2. the new objects are written under names that follow from their content; no reader uses them yet,
3. the manifest is switched by compare and swap: from here on they are the run,
4. the shards, the rescored parts and the objects of an earlier seal are deleted.

The next seal finishes the work.  A sealed run that owes episodes can be resumed: it is opened again, and its
shards count beside its sealed objects until it is sealed once more.
"""

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from muses_eval.pipeline.errors import StoreError
from muses_eval.storage.objects.object_keys import RescoredKey, SealedKey, ShardKey, rescored_keys, trace_keys
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.query.duckdb_connection import connect_to
from muses_eval.storage.query.polars_frames import scan_objects
from muses_eval.storage.query.store_snapshot import StoreSnapshot
from muses_eval.storage.runs.live_objects import trace_objects
from muses_eval.storage.runs.manifest import RunManifest, SealedObject, change_manifest, find_manifest, reopen
from muses_eval.storage.runs.run_lock import HEARTBEAT, HeartbeatTiming, RunLock, hold_run_lock
from muses_eval.storage.runs.shards import DamagedObjectError, read_columns_whole
from muses_eval.storage.runs.spending import usage_of
from muses_eval.storage.schema.parquet_schema import SCHEMA

ORDER = ("family", "model", "episode_id")
"""Questions are mostly of one family or model; within one, ids lie in row groups that do not overlap."""
Cell = tuple[str, str]
"""Family and model."""
_READERS = 8
_BATCH_ROWS = 1024
_NESTED_NAMES = ["scores.list.element.scoring", "scores.list.element.metric", "scores.list.element.round"]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How a sealed run is cut, and what making it may cost."""

    object_bytes: int = 128 * 2**20
    """An object is closed when it has grown to this."""
    group_rows: int = 16_384
    """A row group has so many rows or a few more: the least that a reader of one column reads."""
    group_bytes: int = 64 * 2**20
    """Size of a row group before compression, for episodes with long transcripts."""
    piece_rows: int = 50_000
    """About so many are sorted at a time."""
    memory_limit: str = "1GB"
    """Memory limit of the sort; the rest goes to a temporary folder."""


@dataclass(frozen=True, slots=True)
class SealReport:
    """What came of one start."""

    run_id: str
    store: str
    episodes: int
    objects: int
    bytes: int
    removed: int
    """Objects that the sealed ones stand for now."""


@dataclass(frozen=True, slots=True)
class _Inputs:
    """What a run consists of."""

    shards: tuple[ShardKey, ...]
    parts: tuple[RescoredKey, ...]
    manifest: RunManifest

    @classmethod
    def of(cls, store: ObjectStore, run_id: str) -> "_Inputs":
        """Lists first and reads the manifest afterwards, see :mod:`muses_eval.storage.runs.live_objects`."""
        shards, parts = tuple(trace_keys(store, run_id)), tuple(rescored_keys(store, run_id))
        return cls(shards, parts, find_manifest(store, run_id))

    @property
    def is_sealed(self) -> bool:
        return self.manifest.state == "sealed" and not self.shards and not self.parts


@dataclass(frozen=True, slots=True)
class _Run:
    """What is to be sealed."""

    manifest: RunManifest
    objects: tuple[str, ...]
    parts: tuple[RescoredKey, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """Neighbouring episodes that are sorted together."""

    cells: tuple[Cell, ...]
    low: str
    """Ids from here on."""
    high: str | None
    """Ids below this; None: all."""
    objects: tuple[str, ...]
    """Keys of the objects that hold any of them."""


def seal(
    store: ObjectStore,
    run_id: str,
    work: str = "muses store seal",
    sizes: Sizes = Sizes(),
    heartbeat: HeartbeatTiming = HEARTBEAT,
) -> SealReport:
    """Seals a run; one that is sealed stays as it is.

    Raises:
        StoreError: there is no such run, an object of it is damaged, or the store cannot be written.
        MusesError: somebody works on the run.
    """
    find_manifest(store, run_id)
    with hold_run_lock(store, run_id, work, heartbeat) as lock:
        _finish(store, run_id)
        inputs = _Inputs.of(store, run_id)
        if inputs.is_sealed:
            return _report(store, inputs.manifest, 0)
        opened = reopen(store, run_id)  # what a cut-off seal has left, or a late worker has written, counts as well
        run = _Run(opened, tuple(trace_objects(inputs.shards, [opened])), inputs.parts)
        expected = _episodes_there(store, run.objects)
        used = usage_of(store, run.objects)
        written = tuple(_write_sealed(store, run, lock, sizes))
        found = sum(entry.episodes for entry in written)
        if found != expected:
            raise StoreError(
                f"store {store.url}: the run {run_id!r} has {expected} episodes, but {found} were written; nothing has"
                " been deleted. `muses store verify` looks for what is wrong"
            )
        dropped = used - usage_of(store, [entry.key for entry in written])
        lock.check()
        folded = tuple(map(str, inputs.shards))
        change_manifest(
            store,
            run_id,
            lambda before: replace(
                before, state="sealed", sealed=written, folded=folded, superseded=before.superseded + dropped
            ),
        )
        kept = {entry.key for entry in written}
        spent = [entry.key for entry in opened.sealed if entry.key not in kept]
        manifest = _finish(store, run_id)
        delete_all(store, spent)
        # Last: as long as a shard is there, its newer scores are.
        delete_all(store, list(map(str, inputs.parts)))
        return _report(store, manifest, len(folded) + len(spent) + len(inputs.parts))


def _finish(store: ObjectStore, run_id: str) -> RunManifest:
    """Deletes the shards that sealed objects stand for, and takes them off the manifest."""
    delete_all(store, find_manifest(store, run_id).folded)
    return change_manifest(store, run_id, lambda before: replace(before, folded=()))


def delete_all(store: ObjectStore, keys: Iterable[str]) -> None:
    """Deletes objects, several at a time."""
    with ThreadPoolExecutor(_READERS) as threads:
        for _ in threads.map(store.delete, keys):
            pass


def _report(store: ObjectStore, manifest: RunManifest, removed: int) -> SealReport:
    return SealReport(
        run_id=manifest.run_id,
        store=store.url,
        episodes=sum(entry.episodes for entry in manifest.sealed),
        objects=len(manifest.sealed),
        bytes=sum(entry.bytes for entry in manifest.sealed),
        removed=removed,
    )


def _episodes_there(store: ObjectStore, keys: Sequence[str]) -> int:
    """How many different episodes these objects hold, all of them read to the last byte."""

    def ids(key: str) -> pa.Table:
        try:
            return read_columns_whole(store, key, ["episode_id"])
        except DamagedObjectError as error:
            raise DamagedObjectError(
                store.url,
                key,
                f"{error.problem}. Nothing was sealed: `muses store verify {ShardKey.parse(key) or ''}` says what is"
                " lost. Put back a copy of it, or resume the run, which plays that again, and delete it",
            ) from error

    with ThreadPoolExecutor(_READERS) as threads:
        found = list(threads.map(ids, keys))
    return len(pa.concat_tables(found).column("episode_id").unique()) if found else 0


def _write_sealed(store: ObjectStore, run: _Run, lock: RunLock, sizes: Sizes) -> Iterator[SealedObject]:
    plain = open_store(store.url)  # Polars and DuckDB read by themselves, past any wrapper
    pieces = _pieces(plain, run.objects, sizes.piece_rows)
    rows = (table for piece in pieces for table in _sorted(plain, run, piece, sizes))
    for part, (data, episodes) in enumerate(_objects(rows, sizes)):
        lock.check()
        sha256 = hashlib.sha256(data).hexdigest()
        key = str(SealedKey(run.manifest.run_id, part, sha256[:16]))
        store.put_if_absent(key, data)  # False: this very object was written by a seal that was cut off
        yield SealedObject(key, episodes, len(data), sha256)


def _pieces(store: ObjectStore, objects: Sequence[str], most_rows: int) -> Iterator[Piece]:
    import polars as pl

    if not objects:
        return
    cell = ("family", "model")
    found = scan_objects(store, objects, object_column="uri").group_by(*cell, "uri").agg(pl.len()).collect()
    keys = {store.uri(key): key for key in objects}
    counts: dict[Cell, dict[str, int]] = {}
    for family, model, uri, rows in found.iter_rows():
        counts.setdefault((family, model), {})[keys[uri]] = rows
    yield from cut(counts, most_rows)


def cut(counts: Mapping[Cell, Mapping[str, int]], most_rows: int) -> Iterator[Piece]:
    """Pieces of about so many rows, in order: several small cells together, a large one by ranges of its ids.

    *counts* is cell -> object -> rows of the cell in it.
    """
    gathered: list[Cell] = []

    def piece(low: str = "", high: str | None = None) -> Piece:
        return Piece(tuple(gathered), low, high, tuple(sorted({key for cell in gathered for key in counts[cell]})))

    held = 0
    for cell in sorted(counts):
        rows = sum(counts[cell].values())
        if gathered and held + rows > most_rows:
            yield piece()
            gathered, held = [], 0
        gathered, held = [*gathered, cell], held + rows
        if rows > most_rows:
            # Ids are hashes, so equal ranges hold about equally many.
            parts = -(-rows // most_rows)
            bounds = ["", *(f"{part * 16**8 // parts:08x}" for part in range(1, parts))]
            for low, high in zip(bounds, [*bounds[1:], None], strict=True):
                yield piece(low, high)
            gathered, held = [], 0
    if gathered:
        yield piece()


def _sorted(store: ObjectStore, run: _Run, piece: Piece, sizes: Sizes) -> Iterator[pa.Table]:
    """The episodes of one piece in order and in small tables."""
    step = min(_BATCH_ROWS, sizes.group_rows)
    cells = " OR ".join("(family = ? AND model = ?)" for _ in piece.cells)
    query = (
        f"SELECT {', '.join(SCHEMA.names)} FROM episodes"  # noqa: S608 - our own names
        f" WHERE ({cells}) AND episode_id >= ? AND (? IS NULL OR episode_id < ?) ORDER BY {', '.join(ORDER)}"
    )
    values = [*chain.from_iterable(piece.cells), piece.low, piece.high, piece.high]
    families = {family for family, _ in piece.cells}
    parts = tuple(str(part) for part in run.parts if part.family in families)
    snapshot = StoreSnapshot(settled=(), unsettled=piece.objects, rescored=parts, manifests=())
    with tempfile.TemporaryDirectory(prefix="muses-seal-") as spill, connect_to(store, snapshot) as connection:
        connection.execute(f"SET memory_limit = '{sizes.memory_limit}'")
        connection.execute(f"SET temp_directory = '{spill}'")
        try:
            for batch in connection.execute(query, values).to_arrow_reader(_BATCH_ROWS):
                rows = pa.Table.from_batches([batch]).cast(SCHEMA)
                yield from (rows.slice(start, step) for start in range(0, rows.num_rows, step))
        except (duckdb.Error, pa.ArrowException) as error:
            problem = " ".join(str(error).split())
            raise StoreError(f"store {store.url}: cannot sort the run {run.manifest.run_id!r}: {problem}") from error


def _objects(rows: Iterable[pa.Table], sizes: Sizes) -> Iterator[tuple[bytes, int]]:
    """Parquet files, each with how many rows it has."""
    sink, writer, count = pa.BufferOutputStream(), None, 0
    for group in _groups(rows, sizes):
        writer = writer or _writer(sink)
        writer.write_table(group, row_group_size=group.num_rows)
        count += group.num_rows
        if sink.tell() >= sizes.object_bytes:
            writer.close()
            yield sink.getvalue().to_pybytes(), count
            sink, writer, count = pa.BufferOutputStream(), None, 0
    if writer is not None:
        writer.close()
        yield sink.getvalue().to_pybytes(), count


def _groups(rows: Iterable[pa.Table], sizes: Sizes) -> Iterator[pa.Table]:
    """The rows as tables of the size of a row group, the last one smaller."""
    gathered: list[pa.Table] = []
    for table in rows:
        gathered.append(table)
        full = sum(each.num_rows for each in gathered) >= sizes.group_rows
        if full or sum(each.nbytes for each in gathered) >= sizes.group_bytes:
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
        # Ids are all different; sorted, their statistics alone lead to a row group.
        use_dictionary=[*(name for name in flat if name != "episode_id"), *_NESTED_NAMES],  # type: ignore[arg-type]
        write_statistics=flat,
        write_page_checksum=True,
    )
