"""Comparisons of models, paired by scenario."""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from muses_eval.flows.api.source import Location, Source, locate, query_runs, warn_lost
from muses_eval.pipeline.episode.score import Scoring
from muses_eval.pipeline.errors import ConfigError, MusesError
from muses_eval.pipeline.families import FAMILIES, unknown_family

if TYPE_CHECKING:
    import polars as pl
    from duckdb import DuckDBPyConnection
    from muses_eval.storage.analysis.compare import ComparisonReport, ComparisonSettings
    from muses_eval.storage.analysis.multiple_comparisons import Correction
    from muses_eval.storage.analysis.ranking import Ranking
    from muses_eval.storage.query.lost_objects import LostObject

_SHOWN_RUNS = 12


def compare(  # noqa: PLR0913 - independent options
    a: str | None = None,
    b: str | None = None,
    *,
    store: Source = None,
    run: str | None = None,
    family: str | None = None,
    scoring: Scoring = "published",
    correction: "Correction" = "holm",
) -> "pl.DataFrame":
    """Compares two models, or every pair of a run's models, on the scenarios that both have played.

    One row per pair and column of the leaderboard, and one for their average (``avg``) when there are several columns.
    Columns: ``run_a``, ``model_a``, ``run_b``, ``model_b`` and ``column``; the means ``a`` and ``b`` and their
    ``difference`` a - b in 0 to 1, with ``se``, ``df``, the 95 % interval ``low`` to ``high``, ``p`` (paired t test,
    two-sided) and ``p_adjusted`` for the number of comparisons; ``better``, which is ``a`` or ``b`` when the difference
    is significant at 0.05, else null; ``scenarios``, ``pairs``, ``a_better``, ``b_better`` and ``left_out``.  A value
    that cannot be computed is null.

    Conditions that may explain a difference (other users, protocols, datasets or scorers) are given as warnings.

    Args:
        a: a model of the run, or RUN:MODEL for one of another run; None for every pair, together with *b*.
        b: the other model.
        store: a folder, ``s3://bucket/prefix`` or a report; None for the store of the commands.
        run: id of the run, the beginning of one, or a run's name; None for that of a report, or the newest run with
            scores.
        family: only the columns of this family.
        scoring: ``published`` or ``corrected``.
        correction: ``holm`` bounds the chance of any false claim, ``bh`` the share of false claims.

    Raises:
        ConfigError: only one model is named, or the family does not exist.
        NoSuchRunError: the store has no such run, or no run at all.
        MusesError: the run has no such model, or the models have no scenario in common.
        StoreError: the store cannot be read.
    """
    from muses_eval.dashboards.tables.frames import comparison_frame
    from muses_eval.storage.analysis.compare import ComparisonSettings
    from muses_eval.storage.analysis.ranking import Ranking

    settings = ComparisonSettings(scoring=scoring, family=family, correction=correction)
    found = read_comparison(locate(store, run), a, b, settings, warn_lost, every_pair=a is None and b is None)
    for caution in found.cautions:
        warnings.warn(caution, stacklevel=2)
    return comparison_frame(found.comparisons if isinstance(found, Ranking) else [found.comparison], settings)


def read_comparison(  # noqa: PLR0913 - independent options
    place: Location,
    a: str | None,
    b: str | None,
    settings: "ComparisonSettings",
    on_lost: "Callable[[LostObject], None]",
    *,
    every_pair: bool,
) -> "ComparisonReport | Ranking":
    """Returns the comparison of two models, or the ranking of a run's models with every pair of them.

    Raises: as :func:`compare`.
    """
    if settings.family is not None and settings.family not in FAMILIES:
        raise ConfigError(unknown_family(settings.family))
    from muses_eval.storage.analysis.compare import compare as compare_two
    from muses_eval.storage.analysis.model_in_run import find_model, models_by_run
    from muses_eval.storage.analysis.ranking import rank_models
    from muses_eval.storage.runs.newest_run import newest_run

    def ask(connection: "DuckDBPyConnection") -> "ComparisonReport | Ranking":
        played, run_id = models_by_run(connection), place.run_id or newest_run(connection)
        if run_id is None or run_id not in played:
            there = ", ".join(list(played)[-_SHOWN_RUNS:]) or "none"
            raise MusesError(f"the store {place.store} has no episodes of a run {run_id!r}; it has some of: {there}")
        if every_pair:
            return rank_models(connection, run_id, settings)
        if a is None or b is None:
            models = ", ".join(played[run_id])
            raise ConfigError(
                "name two models to compare, or none for every pair (`muses compare --all`);"
                f" the run {run_id!r} has: {models}"
            )
        one, other = (find_model(played, name, run_id) for name in (a, b))
        return compare_two(connection, one, other, settings)

    elsewhere = any(":" in name for name in (a, b) if name)
    return query_runs(place.store, ask, None if elsewhere else place.run_id, on_lost)
