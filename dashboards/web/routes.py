"""The path of every page, for the server and for the export."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from muses_eval.dashboards.web.page import NoSuchPageError, Page, PageRequest, segment, unsegment
from muses_eval.dashboards.web.pages.agents import agents_page
from muses_eval.dashboards.web.pages.compare import compare_across_page, compare_page, exported_pairs, pairs_page
from muses_eval.dashboards.web.pages.compare_runs import (
    chosen_comparison_page,
    comparable_models,
    compare_runs_page,
    run_predecessors,
)
from muses_eval.dashboards.web.pages.episodes import episodes_page, exported_episodes
from muses_eval.dashboards.web.pages.figures import figures_page
from muses_eval.dashboards.web.pages.history import history_page
from muses_eval.dashboards.web.pages.leaderboard import leaderboard_page
from muses_eval.dashboards.web.pages.live import live_page
from muses_eval.dashboards.web.pages.runs import runs_page
from muses_eval.dashboards.web.pages.scenario import exported_scenarios, scenario_page
from muses_eval.dashboards.web.pages.sql import sql_page
from muses_eval.dashboards.web.pages.transcript import prefetch, side_by_side_page, transcript_page
from muses_eval.dashboards.web.store_cache import StoreCache

PathParams = Mapping[str, str]
"""Parameters in a path: name -> value."""


@dataclass(frozen=True, slots=True)
class Route:
    """One kind of page."""

    pattern: str
    """Path of the pages; each name in braces matches one segment."""
    handler: Callable[[StoreCache, PageRequest], Page]
    exported_params: Callable[[StoreCache], Iterable[PathParams]]
    """Parameters of the pages that the export writes."""
    takes_form: bool = False
    """True when a form may be posted to the page."""

    def path(self, **params: str) -> str:
        """Returns the path of the page with these parameters."""
        return self.pattern.format(**{name: segment(value) for name, value in params.items()})

    def match(self, path: str) -> PathParams | None:
        """Returns the parameters in *path*; None when the path does not match the pattern.

        Raises:
            NoSuchPageError: the path matches, but a segment is not one that :func:`segment` writes.
        """
        expression = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+?)", re.escape(self.pattern))
        match = re.fullmatch(expression, path)
        return {name: unsegment(value) for name, value in match.groupdict().items()} if match else None


def _each_run(cache: StoreCache) -> Iterable[PathParams]:
    return ({"run": run.run_id} for run in cache.runs())


def _each_run_with_agents(cache: StoreCache) -> Iterable[PathParams]:
    return ({"run": run.run_id} for run in cache.runs() if run.has_agents)


def _each_pair(cache: StoreCache) -> Iterable[PathParams]:
    return ({**params, "a": a, "b": b} for params in _each_run(cache) for a, b in exported_pairs(cache, params["run"]))


def _each_exported_episode(cache: StoreCache) -> Iterable[PathParams]:
    for params in _each_run(cache):
        episode_ids = [episode.episode_id for episode in exported_episodes(cache, params["run"])]
        prefetch(cache, params["run"], episode_ids)
        yield from ({**params, "episode": episode_id} for episode_id in episode_ids)


def _each_exported_scenario(cache: StoreCache) -> Iterable[PathParams]:
    for params in _each_run(cache):
        for family, scenario_id in exported_scenarios(cache, params["run"]):
            yield {**params, "family": family, "scenario": scenario_id}


def _each_run_with_its_predecessor(cache: StoreCache) -> Iterable[PathParams]:
    return ({"first": run, "second": earlier} for run, earlier in run_predecessors(cache.runs()))


def _each_model_of_both(cache: StoreCache) -> Iterable[PathParams]:
    for params in _each_run_with_its_predecessor(cache):
        first, second = params["first"], params["second"]
        for model in comparable_models(cache, first, second):
            yield {**params, "a": model, "b": model}


ROUTES = (
    Route("index.html", runs_page, lambda _: ({},)),
    Route("history.html", history_page, lambda _: ({},)),
    Route("live.html", live_page, lambda _: (), takes_form=True),
    Route("runs/{run}/index.html", leaderboard_page, _each_run),
    Route("runs/{run}/agents.html", agents_page, _each_run_with_agents),
    Route(
        "runs/{run}/{scoring}.html",
        leaderboard_page,
        lambda cache: ({**params, "scoring": "corrected"} for params in _each_run(cache)),
    ),
    Route("runs/{run}/figures/index.html", figures_page, _each_run),
    Route("runs/{run}/compare/index.html", pairs_page, _each_run),
    Route("runs/{run}/compare/{a}/{b}.html", compare_page, _each_pair),
    Route("runs/{run}/episodes/index.html", episodes_page, _each_run),
    Route("runs/{run}/episodes/{episode}.html", transcript_page, _each_exported_episode),
    Route("runs/{run}/scenarios/{family}/{scenario}.html", scenario_page, _each_exported_scenario),
    Route("compare.html", chosen_comparison_page, lambda _: ()),
    Route("compare/{first}/{second}/index.html", compare_runs_page, _each_run_with_its_predecessor),
    Route("compare/{first}/{a}/{second}/{b}.html", compare_across_page, _each_model_of_both),
    Route("beside/{first}/{a}/{second}/{b}.html", side_by_side_page, lambda _: ()),
    Route("sql.html", sql_page, lambda _: ({},), takes_form=True),
)


def find_page(
    cache: StoreCache,
    path: str,
    query_params: Mapping[str, str],
    form: Mapping[str, str] | None = None,
    *,
    signed_in: bool = False,
) -> Page:
    """Returns the page at *path*; *form*: the fields of a posted form.

    Raises:
        NoSuchPageError: no route matches or takes the form, or the store lacks what the path names.
    """
    for route in ROUTES:
        params = route.match(path)
        if params is not None and (form is None or route.takes_form):
            return route.handler(cache, PageRequest(params, query_params, form, signed_in=signed_in))
    raise NoSuchPageError(f"there is no page at {path!r}")
