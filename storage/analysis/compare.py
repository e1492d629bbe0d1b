"""Two models on the scenarios that both have played: in which column is which one significantly better.

Pairs are formed in SQL (``compare.sql``), tests and corrections in the modules beside it.  A pair is one scenario
(family, id) in one template, scored for both models; its epochs are averaged.  p-values are corrected in two separate
groups: the averages of all pairs of models, and the columns of all pairs of models.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from itertools import chain, combinations, groupby
from typing import Literal

import duckdb
from muses_eval.pipeline.agents.agent_spec import FactsLevel
from muses_eval.pipeline.episode.score import Scoring
from muses_eval.pipeline.errors import MusesError, StoreError
from muses_eval.pipeline.leaderboard_columns import COLUMNS, Column
from muses_eval.storage.analysis.comparability import conditions, nothing_in_common
from muses_eval.storage.analysis.model_in_run import ModelInRun
from muses_eval.storage.analysis.multiple_comparisons import Correction, adjusted
from muses_eval.storage.analysis.paired_t_test import Difference, average_difference, paired_t_test

AVERAGE = "avg"
_TOTAL = "total"
"""Name that ``compare.sql`` gives to the sum over the columns of one family."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonSettings:
    """Scores, correction and significance level of a comparison."""

    scoring: Scoring = "published"
    family: str | None = None
    """Family to compare; None for all columns of the leaderboard."""
    correction: Correction = "holm"
    alpha: float = 0.05
    """Significance level: a difference is significant when its adjusted p is at most this."""

    @property
    def columns(self) -> Mapping[str, Column]:
        """Columns of the leaderboard that are compared."""
        return {name: column for name, column in COLUMNS.items() if self.family in (None, column.family)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnComparison:
    """Two models in one column, or on average, over the scenarios that both have.  Scores are 0 to 1."""

    column: str
    """Name of a column of the leaderboard, or :data:`AVERAGE`."""
    a: float
    b: float
    difference: Difference
    """a - b."""
    p_adjusted: float | None
    """Adjusted p-value; None when there are too few scenarios for a test."""
    scenarios: int
    pairs: int
    """Number of pairs: scenarios times templates."""
    a_better: int
    """Number of scenarios on which a scored higher."""
    b_better: int
    left_out: int
    """Number of units that only one of the two models has a score of; they are not compared."""

    def winner(self, alpha: float) -> Literal["a", "b"] | None:
        """Returns the better model; None when the difference is not significant."""
        if self.p_adjusted is None or self.p_adjusted > alpha:
            return None
        return "a" if self.difference.mean > 0 else "b"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two models in all columns that both have."""

    a: ModelInRun
    b: ModelInRun
    columns: tuple[ColumnComparison, ...]
    overall: ColumnComparison | None
    """The average of the columns, or the only column; None when the pair lacks a column that other pairs have."""


@dataclass(frozen=True, slots=True)
class ComparisonReport:
    """The comparison of two models, with its settings and cautions."""

    settings: ComparisonSettings
    comparison: Comparison
    cautions: tuple[str, ...]
    protocols: tuple[str, ...]
    """Protocols of the two models' episodes: one, or two that do not compare."""
    facts: tuple[FactsLevel, ...]
    """Facts that the agents of a and b receive."""


DEFAULT_SETTINGS = ComparisonSettings()


def compare(
    connection: duckdb.DuckDBPyConnection,
    a: ModelInRun,
    b: ModelInRun,
    settings: ComparisonSettings = DEFAULT_SETTINGS,
) -> ComparisonReport:
    """Compares two models of one run or of two runs.

    Args:
        connection: from :func:`~muses_eval.storage.query.duckdb_connection.connect`.
        a: the first model, from :func:`~muses_eval.storage.analysis.model_in_run.find_model`.
        b: the second model.
        settings: scores, correction and significance level.

    Raises:
        MusesError: the models have no scored scenario in common, or are the same.
        StoreError: a stored score is not a finite number.
    """
    if a == b:
        raise MusesError(f"{a.model!r} of the run {a.run_id!r} was named twice; name two models to compare")
    (comparison,) = compare_pairs(connection, [(a, b)], settings)
    if not comparison.columns:
        raise MusesError(nothing_in_common(connection, (a, b), settings.family))
    found = conditions(connection, (a, b), settings.family)
    return ComparisonReport(settings, comparison, found.cautions, found.protocols, found.facts)


def every_pair(models: Sequence[ModelInRun]) -> list[tuple[ModelInRun, ModelInRun]]:
    """Returns every pair of models, in their order."""
    return list(combinations(models, 2))


def compare_pairs(
    connection: duckdb.DuckDBPyConnection,
    pairs: Sequence[tuple[ModelInRun, ModelInRun]],
    settings: ComparisonSettings,
) -> list[Comparison]:
    """Compares the two models of each pair, in the order of the pairs; those with nothing in common have no columns.

    p-values are corrected over all pairs together.

    Raises:
        StoreError: a stored score is not a finite number.
    """
    models = list(dict.fromkeys(chain.from_iterable(pairs)))
    numbers = {model: number for number, model in enumerate(models)}
    numbered = [(numbers[a], numbers[b]) for a, b in pairs]
    rows = _read(connection, models, numbered, settings)
    by_pair = {key: list(group) for key, group in groupby(rows, key=lambda row: (row.a, row.b))}
    column_count = len({row.name for row in rows if row.name != _TOTAL})
    found = [_comparison(models[a], models[b], by_pair.get((a, b), []), column_count) for a, b in numbered]
    return _corrected(found, settings.correction)


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of ``compare.sql``: one pair of models in one column."""

    a: int
    b: int
    family: str
    name: str
    mean_a: float
    mean_b: float
    mean: float
    se: float | None
    scenarios: int
    pairs: int
    a_better: int
    b_better: int
    left_out: int | None


def _read(
    connection: duckdb.DuckDBPyConnection,
    models: Sequence[ModelInRun],
    pairs: Sequence[tuple[int, int]],
    settings: ComparisonSettings,
) -> list[_Row]:
    """Reads the pairs, given as positions in *models*."""
    query = (files("muses_eval.storage.analysis") / "compare.sql").read_text(encoding="utf-8")
    parameters = {
        "scoring": settings.scoring,
        "metrics": [column.metric for column in settings.columns.values()],
        "family": settings.family,
        "run_ids": [each.run_id for each in models],
        "models": [each.model for each in models],
        "first": [a for a, _ in pairs],
        "second": [b for _, b in pairs],
    }
    rows = [_Row(*values) for values in connection.execute(query, parameters).fetchall()]
    for row in rows:
        if not (math.isfinite(row.mean_a) and math.isfinite(row.mean_b)):
            bad = models[row.b if math.isfinite(row.mean_a) else row.a]
            raise StoreError(
                f"the run {bad.run_id!r} holds a score of {bad.model!r} in {row.name} that is not a finite number;"
                " score it again with `muses rescore`"
            )
    return rows


def _comparison(a: ModelInRun, b: ModelInRun, rows: Sequence[_Row], column_count: int) -> Comparison:
    order = list(COLUMNS)
    own = sorted((row for row in rows if row.name != _TOTAL), key=lambda row: order.index(row.name))
    columns = tuple(_column_comparison(row) for row in own)
    overall = None
    if len(columns) == column_count:
        overall = columns[0] if column_count == 1 else _average(columns, _family_sums(rows))
    return Comparison(a=a, b=b, columns=columns, overall=overall)


def _column_comparison(row: _Row) -> ColumnComparison:
    tested = paired_t_test(row.mean, row.se, row.scenarios)
    return ColumnComparison(
        column=row.name,
        a=row.mean_a,
        b=row.mean_b,
        difference=tested,
        p_adjusted=tested.p,
        scenarios=row.scenarios,
        pairs=row.pairs,
        a_better=row.a_better,
        b_better=row.b_better,
        left_out=row.left_out or 0,
    )


def _family_sums(rows: Sequence[_Row]) -> list[_Row]:
    """Returns for each family the sum over its columns: its total, or its only column."""
    summed = {row.family for row in rows if row.name == _TOTAL}
    return [row for row in rows if row.name == _TOTAL or row.family not in summed]


def _average(columns: Sequence[ColumnComparison], sums: Sequence[_Row]) -> ColumnComparison | None:
    tested = average_difference([paired_t_test(each.mean, each.se, each.scenarios) for each in sums], len(columns))
    if tested is None:
        return None
    return ColumnComparison(
        column=AVERAGE,
        a=math.fsum(column.a for column in columns) / len(columns),
        b=math.fsum(column.b for column in columns) / len(columns),
        difference=tested,
        p_adjusted=tested.p,
        scenarios=sum(each.scenarios for each in sums),
        pairs=sum(each.pairs for each in sums),
        a_better=sum(each.a_better for each in sums),
        b_better=sum(each.b_better for each in sums),
        left_out=max(column.left_out for column in columns),
    )


def _corrected(comparisons: Sequence[Comparison], correction: Correction) -> list[Comparison]:
    """Returns the comparisons with adjusted p-values: columns and averages are two separate groups."""
    columns = iter(_adjusted([column for found in comparisons for column in found.columns], correction))
    overall = iter(_adjusted([found.overall for found in comparisons if found.overall is not None], correction))
    return [
        replace(
            found,
            columns=tuple(next(columns) for _ in found.columns),
            overall=None if found.overall is None else next(overall),
        )
        for found in comparisons
    ]


def _adjusted(tested: Sequence[ColumnComparison], correction: Correction) -> list[ColumnComparison]:
    known = [each.difference.p for each in tested if each.difference.p is not None]
    values = iter(adjusted(known, correction))
    return [each if each.difference.p is None else replace(each, p_adjusted=next(values)) for each in tested]
