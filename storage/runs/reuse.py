"""Episodes of an earlier run, taken over by a later one that would play the very same.

A cell is taken over whole: its key is the same (``content_key.py``), and every one of its episodes is scored.
The episodes become shards of the later run under the numbers that its plan gives them, so that every reader finds them
where it looks.  They are flagged, and their calls cost nothing, since no model was called.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.errors import StoreError
from muses_eval.pipeline.plan.plan import Cell
from muses_eval.storage.objects.object_keys import ShardKey
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.query.duckdb_connection import connect_to
from muses_eval.storage.query.store_snapshot import read_snapshot
from muses_eval.storage.runs.manifest import CellRecord, RunManifest
from muses_eval.storage.runs.shards import RunIndex, write_shard
from muses_eval.storage.schema.parquet_schema import SCHEMA, episodes_from_table

REUSED = "reused"
"""The flag of an episode that was taken over."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one cell of a run."""

    record: CellRecord
    owed: Cell | None
    """What of it is not stored yet; None: nothing."""
    held_by: str | None
    """The earlier run that what is owed is copied from; None: it is played, or nothing is owed."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the episodes of a cell are to be had."""

    held_by: str
    """The run that they are copied from."""
    played_in: str
    """The run that asked the model: the same one, or the one that it took them over from."""


def decide(
    planned: Sequence[tuple[Cell, str]],
    owed: Sequence[Cell],
    stored: Sequence[CellRecord],
    run_id: str,
    sources: Mapping[str, Source],
) -> list[Decision]:
    """Which cells of a run are taken over: those with a source, unless the run has begun to play them itself.

    Args:
        planned: all cells of the run, each with its content key.
        owed: what of them is not scored yet.
        stored: what an earlier start of the run has decided.
        run_id: the run.
        sources: by content key, of what can be taken over (:func:`find_sources`).
    """
    still_owed = {_place(cell): cell for cell in owed}
    before = {(record.model, record.family, record.template): record for record in stored}
    decisions = []
    for cell, current_key in planned:
        key, place, rest = current_key, _place(cell), still_owed.get(_place(cell))
        earlier, source = before.get(place), sources.get(key)
        begun = rest is None or rest.episode_count < cell.episode_count
        if begun and earlier is not None:
            # What is there was played with what the earlier start knew, and goes on by its name.
            is_same = source is not None and earlier.content_key == key
            key, played_in = earlier.content_key, earlier.played_in if rest is None or is_same else run_id
        else:
            played_in = run_id if begun or source is None else source.played_in
        record = CellRecord(model=place[0], family=place[1], template=place[2], content_key=key, played_in=played_in)
        held_by = None if rest is None or source is None or played_in == run_id else source.held_by
        decisions.append(Decision(record, rest, held_by))
    return decisions


def find_sources(
    before: RunManifest, scored: Collection[str], planned: Sequence[tuple[Cell, str]]
) -> dict[str, Source]:
    """By content key, of the planned cells that an earlier run has scored whole.

    *scored*: the ids of the episodes that are scored there.
    """
    keys = {record.content_key: record.played_in for record in before.cells}
    return {
        key: Source(before.run_id, keys[key])
        for cell, key in planned
        if key in keys and all(episode.id in scored for shard in cell.shards for episode in shard.episodes)
    }


def take_over(store: ObjectStore, decisions: Sequence[Decision], run_id: str, index: RunIndex) -> None:
    """Copies what is owed of the reused cells, each from the run that holds it.

    Raises:
        StoreError: an earlier run cannot be read, or ours cannot be written; what was copied by then counts.
    """
    wanted = defaultdict[str, list[Cell]](list)
    for each in decisions:
        if each.owed is not None and each.held_by is not None:
            wanted[each.held_by].append(each.owed)
    for held_by, cells in wanted.items():
        _copy(store, held_by, cells, run_id, index)


def _copy(store: ObjectStore, before_id: str, cells: Sequence[Cell], run_id: str, index: RunIndex) -> None:
    with _reading(store, before_id) as connection:
        for cell in cells:
            rows = _scored_rows(connection, cell)
            for shard in cell.shards:
                attempt = index.next_attempt(cell.model.slug, cell.family, shard.number)
                key = ShardKey(run_id, cell.model.slug, cell.family, shard.number, attempt)
                ids = pa.array([episode.id for episode in shard.episodes], pa.string())
                found = episodes_from_table(rows.filter(pc.is_in(rows.column("episode_id"), ids)))
                if len(found) < len(ids):
                    raise StoreError(
                        f"store {store.url}: the run {before_id!r} has {len(found)} of {len(ids)} episodes of"
                        f" {cell.label}, shard {shard.number}; `muses store verify {before_id}` says what is lost"
                    )
                write_shard(store, key, [taken_over(episode, key) for episode in found])


def taken_over(episode: Episode, key: ShardKey) -> Episode:
    """An episode of an earlier run as one of ours."""
    return replace(
        episode,
        run_id=key.run_id,
        shard=key.number,
        attempt=key.attempt,
        flags=episode.flags if REUSED in episode.flags else (*episode.flags, REUSED),
        cost_usd=0.0,
        calls=tuple(replace(call, cached=True, cost_usd=0.0) for call in episode.calls),
    )


def _place(cell: Cell) -> tuple[str, str, str]:
    return cell.model.name, cell.family, cell.template


@contextmanager
def _reading(store: ObjectStore, run_id: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """The views over one run; what goes wrong with them is the store's trouble."""
    try:
        with connect_to(store, read_snapshot(store, run_id)) as connection:
            yield connection
    except (duckdb.Error, pa.ArrowException) as error:
        reason = str(error).partition("\n")[0]
        raise StoreError(f"store {store.url}: the run {run_id!r} cannot be read: {reason}") from error


def _scored_rows(connection: duckdb.DuckDBPyConnection, cell: Cell) -> pa.Table:
    query = (
        f"SELECT {', '.join(SCHEMA.names)} FROM episodes"  # noqa: S608 - our own names
        " WHERE model = $1 AND family = $2 AND outcome = 'scored'"
    )
    found = connection.execute(query, [cell.model.name, cell.family])
    return found.to_arrow_table().cast(SCHEMA)
