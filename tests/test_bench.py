"""The benchmarks that the docs quote can be run: each command starts, and the short one for exports completes."""

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
    """Every benchmark imports; they are run by hand, so a stale import would otherwise go unnoticed."""
    assert importlib.import_module(f"tests.bench.{name}").__doc__


@pytest.mark.parametrize("name", [name for name in NAMES if "def main(" in (BENCH / f"{name}.py").read_text("utf-8")])
def test_a_bench_explains_itself(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--help` shows the options and measures nothing."""
    monkeypatch.setattr(sys, "argv", ["bench", "--help"])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"tests.bench.{name}").main()
    assert (ended.value.code, "usage: " in capsys.readouterr().out) == (0, True)


@pytest.mark.slow
def test_exports_are_measured() -> None:
    """Each export is measured in its own process, on the smallest possible run."""
    command = [sys.executable, "-m", "tests.bench.export", "--episodes=1000"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert [(one["view"], one["form"]) for one in found] == [
        (view, form) for view in ("messages", "episodes") for form in get_args(ExportFormat)
    ]
    assert {one["view"]: one["rows"] for one in found} == {"messages": 12_000, "episodes": 1000}
