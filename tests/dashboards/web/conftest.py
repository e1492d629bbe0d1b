"""A store that was really played: the four built-in agents on a few scenarios of every family."""

from pathlib import Path

import pytest

from dashboards.web.shelf import Shelf
from flows.cli import main


@pytest.fixture(scope="session")
def played_store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Its URL; the run is called ``played``."""
    store = str(tmp_path_factory.mktemp("web") / "store")
    agents = [part for kind in ("oracle", "compliant", "random", "refuse") for part in ("--model", f"scripted/{kind}")]
    options = ["--dataset", "generated:6", "--store", store, "--run-id", "played", "--executor", "inline"]
    assert main(["run", *agents, *options]) == 0
    return store


@pytest.fixture
def shelf(played_store: str) -> Shelf:
    return Shelf(played_store)


@pytest.fixture
def empty_shelf(tmp_path: Path) -> Shelf:
    """A store in which nothing was ever written."""
    return Shelf(str(tmp_path / "nothing"))
