"""The examples of docs/traces.md for reading a store with other tools work as printed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from muses_eval.storage.objects.object_keys import ShardKey
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.manifest import create_or_check
from muses_eval.storage.runs.shards import write_shard
from muses_eval.storage.upkeep.compaction import compact

from tests.storage.samples import MANIFEST, episode, failed

PAGE = (Path(__file__).parents[2] / "docs" / "traces.md").read_text(encoding="utf-8")
SECTION = PAGE[PAGE.index("## Reading a store with other tools") :]
SNIPPETS = dict(
    re.findall(r"^(?:The )?(\w[\w ]*?)(?: \(.*\))?:\n\n```(?:python|sh)\n(.*?)```", SECTION, re.MULTILINE | re.DOTALL)
)
KEY = ShardKey("run-a", "model-a", "queue", 0, 1)
DUCKDB = Path(sys.executable).with_name("duckdb")
"""Path of the DuckDB command line, installed by the package duckdb-cli."""
SPARK = Path(__file__).parents[2] / ".venv-spark" / "bin" / "python"
"""Path of the Python with Spark, which is a separate environment of half a gigabyte and needs Java."""


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Returns a shard and a sealed object with the same rows, by their names in the page's snippets."""
    paths = {}
    for name in ("SHARD", "SEALED"):
        store = open_store(str(tmp_path_factory.mktemp(name.lower())))
        create_or_check(store, MANIFEST)
        write_shard(store, KEY, [episode(1), episode(2), failed(3)])
        if name == "SEALED":
            compact(store, "run-a")
        (key,) = [info.key for info in store.list("") if info.key.endswith(".parquet")]
        paths[name] = store.uri(key)
    return paths


def test_the_page_has_the_readers() -> None:
    assert set(SNIPPETS) == {"pandas", "Polars", "DuckDB in Python", "DuckDB command line", "Spark"}


def test_the_command_line_is_of_the_version_that_we_use() -> None:
    """The DuckDB command line has the version of the Python package, which the lock file pins."""
    told = subprocess.run([DUCKDB, "--version"], check=True, capture_output=True, text=True).stdout
    assert told.startswith(f"v{duckdb.__version__} ")


def _python(reader: str) -> Path:
    if reader != "Spark":
        return Path(sys.executable)
    if not SPARK.exists() or shutil.which("java") is None:
        pytest.skip("Spark is not here: make .venv-spark/.ready, and install a Java runtime")
    return SPARK


@pytest.mark.parametrize("name", sorted(SNIPPETS))
@pytest.mark.parametrize("swapped", [False, True], ids=["as on the page", "the other kind of object"])
def test_the_snippets_work(name: str, swapped: bool, objects: dict[str, str], tmp_path: Path) -> None:
    """Each snippet works on the object that it names, and on the other kind of object."""
    given = dict(zip(objects, reversed(objects.values()), strict=True)) if swapped else objects
    if name == "DuckDB command line":
        command, variables = ["sh", "-c", SNIPPETS[name]], given
    else:
        lines = "".join(f"{variable} = {path!r}\n" for variable, path in given.items())
        command, variables = [str(_python(name)), "-c", lines + SNIPPETS[name]], {"SPARK_LOCAL_IP": "127.0.0.1"}
    environment = {**os.environ, **variables, "PATH": f"{DUCKDB.parent}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("PYTHONPATH", None)  # without this package on the path
    done = subprocess.run(command, check=False, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    expected = {"pandas": "0.25", "Polars": "accept", "DuckDB in Python": "infra_failed"}
    assert expected.get(name, "0.375") in done.stdout
