"""The pages as files: the same HTML, for a folder, a bucket or an attachment; nothing in it needs a server."""

from collections.abc import Iterator
from pathlib import Path

from dashboards.web.page import Ask
from dashboards.web.render import render
from dashboards.web.routes import ROUTES
from dashboards.web.server import STATIC, asset
from dashboards.web.shelf import Shelf


def exported(shelf: Shelf) -> Iterator[tuple[str, bytes]]:
    """Every file as (path, content)."""
    for name in STATIC:
        yield f"static/{name}", asset(name)
    for route in ROUTES:
        for place in route.places(shelf):
            path, page = route.path(**place), route.show(shelf, Ask(place, live=False))
            yield path, render(page, path, live=False, lost=shelf.lost(page.run_id)).encode("utf-8", "replace")


def export(shelf: Shelf, folder: Path) -> int:
    """Writes all files below *folder* and returns how many; what else lies there stays."""
    count = 0
    for path, content in exported(shelf):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        count += 1
    return count
