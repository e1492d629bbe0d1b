"""The front page: the newest run's leaderboard is one click away, and so is every earlier one."""

from muses_eval.dashboards.web.page import Ask, Page
from muses_eval.dashboards.web.pages.compare_runs import each_with_its_forerunner
from muses_eval.dashboards.web.store_cache import StoreCache


def runs_page(cache: StoreCache, ask: Ask) -> Page:  # noqa: ARG001 - there is one such page
    runs = cache.runs()
    return Page("Runs", "runs.html", {"runs": runs, "before": dict(each_with_its_forerunner(runs))})
