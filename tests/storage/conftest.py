"""Store tests run over a folder and over a real S3 server.

The first test of a file over S3 is its smoke test; its other tests over S3 are marked as slow, except in files whose
results can differ on S3 by more than reads and writes of whole objects.
"""

from itertools import count
from pathlib import Path

import pytest
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store

from tests.s3_server import S3Server

S3_DIFFERS = {"test_objects", "test_run_lock", "test_manifest", "test_environment", "test_sandbox"}
"""Files about single operations of a store (conditional writes, listings, lost responses) and its locks."""
_BUCKET = "muses-tests"
_PREFIXES = count()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    smoked: set[Path] = set()
    for item in items:
        if Path(__file__).parent not in item.path.parents or item.path.stem in S3_DIFFERS:
            continue
        if getattr(item, "callspec", None) is None or item.callspec.params.get("store_url") != "s3":
            continue
        if item.path in smoked:
            item.add_marker(pytest.mark.slow)
        smoked.add(item.path)


@pytest.fixture
def s3_environment(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """Returns the S3 server, after setting the environment variables that a user would set."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    return s3


@pytest.fixture
def s3_url(s3_environment: S3Server) -> str:
    """Returns the URL of an empty S3 store."""
    assert s3_environment
    return f"s3://{_BUCKET}/tests/{next(_PREFIXES)}"


@pytest.fixture(params=["folder", "s3"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Returns the URL of an empty store of either kind."""
    if request.param == "folder":
        return str(tmp_path / "store")
    url: str = request.getfixturevalue("s3_url")
    return url


@pytest.fixture
def store(store_url: str) -> ObjectStore:
    """Returns an empty store of either kind."""
    return open_store(store_url)
