"""Other tools read a store as people type it, and as docs/traces.md prints it."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from muses_eval.pipeline.hashing import slug
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
MODEL = "lab/model-a"
"""A name that differs from its slug in the keys."""
ACCESS = episode(2, model=MODEL, family="access")
DUCKDB = Path(sys.executable).with_name("duckdb")
"""Path of the DuckDB command line, installed by the package duckdb-cli."""
SPARK = Path(__file__).parents[2] / ".venv-spark" / "bin" / "python"
"""Path of the Python with Spark, which is a separate environment of half a gigabyte and needs Java."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Returns the folders of an open run, one with the keys of version 0.1 and a sealed one, with the same rows."""
    paths = {}
    for kind in ("traces", "old", "sealed"):
        store = open_store(str(tmp_path_factory.mktemp(kind)))
        create_or_check(store, replace(MANIFEST, planned={(MODEL, "queue"): 2, (MODEL, "access"): 1}))
        for family, rows in (("queue", [episode(1, model=MODEL), failed(3, model=MODEL)]), ("access", [ACCESS])):
            write_shard(store, ShardKey("run-a", slug(MODEL), family, 0, 1, is_old=kind == "old"), rows)
        if kind == "sealed":
            compact(store, "run-a")
        paths[kind] = store.uri(f"{'sealed' if kind == 'sealed' else 'traces'}/run=run-a")
    return paths


def test_the_page_has_the_readers() -> None:
    assert set(SNIPPETS) == {"pandas", "Polars", "DuckDB in Python", "DuckDB command line", "PyArrow", "Spark"}


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
@pytest.mark.parametrize("kind", ["traces", "sealed"])
def test_the_snippets_work(name: str, kind: str, folders: dict[str, str], tmp_path: Path) -> None:
    """Each snippet reads the folders of an open and of a sealed run, and shows the model's name."""
    given = {"FOLDER": folders[kind]}
    if name == "DuckDB command line":
        command, variables = ["sh", "-c", SNIPPETS[name]], given
    else:
        line = f"FOLDER = {folders[kind]!r}\n"
        command, variables = [str(_python(name)), "-c", line + SNIPPETS[name]], {"SPARK_LOCAL_IP": "127.0.0.1"}
    environment = {**os.environ, **variables, "PATH": f"{DUCKDB.parent}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("PYTHONPATH", None)  # without this package on the path
    done = subprocess.run(command, check=False, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    expected = {"pandas": "0.25", "Polars": "accept", "DuckDB in Python": "infra_failed", "PyArrow": "infra_failed"}
    assert expected.get(name, "0.375") in done.stdout
    assert MODEL in done.stdout


Read = Callable[[str], "Iterable[tuple[str, str]]"]
AS_TYPED: dict[str, Read] = {
    "pandas": lambda folder: pd.read_parquet(folder)[["model", "family"]].itertuples(index=False, name=None),
    "DuckDB": lambda folder: duckdb.sql(f"SELECT model, family FROM '{folder}/**/*.parquet'").fetchall(),
    "DuckDB and hive": lambda folder: duckdb.sql(
        f"SELECT model, family FROM read_parquet('{folder}/**/*.parquet', hive_partitioning = true)"
    ).fetchall(),
    "Polars": lambda folder: pl.read_parquet(f"{folder}/**/*.parquet")["model", "family"].rows(),
    "Polars of the folder": lambda folder: pl.read_parquet(folder)["model", "family"].rows(),
    "Polars lazily": lambda folder: (
        pl.scan_parquet(f"{folder}/**/*.parquet").select("model", "family").collect().rows()
    ),
    "PyArrow": lambda folder: _pairs(ds.dataset(folder).to_table()),
    "PyArrow and hive": lambda folder: _pairs(ds.dataset(folder, partitioning="hive").to_table()),
    "PyArrow's Parquet": lambda folder: _pairs(pq.read_table(folder)),
}
"""Ways in which a person reads a folder."""
WITHOUT_THE_PATH: dict[str, Read] = {
    "pandas": lambda folder: pd.read_parquet(folder, partitioning=None)[["model", "family"]].itertuples(
        index=False, name=None
    ),
    "DuckDB": lambda folder: duckdb.sql(
        f"SELECT model, family FROM read_parquet('{folder}/**/*.parquet', hive_partitioning = false)"
    ).fetchall(),
    "Polars": lambda folder: pl.read_parquet(f"{folder}/**/*.parquet", hive_partitioning=False)[
        "model", "family"
    ].rows(),
    "PyArrow": lambda folder: _pairs(pq.read_table(folder, partitioning=None)),
}
"""The advice of the page for folders of version 0.1."""


def _pairs(table: pa.Table) -> list[tuple[str, str]]:
    return [(row["model"], row["family"]) for row in table.select(["model", "family"]).to_pylist()]


@pytest.mark.parametrize("kind", ["traces", "sealed"])
@pytest.mark.parametrize("reader", AS_TYPED)
def test_a_folder_read_as_typed_has_the_models_names(reader: str, kind: str, folders: dict[str, str]) -> None:
    """The path of an object replaces no column of it, whether one reads a run's folder or all runs'."""
    for folder in (folders[kind], str(Path(folders[kind]).parent)):
        assert sorted(AS_TYPED[reader](folder)) == [(MODEL, "access"), (MODEL, "queue"), (MODEL, "queue")]


@pytest.mark.parametrize("reader", WITHOUT_THE_PATH)
def test_a_folder_of_version_0_1(reader: str, folders: dict[str, str]) -> None:
    """With the page's advice, every tool reads the old keys."""
    found = sorted(WITHOUT_THE_PATH[reader](folders["old"]))
    assert found == [(MODEL, "access"), (MODEL, "queue"), (MODEL, "queue")]
