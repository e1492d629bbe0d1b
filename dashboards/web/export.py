"""The pages as static files, which need no server: for a folder, a bucket or an attachment."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from muses_eval.dashboards.web.page import PageRequest
from muses_eval.dashboards.web.render import render
from muses_eval.dashboards.web.routes import ROUTES
from muses_eval.dashboards.web.server import STATIC, asset
from muses_eval.dashboards.web.store_cache import StoreCache


def exported_files(
    cache: StoreCache, parts: Mapping[str, StoreCache] = MappingProxyType({})
) -> Iterator[tuple[str, bytes]]:
    """Yields every file as (path, content).

    Args:
        cache: the store to export.
        parts: path parameter -> cache to use, in place of *cache*, for the pages that have this parameter.
    """
    for name in STATIC:
        yield f"static/{name}", asset(name)
    for route in ROUTES:
        source = next((part for name, part in parts.items() if f"{{{name}}}" in route.pattern), cache)
        for params in route.exported_params(source):
            path, page = route.path(**params), route.handler(source, PageRequest(params, live=False))
            yield path, render(page, path, live=False, lost=source.lost(page.run_id)).encode("utf-8", "replace")


def export(cache: StoreCache, folder: Path) -> int:
    """Writes all files below *folder* and returns their number; other files in it stay."""
    count = 0
    for path, content in exported_files(cache):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        count += 1
    return count
