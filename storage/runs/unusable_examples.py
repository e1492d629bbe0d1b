"""Examples of a run's unusable replies: for every model and kind, one episode that shows it."""

from collections.abc import Mapping

import duckdb
from muses_eval.pipeline.episode.unusable_replies import UNUSABLE_KINDS, UnusableKind

_EXAMPLES = f"""
SELECT model, [{", ".join(f"max_by(episode_id, u.{kind}) FILTER (u.{kind} > 0)" for kind in UNUSABLE_KINDS)}]
FROM (
    SELECT model, episode_id, unusable_replies(unusable, flags) AS u
    FROM episodes
    WHERE run_id = $1 AND outcome = 'scored'
)
GROUP BY model
"""  # noqa: S608 - our own names

Examples = Mapping[tuple[str, UnusableKind], str]
"""(entry, kind) -> id of a scored episode with most such replies."""


def unusable_examples(connection: duckdb.DuckDBPyConnection, run_id: str) -> Examples:
    """Returns an episode for every entry and kind that occurs."""
    return {
        (model, kind): episode_id
        for model, episodes in connection.execute(_EXAMPLES, [run_id]).fetchall()
        for kind, episode_id in zip(UNUSABLE_KINDS, episodes, strict=True)
        if episode_id is not None
    }
