"""The leaderboard of a run: mean and standard error of every model in every column."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from muses_eval.flows.api.source import Location, Source, locate, query_runs, warn_lost
from muses_eval.pipeline.episode.score import Scoring
from muses_eval.pipeline.errors import ConfigError

if TYPE_CHECKING:
    import polars as pl
    from duckdb import DuckDBPyConnection
    from muses_eval.storage.analysis.leaderboard import Averaging, LeaderboardRow
    from muses_eval.storage.analysis.ranking import Ranking
    from muses_eval.storage.query.lost_objects import LostObject


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderboardSettings:
    """Settings of a leaderboard."""

    scoring: Scoring = "published"
    coverage: float = 0.99
    """Share of the planned episodes that must be scored, in every family, for a model to be ranked."""
    max_unusable: float | None = None
    """Share of unusable replies, in any family, above which a model is not ranked; None for the run's own."""
    averaging: "Averaging" = "all"
    bands: bool = False
    """True to compare all pairs of models, for the possible ranks of each."""


def leaderboard(  # noqa: PLR0913 - independent options
    store: Source = None,
    *,
    run: str | None = None,
    scoring: Scoring = "published",
    coverage: float = 0.99,
    max_unusable: float | None = None,
    averaging: "Averaging" = "all",
    bands: bool = False,
) -> "pl.DataFrame":
    """Returns the leaderboard of one run, one row per model, best first, then one per built-in agent.

    Columns: ``rank``, ``run_id``, ``scoring``, ``protocol``, ``model``, ``base_model``, ``agent``, ``facts``; for each
    column of the leaderboard, such as ``queue_f1`` (:mod:`muses_eval.pipeline.leaderboard_columns`), its mean from 0
    to 1, its standard error ``..._se`` clustered by scenario, and when episodes are missing ``..._low`` and
    ``..._high``, the bounds of the mean over all planned episodes; ``avg`` and ``avg_se``; ``episodes``, ``planned``,
    ``coverage``, the number of episodes by outcome, ``cost_usd`` and ``ranked``; ``agent_error_share``, the share of
    scored episodes in which an agent failed; ``unusable_share``, the share of unusable replies, its parts by kind, such
    as ``truncated_share``, and ``unusable_excess``, why too many keep a model from being ranked; ``builtin``, the name
    of a built-in agent, which has no rank beside a model.  A value that is not known is null.

    Args:
        store: a folder, ``s3://bucket/prefix`` or a report; None for the store of the commands.
        run: id of the run, the beginning of one, or a run's name; None for that of a report, or the newest run with
            scores.
        scoring: ``published`` or ``corrected``.
        coverage: share of the planned episodes that must be scored, in every family, for a model to be ranked.
        max_unusable: share of unusable replies, in any family, above which a model is not ranked; None for that of the
            run's configuration, 0.2 by default.
        averaging: ``released`` leaves out the episodes that the script of the paper's table 2 leaves out.
        bands: adds ``rank_best`` and ``rank_worst``, the possible ranks according to the paired comparisons.

    Raises:
        NoSuchRunError: the store has no such run, or no run at all.
        StoreError: the store cannot be read.
        ConfigError: the options contradict each other.
    """
    from muses_eval.dashboards.tables.frames import leaderboard_frame

    settings = LeaderboardSettings(
        scoring=scoring, coverage=coverage, max_unusable=max_unusable, averaging=averaging, bands=bands
    )
    rows, ranking = read_leaderboard(locate(store, run), settings, warn_lost)
    return leaderboard_frame(rows, None if ranking is None else ranking.bands)


def read_leaderboard(
    place: Location, settings: LeaderboardSettings, on_lost: "Callable[[LostObject], None]"
) -> "tuple[list[LeaderboardRow], Ranking | None]":
    """Returns the rows of a run's leaderboard, and the ranking when the settings ask for bands.

    Raises: as :func:`leaderboard`.
    """
    if settings.averaging == "released" and settings.scoring != "published":
        raise ConfigError("averaging 'released' goes with scoring 'published'; leave out one of the two")
    if settings.averaging == "released" and settings.bands:
        raise ConfigError("bands compare all scored episodes; leave out averaging 'released'")
    from muses_eval.storage.analysis.compare import ComparisonSettings
    from muses_eval.storage.analysis.leaderboard import leaderboard as read_rows
    from muses_eval.storage.analysis.ranking import rank_models
    from muses_eval.storage.runs.newest_run import newest_run

    def ask(connection: "DuckDBPyConnection") -> "tuple[list[LeaderboardRow], Ranking | None]":
        scoring, run_id = settings.scoring, newest_run(connection)
        rows = read_rows(
            connection,
            scoring,
            run_id,
            settings.coverage,
            averaging=settings.averaging,
            max_unusable=settings.max_unusable,
        )
        if not settings.bands:
            return rows, None
        comparison = ComparisonSettings(scoring=scoring)
        return rows, rank_models(
            connection, rows[0].run_id, comparison, settings.coverage, max_unusable=settings.max_unusable
        )

    return query_runs(place.store, ask, place.run_id, on_lost)
