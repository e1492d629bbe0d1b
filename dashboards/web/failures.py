"""The failures of a model in a family, to walk through them: the worst first, or in the order of the scenarios.

A failure is an episode without a score, or with a main score (``main_score.py``) below 1.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from muses_eval.dashboards.web.main_score import MAIN_SCORE_SQL, main_score
from muses_eval.dashboards.web.pages.episodes import EpisodeSummary
from muses_eval.dashboards.web.store_cache import StoreCache
from muses_eval.pipeline.episode.episode import Episode

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_FAILURES = f"""
SELECT episode_id, CASE outcome WHEN 'scored' THEN {MAIN_SCORE_SQL} END AS score, scenario_id, template, epoch
FROM episodes
WHERE run_id = $run AND model = $model AND family = $family AND coalesce(score < 1, true)
"""  # noqa: S608 - names of our own families and metrics


@dataclass(frozen=True, slots=True)
class Failure:
    """An episode, with what the two orders need."""

    episode_id: str
    score: float | None
    """None for an episode that is not scored, which comes before all scores."""
    scenario_id: str
    template: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Walk:
    """The failures before and after an episode in one order."""

    label: str
    number: int | None
    """1-based position of the episode; None when it is no failure."""
    total: int
    before: str | None
    """Id of the failure before the episode."""
    after: str | None


def failures_of(cache: StoreCache, episode: Episode) -> tuple[Failure, ...]:
    """Returns the failures of the episode's model in its family."""
    cell = {"run": episode.run_id, "model": episode.model, "family": episode.family}

    def read(connection: "DuckDBPyConnection") -> tuple[Failure, ...]:
        return tuple(Failure(*row) for row in connection.execute(_FAILURES, cell).fetchall())

    name = ("failures", episode.model, episode.family)
    return cache.get_or_compute(name, lambda: cache.query(read, episode.run_id), episode.run_id)


def failures_among(episodes: Iterable[EpisodeSummary], episode: Episode) -> tuple[Failure, ...]:
    """As :func:`failures_of`, among the episodes in an export."""
    cell = episode.model, episode.family
    scored = {each: each.score if each.outcome == "scored" else None for each in episodes}
    return tuple(
        Failure(each.episode_id, score, each.scenario_id, each.template, each.epoch)
        for each, score in scored.items()
        if (each.model, each.family) == cell and (score is None or score < 1)
    )


def walks(failures: Sequence[Failure], episode: Episode) -> tuple[Walk, ...]:
    """Returns the neighbours of the episode in each order."""
    score = main_score(episode) if episode.outcome == "scored" else None
    here = Failure(episode.episode_id, score, episode.scenario_id, episode.template, episode.epoch)
    return _walk("worst first", failures, here, _score), _walk("by scenario", failures, here, _scenario)


def _walk(label: str, failures: Sequence[Failure], here: Failure, order: Callable[[Failure], tuple[Any, ...]]) -> Walk:
    before = [failure for failure in failures if order(failure) < order(here)]
    after = [failure for failure in failures if order(failure) > order(here)]
    return Walk(
        label=label,
        number=len(before) + 1 if any(each.episode_id == here.episode_id for each in failures) else None,
        total=len(failures),
        before=max(before, key=order).episode_id if before else None,
        after=min(after, key=order).episode_id if after else None,
    )


def _score(failure: Failure) -> tuple[float, str]:
    return -1.0 if failure.score is None else failure.score, failure.episode_id


def _scenario(failure: Failure) -> tuple[str, str, int, str]:
    return failure.scenario_id, failure.template, failure.epoch, failure.episode_id
