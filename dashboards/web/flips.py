"""The scenarios on which two models score differently, within one run or across two."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from muses_eval.dashboards.web.main_score import MAIN_SCORE_SQL
from muses_eval.dashboards.web.store_cache import StoreCache
from muses_eval.storage.analysis.model_in_run import ModelInRun

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

MAX_FLIPS = 60
_SCENARIO_SCORES = f"""
SELECT
    family, scenario_id, template, coalesce(mode, attack, disclosure) AS variant,
    avg({MAIN_SCORE_SQL}) AS score,
    min(episode_id) AS episode_id
FROM episodes
WHERE run_id = $run AND model = $model AND outcome = 'scored'
GROUP BY ALL
"""  # noqa: S608 - names of our own families and metrics
_FLIPS = f"""
SELECT
    family, scenario_id, template, one.variant, one.score AS a, other.score AS b,
    one.episode_id AS a_episode, other.episode_id AS b_episode
FROM one
JOIN other USING (family, scenario_id, template)
WHERE one.variant IS NOT DISTINCT FROM other.variant AND abs(one.score - other.score) > 1e-9
ORDER BY abs(one.score - other.score) DESC, family, scenario_id, template
LIMIT {MAX_FLIPS}
"""  # noqa: S608 - a number of ours


@dataclass(frozen=True, slots=True)
class Flip:
    """A scenario on which the models' mean scores over epochs differ, with the first episode of each model."""

    family: str
    scenario_id: str
    template: str
    variant: str | None
    a: float
    b: float
    a_episode: str
    b_episode: str


def flips(cache: StoreCache, a: ModelInRun, b: ModelInRun) -> list[Flip]:
    """Returns the scenarios with different scores, largest difference first.

    Scores are published scores of the metric of the family's first leaderboard column.
    """
    one, other = _scenario_scores(cache, a), _scenario_scores(cache, b)

    def read(connection: "DuckDBPyConnection") -> list[Flip]:
        connection.register("one", one)
        connection.register("other", other)
        return [Flip(*row) for row in connection.execute(_FLIPS).fetchall()]

    return cache.query(read, a.run_id)


def _scenario_scores(cache: StoreCache, side: ModelInRun) -> "pa.Table":
    """Returns the mean score of each scenario of a model; cached, since each model is in many pairs."""

    def read(connection: "DuckDBPyConnection") -> "pa.Table":
        return connection.execute(_SCENARIO_SCORES, {"run": side.run_id, "model": side.model}).to_arrow_table()

    return cache.get_or_compute(("scenario_scores", side.model), lambda: cache.query(read, side.run_id), side.run_id)
