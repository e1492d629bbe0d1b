"""The front page: the newest run's leaderboard is one click away, and so is every earlier one."""

from collections.abc import Mapping

from dashboards.web.page import Page
from dashboards.web.shelf import Shelf


def runs_page(shelf: Shelf, place: Mapping[str, str]) -> Page:  # noqa: ARG001 - there is one such page
    return Page("Runs", "runs.html", {"runs": shelf.runs()})
