"""The results of a run's cells: the number of episodes by outcome, and their cost."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
from muses_eval.pipeline.episode.call_usage import sum_or_none


@dataclass(frozen=True, slots=True)
class CellResult:
    """The episodes of one model in one family of a run, all templates together."""

    run_id: str
    model: str
    family: str
    planned: int
    outcomes: Mapping[str, int]
    """Outcome -> number of episodes; episodes that have not been played are not counted."""
    cost_usd: float | None
    """Cost of all episodes that were played; None when the cost of one is unknown."""
    unusable_share: float | None = None
    """Share of the replies in the scored episodes that are unusable; None without replies."""

    @property
    def scored(self) -> int:
        return self.outcomes.get("scored", 0)

    @property
    def unplayed(self) -> int:
        return max(self.planned - sum(self.outcomes.values()), 0)

    @property
    def coverage(self) -> float:
        return self.scored / self.planned if self.planned else 1.0


def cell_results(
    connection: duckdb.DuckDBPyConnection, run_id: str, planned: Mapping[tuple[str, str], int]
) -> list[CellResult]:
    """Returns the cells of a run, in the order of *planned*, which is (model, family) -> number of episodes."""
    rows = connection.execute(
        "SELECT model, family, outcome, count(*), fsum(cost_usd), count(*) FILTER (cost_usd IS NULL), "
        "sum(u.overflowed + u.filtered + u.truncated + u.empty + u.unreadable) / nullif(sum(turns), 0) "
        "FROM (SELECT *, unusable_replies(unusable, flags) AS u FROM episodes WHERE run_id = $1) "
        "GROUP BY model, family, outcome",
        [run_id],
    ).fetchall()
    outcomes: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    costs: dict[tuple[str, str], list[float | None]] = defaultdict(list)
    unusable: dict[tuple[str, str], float | None] = {}
    for model, family, outcome, count, usd, unknown, share in rows:
        outcomes[model, family][outcome] = count
        if outcome == "scored":
            unusable[model, family] = share
        costs[model, family].append(None if unknown else usd)
    return [
        CellResult(run_id, *cell, count, outcomes[cell], sum_or_none(costs[cell]), unusable.get(cell))
        for cell, count in planned.items()
    ]


def outcome_counts(connection: duckdb.DuckDBPyConnection, run_id: str) -> Mapping[tuple[str, str], Mapping[str, int]]:
    """Returns (model, family) -> outcome -> number of episodes; episodes that have not been played are not counted."""
    rows = connection.execute(
        "SELECT model, family, outcome, count(*) FROM episodes WHERE run_id = $1 GROUP BY ALL", [run_id]
    ).fetchall()
    counts: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for model, family, outcome, count in rows:
        counts[model, family][outcome] = count
    return counts
