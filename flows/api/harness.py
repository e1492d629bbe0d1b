"""The effect of the agents of a run, compared with their models alone."""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from muses_eval.flows.api.source import Location, Source, locate, query_runs, warn_lost
from muses_eval.pipeline.episode.score import Scoring
from muses_eval.storage.runs.manifest import NoSuchRunError

if TYPE_CHECKING:
    import polars as pl
    from duckdb import DuckDBPyConnection
    from muses_eval.storage.analysis.compare import ComparisonSettings
    from muses_eval.storage.analysis.harness_effect import HarnessReport
    from muses_eval.storage.analysis.multiple_comparisons import Correction
    from muses_eval.storage.query.lost_objects import LostObject


def harness(
    store: Source = None, *, run: str | None = None, scoring: Scoring = "published", correction: "Correction" = "holm"
) -> "pl.DataFrame":
    """Compares every agent of a run with its model alone, the agent ``chat``, paired by scenario.

    One row per agent and column of the leaderboard, and one for their average (``avg``) when there are several columns.
    Columns: ``model``, ``base_model``, ``agent``, ``facts`` and ``column``; the means ``agent_mean`` and ``chat_mean``
    and their ``difference`` in 0 to 1, with ``se``, ``df``, the 95 % interval ``low`` to ``high``, ``p`` and
    ``p_adjusted`` over all agents and columns; ``scenarios``, ``pairs`` and ``left_out``; for both, per episode of the
    column's family, ``..._cost_usd``, ``..._tokens``, ``..._calls`` and ``..._seconds``; and ``agent_error_share``.  A
    value that is not known is null.

    Agents without episodes of their model alone, and conditions that may explain a difference, are given as warnings.

    Args:
        store: a folder, ``s3://bucket/prefix`` or a report; None for the store of the commands.
        run: id of the run, the beginning of one, or a run's name; None for that of a report, or the newest run with
            scores.
        scoring: ``published`` or ``corrected``.
        correction: ``holm`` bounds the chance of any false claim, ``bh`` the share of false claims.

    Raises:
        NoSuchRunError: the store has no such run, or no run at all.
        MusesError: the run has no agent but its models alone.
        StoreError: the store cannot be read.
    """
    from muses_eval.dashboards.tables.frames import harness_frame
    from muses_eval.storage.analysis.compare import ComparisonSettings

    settings = ComparisonSettings(scoring=scoring, correction=correction)
    found = read_harness_effects(locate(store, run), settings, warn_lost)
    for text in (*found.missing, *found.cautions):
        warnings.warn(text, stacklevel=2)
    return harness_frame(found)


def read_harness_effects(
    place: Location, settings: "ComparisonSettings", on_lost: "Callable[[LostObject], None]"
) -> "HarnessReport":
    """Returns what every agent of a run changes, by default of the newest run.

    Raises: as :func:`harness`.
    """
    from muses_eval.storage.analysis.harness_effect import harness_effects
    from muses_eval.storage.runs.newest_run import newest_run

    def ask(connection: "DuckDBPyConnection") -> "HarnessReport":
        run_id = newest_run(connection)
        if run_id is None:
            raise NoSuchRunError(place.store)
        return harness_effects(connection, run_id, settings)

    return query_runs(place.store, ask, place.run_id, on_lost)
