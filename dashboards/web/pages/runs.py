"""The front page: the list of all runs, newest first."""

from muses_eval.dashboards.web.page import Page, PageRequest
from muses_eval.dashboards.web.pages.compare_runs import run_predecessors
from muses_eval.dashboards.web.store_cache import StoreCache


def runs_page(cache: StoreCache, request: PageRequest) -> Page:  # noqa: ARG001 - the signature of all pages
    """Returns the page with the list of runs."""
    runs = cache.runs()
    return Page("Runs", "runs.html", {"runs": runs, "predecessors": dict(run_predecessors(runs))})
