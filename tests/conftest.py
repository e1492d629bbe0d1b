"""Fixtures of all tests: a clean environment, servers that are started once, and the command line.

The environment is cleaned before pytest collects tests, that is, before a module or fixture reads it.  Tests therefore
neither see the developer's variables and files nor write into the developer's stores.
"""

import atexit
import contextlib
import io
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.prefect_server import PrefectServer, prefect_server
from tests.s3_server import S3Server, s3_server

_RAY_TOKEN = secrets.token_hex(32)
"""Token of all local Ray clusters: a process reads the token once, so later tests must use the same one."""
_FOREIGN = ("MUSES_", "AWS_", "OPENAI_", "PREFECT_", "RAY_")
_TESTS = Path(__file__).parent
_PYTHONPATH = os.pathsep.join(map(str, (_TESTS / "as_installed", _TESTS.parent, _TESTS.parent / "infra" / "package")))

Done = subprocess.CompletedProcess[str]
Muses = Callable[..., Done]
"""Runs ``muses`` with these arguments in the test's own folder; keyword arguments are environment variables."""


def _clean() -> None:
    """Removes variables that the developer's shell has set."""
    for name in list(os.environ):
        if name.startswith(_FOREIGN):
            del os.environ[name]
    os.environ["RAY_AUTH_TOKEN"] = _RAY_TOKEN


def _move_home() -> None:
    """Gives this process an empty home folder, so that it finds no ``~/.aws``, ``~/.prefect`` or ``~/.ray``.

    Folders with the configuration and caches of installers stay where they are.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:  # the parent process has already moved it
        return
    home = Path.home()
    for name, folder in (("CONFIG", ".config"), ("CACHE", ".cache"), ("DATA", ".local/share")):
        os.environ.setdefault(f"XDG_{name}_HOME", str(home / folder))
    os.environ["HOME"] = tempfile.mkdtemp(prefix="muses-home-")
    atexit.register(shutil.rmtree, os.environ["HOME"], ignore_errors=True)


def pytest_configure() -> None:
    """Cleans the environment before collection, but not in a process that a test starts and that imports this file."""
    _clean()
    _move_home()
    # A property must not fail because the machine is busy, so examples have no deadline.
    settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("untimed")


@pytest.fixture(scope="session", autouse=True)
def _processes() -> Iterator[None]:
    """Lets processes that a test starts find the code, and only the packages that users have."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", _PYTHONPATH)
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Runs the files that wait for servers first, so that at the end no process is alone with one of them."""
    items.sort(key=lambda item: not {"flows", "workers"} & set(item.path.relative_to(_TESTS).parts))


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Removes variables that a module's fixtures, or code that they call, have set."""
    for name in list(os.environ):
        if name.startswith(_FOREIGN):
            monkeypatch.delenv(name)
    monkeypatch.setenv("RAY_AUTH_TOKEN", _RAY_TOKEN)


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """An S3 server with one bucket, ``muses-tests``, for the whole session."""
    with s3_server() as server:
        server.create_bucket("muses-tests")
        yield server


@pytest.fixture(scope="session")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """A Prefect server for the whole session; tests distinguish their runs by name."""
    with prefect_server(tmp_path_factory.mktemp("prefect")) as server:
        yield server


@pytest.fixture
def muses(tmp_path: Path, request: pytest.FixtureRequest) -> Muses:
    """Runs commands in this process, which saves a second of imports each; marked ``own_process``, in a new one."""
    run = _run_process if request.node.get_closest_marker("own_process") else run_here
    return lambda *arguments, **environment: run(tmp_path, arguments, environment)


def _run_process(folder: Path, arguments: tuple[str, ...], environment: dict[str, str]) -> Done:
    command = [sys.executable, "-m", "muses_eval", *arguments]
    environ = {**os.environ, **environment}
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=300, check=False)


def prefect_api(url: str) -> contextlib.AbstractContextManager[object]:
    from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

    # Prefect would send the last logs when this process ends, which is after its server.
    return temporary_settings({PREFECT_API_URL: url, PREFECT_LOGGING_TO_API_ENABLED: False})


def run_here(folder: Path, arguments: tuple[str, ...], environment: dict[str, str]) -> Done:
    """Runs a command in *folder* and in this process, with these variables."""
    from muses_eval.flows.cli import main

    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.chdir(folder)
        for name, value in environment.items():
            patch.setenv(name, value)
        if "PREFECT_API_URL" in environment:  # Prefect may have read its settings already
            stack.enter_context(prefect_api(environment["PREFECT_API_URL"]))
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        code = main(list(arguments))
    return Done(arguments, code, *(stream.buffer.getvalue().decode() for stream in (out, err)))
