"""Fixtures of the flow tests: deployments, and a receiver of notifications."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import run_here
from tests.prefect_server import PrefectServer
from tests.receiver import Receiver

Deploy = Callable[..., None]
"""Registers a configuration with the Prefect server, as ``muses deploy`` with these arguments does."""


@pytest.fixture
def deploy(tmp_path: Path, prefect: PrefectServer) -> Deploy:
    """Deploys from this process, also in tests whose other commands have their own: that saves Prefect's imports."""

    def run(*arguments: str) -> None:
        done = run_here(tmp_path, ("deploy", *arguments), {"PREFECT_API_URL": prefect.url})
        assert done.returncode == 0, done.stderr

    return run


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()
