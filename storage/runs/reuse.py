"""Reuse: a run copies cells that an earlier run has already evaluated under the same content key.

Only whole cells are reused: the content key is the same (``content_key.py``), and each episode of the cell is scored.
The copied episodes become shards of the later run, under the shard numbers of its plan, so readers need no special
case.  They carry the flag ``reused``, and their calls cost nothing, because no model was called.
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
"""The flag of an episode that was copied from an earlier run."""


@dataclass(frozen=True, slots=True)
class ReuseDecision:
    """The origin of one cell's results: evaluated by this run, or copied from an earlier one."""

    record: CellRecord
    pending: Cell | None
    """The part of the cell that is not stored yet; None when all of it is stored."""
    copy_from: str | None
    """Id of the earlier run from which *pending* is copied; None when it is played, or nothing is pending."""


@dataclass(frozen=True, slots=True)
class ReusableCell:
    """An earlier run that has scored a whole cell."""

    stored_in: str
    """Id of the run whose objects hold the episodes."""
    played_in: str
    """Id of the run that called the model: the same run, or the one from which that run copied the cell."""


def decide_reuse(
    planned: Sequence[tuple[Cell, str]],
    pending: Sequence[Cell],
    stored: Sequence[CellRecord],
    run_id: str,
    sources: Mapping[str, ReusableCell],
) -> list[ReuseDecision]:
    """Decides which cells of a run are reused: those with a source that the run has not begun to play itself.

    Args:
        planned: all cells of the run, each with its content key.
        pending: the parts of the cells that are not scored yet.
        stored: decisions of an earlier start of the run.
        run_id: the run.
        sources: content key -> reusable cell (:func:`find_reusable_cells`).
    """
    still_pending = {_cell_id(cell): cell for cell in pending}
    before = {(record.model, record.family, record.template): record for record in stored}
    decisions = []
    for cell, current_key in planned:
        key, cell_id, rest = current_key, _cell_id(cell), still_pending.get(_cell_id(cell))
        earlier, source = before.get(cell_id), sources.get(key)
        begun = rest is None or rest.episode_count < cell.episode_count
        if begun and earlier is not None:
            # The stored episodes belong to the key of the earlier start, so the record keeps that key.
            is_same = source is not None and earlier.content_key == key
            key, played_in = earlier.content_key, earlier.played_in if rest is None or is_same else run_id
        else:
            played_in = run_id if begun or source is None else source.played_in
        model, family, template = cell_id
        record = CellRecord(model=model, family=family, template=template, content_key=key, played_in=played_in)
        copy_from = None if rest is None or source is None or played_in == run_id else source.stored_in
        decisions.append(ReuseDecision(record, rest, copy_from))
    return decisions


def find_reusable_cells(
    before: RunManifest, scored: Collection[str], planned: Sequence[tuple[Cell, str]]
) -> dict[str, ReusableCell]:
    """Returns content key -> reusable cell, for the planned cells that an earlier run has scored completely.

    *scored* contains the ids of the scored episodes of that run.
    """
    keys = {record.content_key: record.played_in for record in before.cells}
    return {
        key: ReusableCell(before.run_id, keys[key])
        for cell, key in planned
        if key in keys and all(episode.id in scored for shard in cell.shards for episode in shard.episodes)
    }


def copy_reused_cells(store: ObjectStore, decisions: Sequence[ReuseDecision], run_id: str, index: RunIndex) -> None:
    """Copies the pending episodes of the reused cells, each from the run that stores it.

    Raises:
        StoreError: an earlier run cannot be read, or this one cannot be written; episodes copied before that count.
    """
    wanted = defaultdict[str, list[Cell]](list)
    for each in decisions:
        if each.pending is not None and each.copy_from is not None:
            wanted[each.copy_from].append(each.pending)
    for source_run, cells in wanted.items():
        _copy(store, source_run, cells, run_id, index)


def _copy(store: ObjectStore, before_id: str, cells: Sequence[Cell], run_id: str, index: RunIndex) -> None:
    with _reading(store, before_id) as connection:
        for cell in cells:
            rows = _scored_rows(connection, cell)
            for shard in cell.shards:
                attempt = index.next_attempt(cell.slug, cell.family, shard.number)
                key = ShardKey(run_id, cell.slug, cell.family, shard.number, attempt)
                ids = pa.array([episode.id for episode in shard.episodes], pa.string())
                found = episodes_from_table(rows.filter(pc.is_in(rows.column("episode_id"), ids)))
                if len(found) < len(ids):
                    raise StoreError(
                        f"store {store.url}: the run {before_id!r} has {len(found)} of {len(ids)} episodes of"
                        f" {cell.label}, shard {shard.number}; `muses store verify {before_id}` lists what is lost"
                    )
                write_shard(store, key, [as_reused(episode, key) for episode in found])


def as_reused(episode: Episode, key: ShardKey) -> Episode:
    """Returns the episode of an earlier run as an episode of the run of *key*."""
    return replace(
        episode,
        run_id=key.run_id,
        shard=key.number,
        attempt=key.attempt,
        flags=episode.flags if REUSED in episode.flags else (*episode.flags, REUSED),
        cost_usd=0.0,
        calls=tuple(replace(call, cached=True, cost_usd=0.0) for call in episode.calls),
    )


def _cell_id(cell: Cell) -> tuple[str, str, str]:
    return cell.entry, cell.family, cell.template


@contextmanager
def _reading(store: ObjectStore, run_id: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """Opens the views over one run; errors of DuckDB become a StoreError."""
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
    found = connection.execute(query, [cell.entry, cell.family])
    return found.to_arrow_table().cast(SCHEMA)
