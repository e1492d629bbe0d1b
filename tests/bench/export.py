"""What exporting a large run costs: prints one JSON object.

    python -m tests.bench.export                      80,000 episodes with 960,000 messages
    python -m tests.bench.export --episodes 8000      the same, smaller

``seconds`` and ``megabytes`` of the file; ``memory_mb``: what the export adds to the peak memory of its process, which
has opened the store before.  Each form runs in a process of its own.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, get_args

from storage.export.tables import Format, View, export_table
from storage.objects import open_store
from storage.schema import episodes_table
from storage.sql import connect
from tests.bench.storage_bench import _episodes, _fill

SHARD = 1000
TURNS = 12


def export(store: str, view: View, form: Format, target: Path) -> dict[str, Any]:
    """One export, measured."""
    with connect(store, "run-a") as connection:
        before, start = _peak_mb(), time.perf_counter()
        rows = export_table(connection, view, form, target, replace=True)
        seconds = round(time.perf_counter() - start, 2)
    return {
        "view": view,
        "form": form,
        "rows": rows,
        "seconds": seconds,
        "megabytes": target.stat().st_size // 10**6,
        "memory_mb": _peak_mb() - before,
    }


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--episodes", type=int, default=80_000)
    parser.add_argument("--one", nargs=4, metavar=("STORE", "VIEW", "FORM", "TARGET"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        store, view, form, target = arguments.one
        print(json.dumps(export(store, view, form, Path(target))))  # noqa: T201
        return
    with tempfile.TemporaryDirectory(prefix="muses-bench-") as name:
        store = f"{name}/store"
        _fill(open_store(store), episodes_table(list(_episodes(SHARD, TURNS))), max(1, arguments.episodes // SHARD))
        found = []
        for view in ("messages", "episodes"):
            for form in get_args(Format):
                command = [sys.executable, "-m", "tests.bench.export", "--one", store, view, form, f"{name}/out"]
                found.append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
    print(json.dumps(found, indent=2))  # noqa: T201 - what it is run for


if __name__ == "__main__":
    main()
