"""Benchmark of the web pages: prints one JSON object.

    python -m tests.bench.dashboards
    python -m tests.bench.dashboards --episodes 40000 --models 4

The run is compacted, lies in a folder, and has ten models and four families from the generator of ``storage_bench``.
``first_s`` is the time of a page, HTML included, from a server that has just started; ``again_s`` is the time of the
same page from the same server once more.  Each page has its own server.  ``export`` writes another run with 20 models
to files.  Seconds are wall time, the best of several rounds; ``cpu_s`` is processor time of all threads.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from muses_eval.dashboards.web.export import export
from muses_eval.dashboards.web.render import render
from muses_eval.dashboards.web.routes import find_page
from muses_eval.dashboards.web.store_cache import StoreCache
from muses_eval.storage.objects.object_keys import ShardKey
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.manifest import create_or_check
from muses_eval.storage.schema.parquet_schema import to_parquet
from muses_eval.storage.upkeep.compaction import compact

from tests.bench.storage_bench import PLAYED, RUN, Generator
from tests.storage.samples import MANIFEST


def _stored(folder: Path, models: int, episodes: int) -> str:
    """Returns the URL of a store with one compacted run."""
    store, generator = open_store(str(folder)), Generator()
    per_cell = episodes // models // len(PLAYED)
    cells = [(f"model-{number}", family) for number in range(models) for family in PLAYED]
    for number, (model, family) in enumerate(cells):
        key = ShardKey(RUN, model, family, number, 1)
        store.put_if_absent(str(key), to_parquet(generator.cell(model, family, per_cell)))
    create_or_check(store, replace(MANIFEST, run_id=RUN, planned=dict.fromkeys(cells, per_cell)))
    compact(store, RUN)
    return store.url


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Returns wall and processor seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def _page(url: str, path: str, times: int) -> dict[str, float]:
    def show(cache: StoreCache) -> str:
        return render(find_page(cache, path, {}), path, live=True)

    first, again = [], []
    for _ in range(times):
        cache = StoreCache(url)
        first.append(_timed(lambda: show(cache)))  # noqa: B023 - called at once
        again.append(_timed(lambda: show(cache)))  # noqa: B023
    (wall, cpu), (wall_again, _) = min(first), min(again)
    return {"first_s": round(wall, 3), "first_cpu_s": round(cpu, 3), "again_s": round(wall_again, 4)}


def _pages(url: str, times: int) -> Iterator[tuple[str, dict[str, float]]]:
    query = "SELECT episode_id FROM traces LIMIT 1 OFFSET 1000"
    (episode_id,) = StoreCache(url).query(lambda connection: connection.execute(query).fetchone()) or ("",)
    for name, path in (
        ("runs", "index.html"),
        ("leaderboard", f"runs/{RUN}/index.html"),
        ("figures", f"runs/{RUN}/figures/index.html"),
        ("compare", f"runs/{RUN}/compare/index.html"),
        ("two models", f"runs/{RUN}/compare/model-0/model-1.html"),
        ("episodes", f"runs/{RUN}/episodes/index.html"),
        ("episode", f"runs/{RUN}/episodes/{episode_id}.html"),
        ("history", "history.html"),
    ):
        yield name, _page(url, path, times)


def _exported(url: str, folder: Path) -> dict[str, float]:
    files = 0

    def write() -> None:
        nonlocal files
        files = export(StoreCache(url), folder)

    wall, cpu = _timed(write)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {"files": files, "mb": round(size / 1e6, 1), "s": round(wall, 1), "cpu_s": round(cpu, 1)}


def main() -> None:
    """Runs the benchmark and prints its results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--episodes", type=int, default=1_000_000, help="of the run whose pages are asked for")
    parser.add_argument("--models", type=int, default=20, help="of the run that is exported")
    parser.add_argument("--times", type=int, default=3, help="the best of so many")
    parser.add_argument("--store", help="a store with such a run; without it, one is made")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="muses-bench-") as name:
        folder = Path(name)
        url = options.store or _stored(folder / "large", 10, options.episodes)
        pages = dict(_pages(url, options.times))
        small = _stored(folder / "small", options.models, 2000 * options.models)
        found = {"episodes": options.episodes, "pages": pages, "export": _exported(small, folder / "site")}
    print(json.dumps(found, indent=2))  # noqa: T201 - the output of the benchmark


if __name__ == "__main__":
    main()
