"""What is remembered is forgotten as soon as the store changes, and not before."""

import threading
from contextlib import suppress
from itertools import count
from pathlib import Path

from muses_eval.dashboards.web.store_cache import LOOK_AGAIN_S, Shelf


def test_a_result_is_made_once_until_an_object_comes(tmp_path: Path) -> None:
    now = 0.0
    made = []
    shelf = Shelf(str(tmp_path), lambda: now)

    def make() -> int:
        made.append(now)
        return len(made)

    assert [shelf.remember(("a",), make), shelf.remember(("a",), make), shelf.remember(("b",), make)] == [1, 1, 2]
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "new.json").write_text("{}")
    assert shelf.remember(("a",), make) == 1
    now = 2 * LOOK_AGAIN_S
    assert shelf.remember(("a",), make) == 3
    now = 4 * LOOK_AGAIN_S
    assert shelf.remember(("a",), make) == 3


def test_what_is_of_one_run_is_kept_while_another_grows(tmp_path: Path) -> None:
    now = 0.0
    made = count(1)
    shelf = Shelf(str(tmp_path), lambda: now)
    (tmp_path / "runs").mkdir()

    def ask() -> tuple[int, int]:
        def of(run: str) -> int:
            return shelf.remember(("a",), lambda: next(made), run)

        return of("one"), of("two")

    def write(run: str, text: str) -> None:
        nonlocal now
        (tmp_path / "runs" / f"{run}.json").write_text(text)
        now += 2 * LOOK_AGAIN_S

    write("one", "{}")
    assert ask() == (1, 2)
    write("two", "{}")
    assert ask() == (1, 3)
    write("one", "{ }")
    assert ask() == (4, 3)


def test_nothing_is_made_twice_at_the_same_time(tmp_path: Path) -> None:
    """Not even where it is None."""
    shelf, made, all_ask, two_make = Shelf(str(tmp_path)), count(), threading.Barrier(4), threading.Barrier(2)

    def make() -> None:
        next(made)
        with suppress(threading.BrokenBarrierError):  # nobody else makes it, so nobody comes
            two_make.wait(0.2)

    def ask() -> None:
        all_ask.wait()
        shelf.remember(("a",), make)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert next(made) == 1
