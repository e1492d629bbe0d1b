"""Entries are valid until the store changes, and are computed once."""

import threading
from contextlib import suppress
from itertools import count
from pathlib import Path

from muses_eval.dashboards.web.store_cache import REFRESH_INTERVAL_S, StoreCache


def test_an_entry_is_computed_once_until_an_object_is_added(tmp_path: Path) -> None:
    now = 0.0
    computed = []
    cache = StoreCache(str(tmp_path), lambda: now)

    def compute() -> int:
        computed.append(now)
        return len(computed)

    assert [
        cache.get_or_compute(("a",), compute),
        cache.get_or_compute(("a",), compute),
        cache.get_or_compute(("b",), compute),
    ] == [1, 1, 2]
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "new.json").write_text("{}")
    assert cache.get_or_compute(("a",), compute) == 1
    now = 2 * REFRESH_INTERVAL_S
    assert cache.get_or_compute(("a",), compute) == 3
    now = 4 * REFRESH_INTERVAL_S
    assert cache.get_or_compute(("a",), compute) == 3


def test_the_entries_of_a_run_stay_valid_while_another_run_grows(tmp_path: Path) -> None:
    now = 0.0
    numbers = count(1)
    cache = StoreCache(str(tmp_path), lambda: now)
    (tmp_path / "runs").mkdir()

    def entries() -> tuple[int, int]:
        def of(run: str) -> int:
            return cache.get_or_compute(("a",), lambda: next(numbers), run)

        return of("one"), of("two")

    def write(run: str, text: str) -> None:
        nonlocal now
        (tmp_path / "runs" / f"{run}.json").write_text(text)
        now += 2 * REFRESH_INTERVAL_S

    write("one", "{}")
    assert entries() == (1, 2)
    write("two", "{}")
    assert entries() == (1, 3)
    write("one", "{ }")
    assert entries() == (4, 3)


def test_concurrent_requests_compute_an_entry_once(tmp_path: Path) -> None:
    """An entry whose value is None is also computed once."""
    cache, computed, all_ready, second = StoreCache(str(tmp_path)), count(), threading.Barrier(4), threading.Barrier(2)

    def compute() -> None:
        next(computed)
        with suppress(threading.BrokenBarrierError):  # times out, since no second thread computes
            second.wait(0.2)

    def request() -> None:
        all_ready.wait()
        cache.get_or_compute(("a",), compute)

    threads = [threading.Thread(target=request) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert next(computed) == 1
