"""What tests of flows share: one Prefect server."""

from collections.abc import Iterator

import pytest

from tests.prefect_server import PrefectServer, prefect_server


@pytest.fixture(scope="session")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """A server for the whole session; tests tell their runs apart by name."""
    with prefect_server(tmp_path_factory.mktemp("prefect")) as server:
        yield server
