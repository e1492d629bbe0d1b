"""Fixtures of the flow tests: one Prefect server, and a receiver of notifications."""

from collections.abc import Iterator

import pytest

from tests.prefect_server import PrefectServer, prefect_server
from tests.receiver import Receiver


@pytest.fixture(scope="session")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """A Prefect server for the whole session; tests distinguish their runs by name."""
    with prefect_server(tmp_path_factory.mktemp("prefect")) as server:
        yield server


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()
