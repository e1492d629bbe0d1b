"""The score that stands for an episode: the metric of its family's first leaderboard column, by published scoring."""

from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.leaderboard_columns import COLUMNS

MAIN_METRICS = {column.family: column.metric for column in reversed(list(COLUMNS.values()))}
"""Family -> metric."""
_METRIC = " ".join(f"WHEN '{family}' THEN '{metric}'" for family, metric in MAIN_METRICS.items())
MAIN_SCORE_SQL = f"episode_scores(scores, 'published', [CASE family {_METRIC} END])[1].value"
"""SQL over the view ``episodes``; NULL when the episode has no such score."""


def main_score(episode: Episode) -> float | None:
    """Returns the main score of an episode; None when it has none."""
    metric = MAIN_METRICS.get(episode.family)
    values = [s.value for s in episode.scores if s.round is None and s.scoring == "published" and s.metric == metric]
    return values[0] if values else None
