"""The measurements that the pages quote can be made: each command starts, and the quick one of exports ends."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from muses_eval.storage.export.tables import ExportFormat

BENCH = Path(__file__).with_name("bench")
NAMES = sorted(path.stem for path in BENCH.glob("[a-z]*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_a_bench_imports(name: str) -> None:
    """They are run by hand, so a name that has moved would be noticed by a reader."""
    assert importlib.import_module(f"tests.bench.{name}").__doc__


def test_exports_are_measured() -> None:
    """In a process of its own each, the least that it takes."""
    command = [sys.executable, "-m", "tests.bench.export", "--episodes=1000"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert [(one["view"], one["form"]) for one in found] == [
        (view, form) for view in ("messages", "episodes") for form in get_args(ExportFormat)
    ]
    assert {one["view"]: one["rows"] for one in found} == {"messages": 12_000, "episodes": 1000}
