"""What all tests share: a clean environment, servers that are started once, and the command line as a process."""

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.s3_server import S3Server, s3_server

_RAY_TOKEN = secrets.token_hex(32)
"""A process reads it once, and local clusters of later tests have to have the same."""
_FOREIGN = ("MUSES_", "AWS_", "OPENAI_", "PREFECT_", "RAY_")
_TESTS = Path(__file__).parent
_PYTHONPATH = os.pathsep.join((str(_TESTS / "as_installed"), str(_TESTS.parent)))

Muses = Callable[..., "subprocess.CompletedProcess[str]"]
"""Runs ``muses`` with these arguments, in a folder of its own; keywords are environment variables."""


@pytest.fixture(scope="session", autouse=True)
def _processes() -> Iterator[None]:
    """Those that are started find the code, the packages that users have, and Ray its token."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", _PYTHONPATH)
        patch.setenv("RAY_AUTH_TOKEN", _RAY_TOKEN)
        yield


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the developer's shell holds does not reach the tests."""
    for name in list(os.environ):
        if name.startswith(_FOREIGN):
            monkeypatch.delenv(name)
    monkeypatch.setenv("RAY_AUTH_TOKEN", _RAY_TOKEN)


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """A server with one bucket, ``muses-tests``, for the whole session."""
    with s3_server() as server:
        server.create_bucket("muses-tests")
        yield server


@pytest.fixture
def muses(tmp_path: Path) -> Muses:
    def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "flows.cli", *arguments],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run
