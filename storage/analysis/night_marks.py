"""Marks on the leaderboard of a night: scores of an earlier night, and columns in which the canary drifted."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from muses_eval.pipeline.leaderboard_columns import COLUMNS
from muses_eval.storage.runs.manifest import CellRecord


@dataclass(frozen=True, slots=True)
class NightMark:
    """Mark of a score of a night."""

    taken_over_from: str | None = None
    """Id of the night that played the episodes; the oldest one of several.  None when this night played them."""
    drift: bool = False
    """True when the canary of the night scores otherwise than earlier canaries, so that a score which was taken over
    may not hold any more."""


def night_marks(
    run_id: str, cells: Iterable[CellRecord], drifted: Iterable[tuple[str, str]]
) -> dict[str, dict[str, NightMark]]:
    """Returns entry -> column -> mark, for the columns of a night that have one.

    *drifted* contains (entry, column) of the night's flags of drift.
    """
    sources: dict[tuple[str, str], str] = {}
    for cell in cells:
        if cell.played_in != run_id:
            part = cell.model, cell.family
            sources[part] = min(cell.played_in, sources.get(part, cell.played_in))
    in_drift, marks = set(drifted), defaultdict[str, dict[str, NightMark]](dict)
    old = {(model, name) for model, family in sources for name, each in COLUMNS.items() if each.family == family}
    for model, column in sorted(old | in_drift):
        if column in COLUMNS:
            source = sources.get((model, COLUMNS[column].family))
            marks[model][column] = NightMark(source, (model, column) in in_drift)
    return dict(marks)


def manifest_marks(
    run_id: str, cells: Iterable[Mapping[str, str]], report: Mapping[str, object] | None
) -> dict[str, dict[str, NightMark]]:
    """Returns the marks of a run from the JSON values of its manifest: its cells and the report of its night."""
    flags = report.get("flags", ()) if report is not None else ()
    drifted = [
        (str(flag.get("model")), str(flag.get("column")))
        for flag in (flags if isinstance(flags, list) else ())
        if isinstance(flag, Mapping) and flag.get("kind") == "drift"
    ]
    return night_marks(run_id, (CellRecord(**cell) for cell in cells), drifted)
