"""What is remembered is forgotten as soon as the store changes, and not before."""

from pathlib import Path

from dashboards.web.shelf import LOOK_AGAIN_S, Shelf


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
