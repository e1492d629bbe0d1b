"""The models of a run compared pair by pair, and their possible ranks according to the significant differences."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import duckdb
from muses_eval.pipeline.agents.agent_spec import FactsLevel
from muses_eval.pipeline.errors import MusesError
from muses_eval.storage.analysis.comparability import conditions, nothing_in_common
from muses_eval.storage.analysis.compare import (
    DEFAULT_SETTINGS,
    Comparison,
    ComparisonSettings,
    compare_pairs,
    every_pair,
)
from muses_eval.storage.analysis.leaderboard import leaderboard
from muses_eval.storage.analysis.mean_estimate import MeanEstimate
from muses_eval.storage.analysis.model_in_run import ModelInRun
from muses_eval.storage.analysis.rank_bands import RankBand, rank_bands


@dataclass(frozen=True, slots=True)
class ModelRank:
    """The rank of one model among those of its run."""

    model: str
    agent: str
    facts: FactsLevel
    overall: MeanEstimate | None
    """Mean of all its scores; None when the model lacks a column that other models have."""
    band: RankBand | None
    """Range of its possible ranks; None when the model is not ranked."""
    unusable_excess: str | None = None
    """Text about the families with so many unusable replies that the model is not ranked; None without any."""
    builtin: str | None = None
    """Name of a scripted agent, which is ranked only in a run without models; None for a model."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """All models of a run, then its built-in agents, each best first, and all pairs of them in the same order."""

    run_id: str
    settings: ComparisonSettings
    columns: tuple[str, ...]
    models: tuple[ModelRank, ...]
    comparisons: tuple[Comparison, ...]
    cautions: tuple[str, ...]
    protocols: tuple[str, ...]
    """The protocol of the run."""

    def facts(self, model: str) -> FactsLevel:
        """Returns the facts that the agent of a model of the run receives."""
        return next(each.facts for each in self.models if each.model == model)

    @property
    def bands(self) -> dict[str, RankBand]:
        """Rank bands of the ranked models."""
        return {each.model: each.band for each in self.models if each.band is not None}


def rank_models(
    connection: duckdb.DuckDBPyConnection,
    run_id: str,
    settings: ComparisonSettings = DEFAULT_SETTINGS,
    coverage: float = 0.99,
    max_unusable: float | None = None,
) -> Ranking:
    """Compares all pairs of a run's models and ranks the models.

    Models of whose plan less than *coverage* is scored, or of whose replies more than *max_unusable* are unusable, are
    compared, but not ranked; *max_unusable* None stands for that of the run's configuration.

    Raises:
        MusesError: fewer than two models have a score.
        StoreError: a stored score is not a finite number.
    """
    rows = leaderboard(
        connection, settings.scoring, run_id, coverage, columns=settings.columns, max_unusable=max_unusable
    )
    columns = [column for column in settings.columns if any(row.estimate(column) for row in rows)]
    overall = {row.model: None if row.avg is None else MeanEstimate(row.avg, row.avg_se) for row in rows}
    models = [ModelInRun(run_id, row.model) for row in rows if any(row.estimate(column) for column in columns)]
    if len(models) < 2:
        raise MusesError(
            nothing_in_common(connection, [ModelInRun(run_id, row.model) for row in rows], settings.family)
        )
    comparisons = compare_pairs(connection, every_pair(models), settings)
    ranked = [row.model for row in rows if row.ranked and overall[row.model]]
    bands = rank_bands(ranked, list(_significant_pairs(comparisons, settings.alpha)))
    found = conditions(connection, models, settings.family)
    return Ranking(
        run_id,
        settings,
        tuple(columns),
        tuple(
            ModelRank(
                row.model,
                row.agent,
                row.facts,
                overall[row.model],
                bands.get(row.model),
                row.unusable_excess,
                row.builtin,
            )
            for row in rows
        ),
        tuple(comparisons),
        found.cautions,
        found.protocols,
    )


def _significant_pairs(comparisons: Sequence[Comparison], alpha: float) -> Iterator[tuple[str, str]]:
    """Yields (winner, loser) of the pairs with a significant difference."""
    for comparison in comparisons:
        match comparison.overall and comparison.overall.winner(alpha):
            case "a":
                yield comparison.a.model, comparison.b.model
            case "b":
                yield comparison.b.model, comparison.a.model
