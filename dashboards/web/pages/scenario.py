"""One scenario of a run with the episodes of all models and agents, any two of which can be put side by side."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from muses_eval.dashboards.web.main_score import MAIN_SCORE_SQL
from muses_eval.dashboards.web.page import NoSuchPageError, Page, PageRequest
from muses_eval.dashboards.web.pages.episodes import exported_episodes
from muses_eval.dashboards.web.pages.transcript import beside
from muses_eval.dashboards.web.store_cache import StoreCache
from muses_eval.pipeline.episode.score import SCORINGS, Scoring
from muses_eval.pipeline.leaderboard_columns import COLUMNS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_EPISODES = f"""
SELECT
    episode_id, model, template, epoch, outcome, error_kind, flags, turns, cost_usd,
    coalesce(mode, attack, disclosure) AS variant, difficulty, num_users,
    list_sort(list_distinct(list_transform(
        list_filter(evidence, lambda e: e.rule = 'access' AND e.metric = 'privacy' AND e.verdict = 'fail'),
        lambda e: e.principal
    ))),
    list_transform(list_filter(scores, lambda s: s.round IS NULL), lambda s: [s.scoring, s.metric, s.value::VARCHAR])
FROM episodes
WHERE run_id = $run AND family = $family AND scenario_id = $scenario
ORDER BY CASE outcome WHEN 'scored' THEN {MAIN_SCORE_SQL} END DESC NULLS LAST, model, template, epoch
"""  # noqa: S608 - names of our own families and metrics


@dataclass(frozen=True, slots=True)
class ScenarioEpisode:
    """The episode of one model or agent on the scenario."""

    episode_id: str
    model: str
    template: str
    epoch: int
    outcome: str
    error_kind: str | None
    flags: tuple[str, ...]
    turns: int
    cost_usd: float | None
    variant: str | None
    difficulty: str | None
    num_users: int
    leaked_to: tuple[str, ...] | None
    """In access, the unauthorized principals that received a part of the resource, by either scoring; None when the
    episode has no stored evidence."""
    scores: Mapping[tuple[Scoring, str], float]
    """(scoring, metric) -> value."""


def scenario_page(cache: StoreCache, request: PageRequest) -> Page:
    """Returns the page of a scenario, or two of its episodes side by side.

    Path parameters: ``run``, ``family`` and ``scenario``.  Query parameters: ``a`` and ``b``, two episode ids.
    """
    run_id = cache.run(request.path_params["run"]).run_id
    family, scenario_id = request.path_params["family"], request.path_params["scenario"]
    if {"a", "b"} <= request.query_params.keys():
        return beside(cache, (run_id, request.query_params["a"]), (run_id, request.query_params["b"]))
    name = ("scenario", family, scenario_id)
    episodes = cache.get_or_compute(name, lambda: _episodes(cache, run_id, family, scenario_id), run_id)
    if not episodes:
        raise NoSuchPageError(f"the run {run_id!r} has no episode of the scenario {scenario_id!r} of {family!r}")
    return Page(
        title=f"{scenario_id}: all models and agents",
        template="scenario.html",
        run_id=run_id,
        values={
            "family": family,
            "scenario_id": scenario_id,
            "episodes": episodes,
            "metrics": [column.metric for column in COLUMNS.values() if column.family == family],
            "scorings": SCORINGS,
            "exported": set() if request.live else {each.episode_id for each in exported_episodes(cache, run_id)},
        },
    )


def exported_scenarios(cache: StoreCache, run_id: str) -> Iterable[tuple[str, str]]:
    """Returns (family, id) of the scenarios of a run that an exported episode has."""
    return dict.fromkeys((episode.family, episode.scenario_id) for episode in exported_episodes(cache, run_id))


def _episodes(cache: StoreCache, run_id: str, family: str, scenario_id: str) -> Sequence[ScenarioEpisode]:
    values = {"run": run_id, "family": family, "scenario": scenario_id}

    def read(connection: "DuckDBPyConnection") -> list[ScenarioEpisode]:
        return [_episode(row) for row in connection.execute(_EPISODES, values).fetchall()]

    return cache.query(read, run_id)


def _episode(row: tuple[Any, ...]) -> ScenarioEpisode:
    values = dict(zip(ScenarioEpisode.__slots__, row, strict=True))
    scores = {(scoring, metric): float(value) for scoring, metric, value in values["scores"]}
    leaked_to = None if values["leaked_to"] is None else tuple(values["leaked_to"])
    return ScenarioEpisode(**{**values, "flags": tuple(values["flags"]), "leaked_to": leaked_to, "scores": scores})
