"""Model against model on the scenarios that both have played: who is better where, and whether chance explains it.

Pairing is done in SQL (``compare.sql``), the arithmetic in the modules beside.  What is paired is the same scenario
(family, id) in the same template; its epochs are averaged.  Two questions are asked, each with a correction of its own:
who is ahead on the average, over all pairs of models; and where, over all pairs and columns.
"""

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from itertools import groupby
from typing import Literal

import duckdb
from muses_eval.pipeline.episode.score import Scoring
from muses_eval.pipeline.errors import MusesError, StoreError
from muses_eval.pipeline.leaderboard_columns import COLUMNS, Column
from muses_eval.storage.analysis.leaderboard import leaderboard
from muses_eval.storage.analysis.mean_estimate import MeanEstimate
from muses_eval.storage.analysis.multiple_comparisons import Correction, adjusted
from muses_eval.storage.analysis.paired_difference import Difference, average_difference, difference
from muses_eval.storage.analysis.rank_bands import RankBand, rank_bands

AVERAGE = "avg"
_TOTAL = "total"
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Side:
    """One model in one run."""

    run_id: str
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How models are compared."""

    scoring: Scoring = "published"
    family: str | None = None
    """None: all columns of the leaderboard."""
    correction: Correction = "holm"
    alpha: float = 0.05
    """Significance level: a difference is significant when its adjusted p is at most this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """Two models in one column, or on the average, over the scenarios that both have.  0 to 1."""

    column: str
    """One of the leaderboard's, or :data:`AVERAGE`."""
    a: float
    b: float
    difference: Difference
    """a - b."""
    p_adjusted: float | None
    """p, corrected for all that was asked with it; None when there are too few scenarios to tell."""
    scenarios: int
    pairs: int
    """Scenarios times templates."""
    a_better: int
    """Scenarios on which a scored higher."""
    b_better: int
    left_out: int
    """Scored by one of the two only, and not compared."""

    def winner(self, alpha: float) -> Literal["a", "b"] | None:
        """Returns the better model; None when the data cannot tell."""
        if self.p_adjusted is None or self.p_adjusted > alpha:
            return None
        return "a" if self.difference.mean > 0 else "b"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two models in all columns that both have."""

    a: Side
    b: Side
    columns: tuple[Contrast, ...]
    overall: Contrast | None
    """The average of the columns, or the only one; None when one that others are compared in is missing."""


@dataclass(frozen=True, slots=True)
class ComparisonReport:
    """Two models, and what a reader should know beside the numbers."""

    terms: Terms
    comparison: Comparison
    cautions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """One model among those of its run."""

    model: str
    overall: MeanEstimate | None
    """Mean over all its scores; None when the model lacks a column that others have."""
    band: RankBand | None
    """The ranks that it can have; None for a model that is not ranked."""


@dataclass(frozen=True, slots=True)
class Standings:
    """All models of a run, best first, and every pair of them in the same order."""

    run_id: str
    terms: Terms
    columns: tuple[str, ...]
    models: tuple[Standing, ...]
    comparisons: tuple[Comparison, ...]
    cautions: tuple[str, ...]

    @property
    def bands(self) -> dict[str, RankBand]:
        """Rank bands of the ranked models."""
        return {standing.model: standing.band for standing in self.models if standing.band is not None}


def compare(connection: duckdb.DuckDBPyConnection, a: Side, b: Side, terms: Terms = Terms()) -> ComparisonReport:
    """Two models, of one run or of two.

    *connection* comes from :func:`~storage.query.duckdb_connection.connect`, the sides from :func:`find_side`.

    Raises:
        MusesError: they have no scored scenario in common, or are the same.
        StoreError: a stored score is not a finite number.
    """
    if a == b:
        raise MusesError(f"{a.model!r} of the run {a.run_id!r} was named twice; name two models to compare")
    (comparison,) = _compared(connection, (a, b), terms)
    if not comparison.columns:
        raise MusesError(_nothing_in_common(connection, (a, b), terms))
    return ComparisonReport(terms, comparison, tuple(_cautions(connection, (a, b), terms)))


def compare_all(
    connection: duckdb.DuckDBPyConnection, run_id: str, terms: Terms = Terms(), coverage: float = 0.99
) -> Standings:
    """All pairs of a run's models, and the ranks that these leave open.

    Models with less than *coverage* of their plan scored are compared, not ranked.

    Raises:
        MusesError: fewer than two models have a score.
        StoreError: a stored score is not a finite number.
    """
    rows = leaderboard(connection, terms.scoring, run_id, coverage, _columns(terms))
    columns = [column for column in _columns(terms) if any(row.estimate(column) for row in rows)]
    overall = {row.model: None if row.avg is None else MeanEstimate(row.avg, row.avg_se) for row in rows}
    order = sorted(rows, key=lambda row: _best_first(overall[row.model], row.model))
    sides = [Side(run_id, row.model) for row in order if any(row.estimate(column) for column in columns)]
    if len(sides) < 2:
        raise MusesError(_nothing_in_common(connection, [Side(run_id, row.model) for row in rows], terms))
    comparisons = _compared(connection, sides, terms)
    ranked = [row.model for row in order if row.ranked and overall[row.model]]
    bands = rank_bands(ranked, list(_claims(comparisons, terms.alpha)))
    models = tuple(Standing(row.model, overall[row.model], bands.get(row.model)) for row in order)
    cautions = tuple(_cautions(connection, sides, terms))
    return Standings(run_id, terms, tuple(columns), models, tuple(comparisons), cautions)


def played_models(connection: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    """Run -> its models that have episodes, both sorted."""
    rows = connection.execute("SELECT DISTINCT run_id, model FROM traces ORDER BY ALL").fetchall()
    return {run: [model for _, model in group] for run, group in groupby(rows, key=lambda row: row[0])}


def find_side(played: Mapping[str, Sequence[str]], text: str, run_id: str) -> Side:
    """The model that a user means: a model of *run_id*, or RUN:MODEL.  *played* is that of :func:`played_models`.

    Raises:
        MusesError: there is none; the message lists those that there are.
    """
    run, colon, model = text.partition(":")
    if text in played.get(run_id, ()):  # first: names of models hold colons too
        return Side(run_id, text)
    if not (colon and run in played):
        run, model = run_id, text
    elif model in played[run]:
        return Side(run, model)
    there = played.get(run, ())
    near = difflib.get_close_matches(model, there, 1)
    meant = f"did you mean {near[0]!r}? It" if near else "it"
    others = [name for name in played if name != run]
    elsewhere = f" Models of another run are written RUN:MODEL; runs: {_listed(others)}." if others else ""
    raise MusesError(f"no model {model!r} in the run {run!r}; {meant} has: {_listed(there)}.{elsewhere}")


def _columns(terms: Terms) -> dict[str, Column]:
    return {name: column for name, column in COLUMNS.items() if terms.family in (None, column.family)}


def _best_first(overall: MeanEstimate | None, model: str) -> tuple[float, str]:
    return (math.inf if overall is None else -overall.mean, model)


def _claims(comparisons: Sequence[Comparison], alpha: float) -> Iterator[tuple[str, str]]:
    """(winner, loser) of the pairs with a significant difference."""
    for comparison in comparisons:
        match comparison.overall and comparison.overall.winner(alpha):
            case "a":
                yield comparison.a.model, comparison.b.model
            case "b":
                yield comparison.b.model, comparison.a.model


@dataclass(frozen=True, slots=True)
class _Row:
    """What the query says of one pair and column."""

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


def _compared(connection: duckdb.DuckDBPyConnection, sides: Sequence[Side], terms: Terms) -> list[Comparison]:
    """Every pair of sides in their order, with or without anything in common."""
    rows = _read(connection, sides, terms)
    by_pair = {key: list(group) for key, group in groupby(rows, key=lambda row: (row.a, row.b))}
    wanted = {row.name for row in rows if row.name != _TOTAL}
    pairs = [(a, b) for a in range(len(sides)) for b in range(a + 1, len(sides))]
    found = [_comparison(sides[a], sides[b], by_pair.get((a, b), []), len(wanted)) for a, b in pairs]
    return _corrected(found, terms.correction)


def _read(connection: duckdb.DuckDBPyConnection, sides: Sequence[Side], terms: Terms) -> list[_Row]:
    query = (files("muses_eval.storage.analysis") / "compare.sql").read_text(encoding="utf-8")
    parameters = {
        "scoring": terms.scoring,
        "metrics": [column.metric for column in _columns(terms).values()],
        "family": terms.family,
        "run_ids": [side.run_id for side in sides],
        "models": [side.model for side in sides],
    }
    rows = [_Row(*values) for values in connection.execute(query, parameters).fetchall()]
    for row in rows:
        if not (math.isfinite(row.mean_a) and math.isfinite(row.mean_b)):
            side = sides[row.b if math.isfinite(row.mean_a) else row.a]
            raise StoreError(
                f"the run {side.run_id!r} holds a score of {side.model!r} in {row.name} that is not a finite number;"
                " score it again with `muses rescore`"
            )
    return rows


def _comparison(a: Side, b: Side, rows: Sequence[_Row], wanted: int) -> Comparison:
    order = list(COLUMNS)
    own = sorted((row for row in rows if row.name != _TOTAL), key=lambda row: order.index(row.name))
    columns = tuple(_contrast(row) for row in own)
    overall = None
    if len(columns) == wanted:
        overall = columns[0] if wanted == 1 else _average(columns, _parts(rows))
    return Comparison(a=a, b=b, columns=columns, overall=overall)


def _contrast(row: _Row) -> Contrast:
    tested = difference(row.mean, row.se, row.scenarios)
    return Contrast(
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


def _parts(rows: Sequence[_Row]) -> list[_Row]:
    """What each family adds to the sum over all columns: its total, or its only column."""
    summed = {row.family for row in rows if row.name == _TOTAL}
    return [row for row in rows if row.name == _TOTAL or row.family not in summed]


def _average(columns: Sequence[Contrast], parts: Sequence[_Row]) -> Contrast | None:
    tested = average_difference([difference(part.mean, part.se, part.scenarios) for part in parts], len(columns))
    if tested is None:
        return None
    return Contrast(
        column=AVERAGE,
        a=math.fsum(column.a for column in columns) / len(columns),
        b=math.fsum(column.b for column in columns) / len(columns),
        difference=tested,
        p_adjusted=tested.p,
        scenarios=sum(part.scenarios for part in parts),
        pairs=sum(part.pairs for part in parts),
        a_better=sum(part.a_better for part in parts),
        b_better=sum(part.b_better for part in parts),
        left_out=max(column.left_out for column in columns),
    )


def _corrected(comparisons: Sequence[Comparison], correction: Correction) -> list[Comparison]:
    """The comparisons with their adjusted p: the columns of all of them together, and their overall ones together."""
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


def _adjusted(contrasts: Sequence[Contrast], correction: Correction) -> list[Contrast]:
    known = [contrast.difference.p for contrast in contrasts if contrast.difference.p is not None]
    values = iter(adjusted(known, correction))
    return [
        contrast if contrast.difference.p is None else replace(contrast, p_adjusted=next(values))
        for contrast in contrasts
    ]


@dataclass(frozen=True, slots=True)
class _Played:
    """What one side has of one family."""

    side: int
    dataset: str
    dataset_version: str
    family: str
    scored: int
    users: Sequence[str]
    scorer_versions: Sequence[int] | None


def _played(connection: duckdb.DuckDBPyConnection, sides: Sequence[Side]) -> list[_Played]:
    rows = connection.execute(
        "WITH sides AS (SELECT unnest($runs) AS run_id, unnest($models) AS model, unnest(range(len($models))) AS side),"
        " attempts AS (FROM with_newest_scores('traces', 'rescored'))"
        " SELECT side, dataset, dataset_version, family, count(*) FILTER (outcome = 'scored'), list(DISTINCT users),"
        " list(DISTINCT scorer_version) FILTER (outcome = 'scored')"
        " FROM attempts JOIN sides USING (run_id, model) GROUP BY ALL ORDER BY side, dataset_version, family",
        {"runs": [side.run_id for side in sides], "models": [side.model for side in sides]},
    ).fetchall()
    return [_Played(*row) for row in rows]


def _cautions(connection: duckdb.DuckDBPyConnection, sides: Sequence[Side], terms: Terms) -> Iterator[str]:
    """What differs between the sides beside the model, and so may be the reason of a difference."""
    played = [part for part in _played(connection, sides) if terms.family in (None, part.family)]
    users = sorted({user for part in played for user in part.users})
    if len(users) > 1:
        yield f"the users were not the same ({_listed(users)}): a difference may be theirs"
    for family in sorted({part.family for part in played}):
        rows = sorted({f"{part.dataset} {part.dataset_version}" for part in played if part.family == family})
        if len({row.rpartition(" ")[2] for row in rows}) > 1:
            yield f"{family}: not the same dataset ({_listed(rows)}): scenarios with the same id are taken for the same"
        versions = {version for part in played if part.family == family for version in part.scorer_versions or ()}
        if len(versions) > 1:
            numbers = ", ".join(map(str, sorted(versions)))
            yield f"{family} was scored by different versions of its scorer ({numbers}): `muses rescore` makes them one"


def _nothing_in_common(connection: duckdb.DuckDBPyConnection, sides: Sequence[Side], terms: Terms) -> str:
    family = "" if terms.family is None else f" of the family {terms.family!r}"
    played = _played(connection, sides)
    lines = [f"there are no two models with scored scenarios{family} in common; compare models that played the same:"]
    for number, side in enumerate(sides):
        own = [part for part in played if part.side == number]
        listed = [f"{part.family} {part.scored} of {part.dataset} (version {part.dataset_version})" for part in own]
        lines.append(f"  {side.model} in the run {side.run_id}, scored: {'; '.join(listed) or 'nothing'}")
    return "\n".join(lines)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "") if names else "none"
