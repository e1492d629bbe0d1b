"""Cells of a night that are played anew instead of taken over: ``muses flow nightly --fresh``."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.plan.plan import Cell, Plan
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.query.duckdb_connection import connect_to
from muses_eval.storage.query.store_snapshot import read_snapshot
from muses_eval.storage.runs.manifest import CellRecord, find_manifest, update_manifest
from muses_eval.storage.runs.reuse import REUSED


@dataclass(frozen=True, slots=True)
class FreshCells:
    """A choice of cells by model and family; empty: all."""

    models: tuple[str, ...] = ()
    """Names on the leaderboard, of models alone, or as in a config (``PROVIDER:NAME``)."""
    families: tuple[str, ...] = ()

    def choose(self, plan: Plan) -> list[Cell]:
        """Returns the chosen cells.

        Raises:
            ConfigError: the plan has no cell of a named model or family.
        """
        cells = [cell for cell in plan.cells if cell.episode_count]
        _check("model", self.models, (name for cell in cells for name in _names(cell)), {cell.entry for cell in cells})
        _check("family", self.families, (cell.family for cell in cells), {cell.family for cell in cells})
        return [
            cell
            for cell in cells
            if (not self.models or _names(cell).intersection(self.models))
            and (not self.families or cell.family in self.families)
        ]


def copied_episodes(store: ObjectStore, run_id: str, cells: Sequence[Cell]) -> frozenset[str]:
    """Returns the ids of the episodes of these cells that the run has copied from an earlier one."""
    chosen = {(cell.entry, cell.family) for cell in cells}
    return frozenset(episode_id for model, family, episode_id in _copies(store, run_id) if (model, family) in chosen)


def note_fresh_cells(store: ObjectStore, run_id: str) -> None:
    """Records the cells of which no copied episode counts any more as played by this run."""
    if all(cell.played_in == run_id for cell in find_manifest(store, run_id).cells):
        return
    copied = {(model, family) for model, family, _ in _copies(store, run_id)}

    def played(cell: CellRecord) -> CellRecord:
        return cell if (cell.model, cell.family) in copied else replace(cell, played_in=run_id)

    update_manifest(store, run_id, lambda manifest: replace(manifest, cells=tuple(map(played, manifest.cells))))


def _copies(store: ObjectStore, run_id: str) -> list[tuple[str, str, str]]:
    query = "SELECT model, family, episode_id FROM episodes WHERE list_contains(flags, $1) AND run_id = $2"
    with connect_to(store, read_snapshot(store, run_id)) as connection:
        return connection.execute(query, [REUSED, run_id]).fetchall()


def _names(cell: Cell) -> set[str]:
    return {cell.entry, cell.model.name, f"{cell.model.provider}:{cell.model.model}"}


def _check(what: str, wanted: Sequence[str], known: Iterable[str], shown: Iterable[str]) -> None:
    if unknown := sorted(set(wanted) - set(known)):
        there = ", ".join(sorted(shown))
        raise ConfigError(f"--fresh: the night has no {what} {', '.join(unknown)}; it has: {there}")
