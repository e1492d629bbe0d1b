"""Where every page stands, for the server and for the export."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from muses_eval.dashboards.web.page import Ask, NoSuchPageError, Page, segment, unsegment
from muses_eval.dashboards.web.pages.compare import compare_across_page, compare_page, every_pair, pairs_page
from muses_eval.dashboards.web.pages.compare_runs import (
    chosen_page,
    compare_runs_page,
    each_with_its_forerunner,
    models_of_both,
)
from muses_eval.dashboards.web.pages.episodes import episodes_page, exported_episodes
from muses_eval.dashboards.web.pages.figures import figures_page
from muses_eval.dashboards.web.pages.history import history_page
from muses_eval.dashboards.web.pages.leaderboard import leaderboard_page
from muses_eval.dashboards.web.pages.live import live_page
from muses_eval.dashboards.web.pages.runs import runs_page
from muses_eval.dashboards.web.pages.sql import sql_page
from muses_eval.dashboards.web.pages.transcript import beside_page, read_ahead, transcript_page
from muses_eval.dashboards.web.store_cache import StoreCache

Place = Mapping[str, str]
"""The names in a path."""


@dataclass(frozen=True, slots=True)
class Route:
    """The pages of one kind."""

    pattern: str
    """Their path; names in braces stand for one segment."""
    show: Callable[[StoreCache, Ask], Page]
    places: Callable[[StoreCache], Iterable[Place]]
    """Those that the export writes."""

    def path(self, **place: str) -> str:
        """Where a page stands."""
        return self.pattern.format(**{name: segment(value) for name, value in place.items()})

    def place(self, path: str) -> Place | None:
        """The names in a path; None for a path of another kind."""
        expression = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+?)", re.escape(self.pattern))
        match = re.fullmatch(expression, path)
        return {name: unsegment(value) for name, value in match.groupdict().items()} if match else None


def _each_run(cache: StoreCache) -> Iterable[Place]:
    return ({"run": run.run_id} for run in cache.runs())


def _each_pair(cache: StoreCache) -> Iterable[Place]:
    return ({**place, "a": a, "b": b} for place in _each_run(cache) for a, b in every_pair(cache, place["run"]))


def _each_exported_episode(cache: StoreCache) -> Iterable[Place]:
    for place in _each_run(cache):
        episodes = [line.episode_id for line in exported_episodes(cache, place["run"])]
        read_ahead(cache, place["run"], episodes)
        yield from ({**place, "episode": episode} for episode in episodes)


def _each_run_with_its_forerunner(cache: StoreCache) -> Iterable[Place]:
    return ({"first": run, "second": earlier} for run, earlier in each_with_its_forerunner(cache.runs()))


def _each_model_of_both(cache: StoreCache) -> Iterable[Place]:
    for place in _each_run_with_its_forerunner(cache):
        first, second = place["first"], place["second"]
        for model in models_of_both(cache, first, second):
            yield {**place, "a": model, "b": model}


ROUTES = (
    Route("index.html", runs_page, lambda _: ({},)),
    Route("history.html", history_page, lambda _: ({},)),
    Route("live.html", live_page, lambda _: ()),
    Route("runs/{run}/index.html", leaderboard_page, _each_run),
    Route(
        "runs/{run}/{scoring}.html",
        leaderboard_page,
        lambda cache: ({**place, "scoring": "corrected"} for place in _each_run(cache)),
    ),
    Route("runs/{run}/figures/index.html", figures_page, _each_run),
    Route("runs/{run}/compare/index.html", pairs_page, _each_run),
    Route("runs/{run}/compare/{a}/{b}.html", compare_page, _each_pair),
    Route("runs/{run}/episodes/index.html", episodes_page, _each_run),
    Route("runs/{run}/episodes/{episode}.html", transcript_page, _each_exported_episode),
    Route("compare.html", chosen_page, lambda _: ()),
    Route("compare/{first}/{second}/index.html", compare_runs_page, _each_run_with_its_forerunner),
    Route("compare/{first}/{a}/{second}/{b}.html", compare_across_page, _each_model_of_both),
    Route("beside/{first}/{a}/{second}/{b}.html", beside_page, lambda _: ()),
    Route("sql.html", sql_page, lambda _: ({},)),
)


def find(cache: StoreCache, path: str, query: Mapping[str, str]) -> Page:
    """The page at a path.  Raises NoSuchPageError."""
    for route in ROUTES:
        place = route.place(path)
        if place is not None:
            return route.show(cache, Ask(place, query))
    raise NoSuchPageError(f"there is no page at {path!r}")
