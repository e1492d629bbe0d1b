"""The scenarios that tell two models apart, of one run or of two."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from muses_eval.dashboards.web.store_cache import StoreCache
from muses_eval.pipeline.leaderboard_columns import COLUMNS
from muses_eval.storage.analysis.compare import Side

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

MOST_FLIPS = 60
_MAIN_METRIC = " ".join(
    f"WHEN '{family}' THEN '{metric}'"
    for family, metric in {column.family: column.metric for column in reversed(list(COLUMNS.values()))}.items()
)
_RATED = f"""
SELECT
    family, scenario_id, template, coalesce(mode, attack, disclosure) AS variant,
    avg(picked(scores, 'published', [CASE family {_MAIN_METRIC} END])[1].value) AS score,
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
LIMIT {MOST_FLIPS}
"""  # noqa: S608 - a number of ours


@dataclass(frozen=True, slots=True)
class Flip:
    """A scenario on which the two differ, over its epochs; the episodes are the first of each."""

    family: str
    scenario_id: str
    template: str
    variant: str | None
    a: float
    b: float
    a_episode: str
    b_episode: str


def flips(cache: StoreCache, a: Side, b: Side) -> list[Flip]:
    """Those with the largest differences first; scores are those of the family's first metric, published."""
    one, other = _rated(cache, a), _rated(cache, b)

    def read(connection: "DuckDBPyConnection") -> list[Flip]:
        connection.register("one", one)
        connection.register("other", other)
        return [Flip(*row) for row in connection.execute(_FLIPS).fetchall()]

    return cache.query(read, a.run_id)


def _rated(cache: StoreCache, side: Side) -> "pa.Table":
    """A model's scenarios with their scores; remembered, since each model stands in many pairs."""

    def read(connection: "DuckDBPyConnection") -> "pa.Table":
        return connection.execute(_RATED, {"run": side.run_id, "model": side.model}).to_arrow_table()

    return cache.get_or_compute(("rated", side.model), lambda: cache.query(read, side.run_id), side.run_id)
