"""The leaderboard: one row a model and run, in the columns of the paper's table 2.

Failures are never scores: the means are over scored episodes alone, every row shows how many there are of each outcome
and how much of the plan is covered, and where something is missing it shows the best and the worst that could be.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from itertools import groupby

import duckdb
from muses_eval.pipeline.episode.call_usage import sum_or_none
from muses_eval.pipeline.episode.episode import OUTCOMES
from muses_eval.pipeline.episode.score import Scoring
from muses_eval.pipeline.leaderboard_columns import COLUMNS, Column
from muses_eval.storage.analysis.intervals import Bounds, worst_case_bounds
from muses_eval.storage.analysis.mean_estimate import MeanEstimate


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderboardRow:
    """One model in one run.  Means are 0 to 1."""

    rank: int | None = None
    """Among the ranked rows of the run; equal averages share a rank."""
    run_id: str
    scoring: Scoring
    model: str
    estimates: Mapping[str, MeanEstimate | None]
    """For every column of the leaderboard its mean and standard error; None where nothing has been scored."""
    avg: float | None
    """Mean of the columns in which any row of the run has a value; None when this row lacks one of them."""
    avg_se: float | None
    avg_columns: int
    """How many columns ``avg`` is a mean of."""
    episodes: int
    """Scored ones."""
    planned: int | None
    """None when the store has no manifest of the run."""
    coverage: float | None
    """episodes / planned."""
    outcomes: Mapping[str, int]
    """Episodes by outcome; planned ones that have not been played are in none."""
    bounds: Mapping[str, Bounds]
    """For the columns that miss episodes: their means if all missing ones scored 0, or 1."""
    cost_usd: float | None
    """Cost of all episodes that were played; None when the cost of one is unknown."""
    ranked: bool
    """Whether enough of the plan is covered, in every family, to compare this row with others."""
    builtin: str | None = None
    """Which of our scripted agents it is (``oracle``, ...); None for a model, and when there is no manifest to tell."""

    def estimate(self, column: str) -> MeanEstimate | None:
        """One of the columns; None where nothing has been scored."""
        return self.estimates[column]


def leaderboard(
    connection: duckdb.DuckDBPyConnection,
    scoring: Scoring = "published",
    run_id: str | None = None,
    threshold: float = 0.99,
    columns: Mapping[str, Column] = COLUMNS,
) -> list[LeaderboardRow]:
    """The rows of one run or of all, sorted by run, then by average, best first.

    *connection* comes from :mod:`storage.query.duckdb_connection`.  A row is ranked when its coverage of every
    family is at least *threshold*.
    """
    query = (files("muses_eval.storage.analysis") / "leaderboard.sql").read_text(encoding="utf-8")
    parameters = {
        "scoring": scoring,
        "run_id": run_id,
        "columns": list(columns),
        "metrics": [column.metric for column in columns.values()],
    }
    cells = [_Cell(*values) for values in connection.execute(query, parameters).fetchall()]
    builtins = _builtins(connection)
    models = [
        replace(_row(scoring, threshold, list(group), columns), builtin=builtins.get((run, model)))
        for (run, model), group in groupby(cells, key=lambda cell: (cell.run_id, cell.model))
    ]
    return [row for _, rows in groupby(models, key=lambda row: row.run_id) for row in _ranked(rows)]


@dataclass(frozen=True, slots=True)
class _Cell:
    """What the query says of one (run, model, family)."""

    run_id: str
    model: str
    family: str
    planned: int | None
    outcomes: Mapping[str, int] | None
    cost_usd: float | None
    unknown_costs: int | None
    estimates: Mapping[str, Mapping[str, float]] | None
    avg: float | None
    avg_se: float | None
    avg_columns: int

    @property
    def scored(self) -> int:
        return (self.outcomes or {}).get("scored", 0)

    def estimate(self, column: str) -> MeanEstimate | None:
        found = (self.estimates or {}).get(column)
        return MeanEstimate(found["mean"], found["se"]) if found else None


def _builtins(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], str]:
    """(run, model) -> the kind of agent, for those that are scripted."""
    return {
        (run_id, model): identity["model"]
        for run_id, models in connection.execute("SELECT run_id, models FROM runs").fetchall()
        for model, identity in json.loads(models).items()
        if identity.get("provider") == "scripted"
    }


def _row(scoring: Scoring, threshold: float, cells: Sequence[_Cell], columns: Mapping[str, Column]) -> LeaderboardRow:
    by_family = {cell.family: cell for cell in cells}
    estimates: dict[str, MeanEstimate | None] = {}
    missing: dict[str, Bounds] = {}
    for name, column in columns.items():
        cell = by_family.get(column.family)
        found = estimates[name] = cell.estimate(name) if cell else None
        if cell and cell.planned and cell.scored < cell.planned:
            missing[name] = worst_case_bounds(found.mean if found else None, cell.scored, cell.planned)
    episodes = sum(cell.scored for cell in cells)
    planned = sum_or_none(cell.planned for cell in cells)
    coverage = episodes / planned if planned else None
    return LeaderboardRow(
        run_id=cells[0].run_id,
        scoring=scoring,
        model=cells[0].model,
        estimates=estimates,
        avg=cells[0].avg,
        avg_se=cells[0].avg_se,
        avg_columns=cells[0].avg_columns,
        episodes=episodes,
        planned=planned,
        coverage=coverage,
        outcomes={name: sum((cell.outcomes or {}).get(name, 0) for cell in cells) for name in OUTCOMES},
        bounds=missing,
        cost_usd=None if any(cell.unknown_costs for cell in cells) else sum(cell.cost_usd or 0.0 for cell in cells),
        ranked=all(cell.planned is not None and cell.scored >= threshold * cell.planned for cell in cells),
    )


def _ranked(rows: Iterable[LeaderboardRow]) -> list[LeaderboardRow]:
    """One run's rows in order, with their ranks."""
    ordered = sorted(rows, key=lambda row: (row.avg is None, -(row.avg or 0.0), row.model))
    averages = [row.avg for row in ordered if row.ranked and row.avg is not None]
    return [
        replace(row, rank=1 + averages.index(row.avg)) if row.ranked and row.avg is not None else row for row in ordered
    ]
