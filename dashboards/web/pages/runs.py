"""The front page: the newest run's leaderboard is one click away, and so is every earlier one."""

from muses_eval.dashboards.web.page import Ask, Page
from muses_eval.dashboards.web.pages.compare_runs import each_with_its_forerunner
from muses_eval.dashboards.web.store_cache import Shelf


def runs_page(shelf: Shelf, ask: Ask) -> Page:  # noqa: ARG001 - there is one such page
    runs = shelf.runs()
    return Page("Runs", "runs.html", {"runs": runs, "before": dict(each_with_its_forerunner(runs))})
