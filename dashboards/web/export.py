"""The pages as files: the same HTML, for a folder, a bucket or an attachment; nothing in it needs a server."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from muses_eval.dashboards.web.page import Ask
from muses_eval.dashboards.web.render import render
from muses_eval.dashboards.web.routes import ROUTES
from muses_eval.dashboards.web.server import STATIC, asset
from muses_eval.dashboards.web.store_cache import StoreCache


def exported(cache: StoreCache, parts: Mapping[str, StoreCache] = MappingProxyType({})) -> Iterator[tuple[str, bytes]]:
    """Every file as (path, content).

    *parts*: name in a page's path -> the cache that such pages are of, where that is another one.
    """
    for name in STATIC:
        yield f"static/{name}", asset(name)
    for route in ROUTES:
        source = next((part for name, part in parts.items() if f"{{{name}}}" in route.pattern), cache)
        for place in route.places(source):
            path, page = route.path(**place), route.show(source, Ask(place, live=False))
            yield path, render(page, path, live=False, lost=source.lost(page.run_id)).encode("utf-8", "replace")


def export(cache: StoreCache, folder: Path) -> int:
    """Writes all files below *folder* and returns how many; what else lies there stays."""
    count = 0
    for path, content in exported(cache):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        count += 1
    return count
