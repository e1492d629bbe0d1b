"""The episodes of a run with the lowest scores, which are those to read."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import duckdb
from muses_eval.pipeline.episode.score import Scoring

_QUERY = files(__package__).joinpath("worst_episodes.sql").read_text()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstEpisodesQuery:
    """Selection of the episodes to list."""

    run_id: str
    model: str | None = None
    """Name on the leaderboard; None for all models."""
    family: str | None = None
    """None for all families."""
    scoring: Scoring = "published"
    most: int = 20
    """Maximum number of episodes."""


@dataclass(frozen=True, slots=True)
class WorstEpisode:
    """One scored episode."""

    run_id: str
    episode_id: str
    model: str
    family: str
    scenario_id: str
    epoch: int
    num_users: int
    variant: str
    """Values of its attack, mode, disclosure and difficulty."""
    score: float
    """Mean of :attr:`metrics`, 0 to 1."""
    metrics: tuple[tuple[str, float], ...]
    """(metric, value) of the family's columns on the leaderboard."""
    turns: int
    flags: tuple[str, ...]


def worst_episodes(connection: duckdb.DuckDBPyConnection, query: WorstEpisodesQuery) -> list[WorstEpisode]:
    """Returns scored episodes, those with the lowest score first; failed episodes have no score and are left out."""
    parameters = {"run_id": query.run_id, "model": query.model, "family": query.family, "scoring": query.scoring}
    found = connection.execute(_QUERY, {**parameters, "most": query.most})
    names = [column[0] for column in found.description or ()]
    return [_episode(dict(zip(names, row, strict=True))) for row in found.fetchall()]


def _episode(row: Mapping[str, Any]) -> WorstEpisode:
    metrics = tuple((each["metric"], each["value"]) for each in row["metrics"])
    return WorstEpisode(**{**row, "metrics": metrics, "flags": tuple(row["flags"])})
