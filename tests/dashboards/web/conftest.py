"""A store with two runs of built-in agents on a few scenarios of every family."""

from dataclasses import replace
from pathlib import Path

import pytest
from muses_eval.dashboards.web.pages import sql
from muses_eval.dashboards.web.store_cache import StoreCache
from muses_eval.flows.cli import main


@pytest.fixture(autouse=True)
def _patient_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raises the time limit of queries, since the machine may be busy."""
    monkeypatch.setattr(sql, "LIMITS", replace(sql.LIMITS, seconds=600.0))


@pytest.fixture(scope="session")
def played_store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Returns the store's URL; its run ``played`` has four agents, and the run before it, ``earlier``, has two."""
    store = str(tmp_path_factory.mktemp("web") / "store")
    runs = {"earlier": ("random", "refuse"), "played": ("oracle", "compliant", "random", "refuse")}
    for run_id, kinds in runs.items():
        agents = [part for kind in kinds for part in ("--model", f"scripted/{kind}")]
        options = ["--dataset", "generated:6", "--store", store, "--run-id", run_id, "--executor", "inline"]
        assert main(["run", *agents, *options]) == 0
    return store


@pytest.fixture
def cache(played_store: str) -> StoreCache:
    return StoreCache(played_store)


@pytest.fixture
def empty_cache(tmp_path: Path) -> StoreCache:
    """Returns a cache over a store that does not exist yet."""
    return StoreCache(str(tmp_path / "nothing"))
