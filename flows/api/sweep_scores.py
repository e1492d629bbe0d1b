"""The stored scores of all runs of a sweep."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from muses_eval.dashboards.tables.sweep_scores import ScoredRun
from muses_eval.flows.api.leaderboard import LeaderboardSettings, read_leaderboard
from muses_eval.flows.api.source import Location
from muses_eval.flows.sweep.sweep import plan_runs
from muses_eval.pipeline.config.grid import SweepRun
from muses_eval.storage.runs.manifest import NoSuchRunError

if TYPE_CHECKING:
    from muses_eval.storage.query.lost_objects import LostObject


def read_sweep_scores(
    runs: Iterable[SweepRun], settings: LeaderboardSettings, on_lost: "Callable[[LostObject], None]"
) -> list[ScoredRun]:
    """Returns the leaderboard of every run of a grid, in its order; a run that was never started has no rows.

    Raises:
        ConfigError, DatasetError: a run cannot be planned.
        StoreError: the store cannot be read.
    """
    found = []
    for run in plan_runs(runs):
        try:
            rows, _ = read_leaderboard(Location(run.config.store, run.plan.run_id), settings, on_lost)
        except NoSuchRunError:
            rows = []
        found.append(ScoredRun(run.label, run.plan.run_id, tuple(rows)))
    return found
