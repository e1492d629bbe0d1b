"""Checks the environment that a module's fixture and a test see; only tests/test_contributor.py runs this file."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from muses_eval.flows.cli import main
from muses_eval.flows.settings import read_settings
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.manifest import list_run_ids


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a run whose config names no store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("played"))
        assert main(["run", "--model=scripted/oracle", "--dataset=generated:1", "--executor=inline"]) == 0
        yield Path.cwd()


def test_the_run_is_in_the_folder_where_it_was_started(played: Path) -> None:
    assert list_run_ids(open_store(str(played / ".muses" / "store")))


def test_nothing_of_the_shell_or_the_home_is_left() -> None:
    assert [name for name in os.environ if name.startswith(("MUSES_", "AWS_", "PREFECT_"))] == []
    assert "RAY_ADDRESS" not in os.environ
    assert list(Path.home().iterdir()) == []
    assert read_settings().prefect_api_url is None
