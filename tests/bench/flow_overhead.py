"""Overhead of Prefect: ``python -m tests.bench.flow_overhead`` prints JSON.

The overhead is the duration of ``muses flow evaluate`` minus that of ``muses run``, in seconds, for the same plan: 24
cells of built-in agents, about 5,000 episodes, inline, each time in a new store.  It is measured with an embedded
server, which creates its database on the first run, and with a server that is already running.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.prefect_server import prefect_server

ROOT = Path(__file__).parents[2]
MODELS = ("oracle", "compliant", "refuse", "random")
FAMILIES = ("queue", "instruct", "meeting")
TEMPLATES = ("says", "xml")
CELLS = len(MODELS) * len(FAMILIES) * len(TEMPLATES)
SCENARIOS = 209
"""Number of scenarios per family: 24 cells of 209 are 5,016 episodes."""


def main() -> None:
    argparse.ArgumentParser(prog="python -m tests.bench.flow_overhead", description=__doc__).parse_args()
    with tempfile.TemporaryDirectory(prefix="muses-bench-") as folder:
        base = Path(folder)
        _seconds(base / "warm", "run")  # fills the disk cache
        plain = _seconds(base / "plain", "run")
        home = {"PREFECT_HOME": str(base / "home")}
        first = _seconds(base / "first", "flow", "evaluate", **home)
        embedded = _seconds(base / "embedded", "flow", "evaluate", **home)
        with prefect_server(base / "prefect") as server:
            served = _seconds(base / "served", "flow", "evaluate", PREFECT_API_URL=server.url)
    found = {
        "cells": CELLS,
        "episodes": CELLS * SCENARIOS,
        "run_s": round(plain, 2),
        "flow_first_s": round(first, 2),
        "flow_embedded_s": round(embedded, 2),
        "flow_served_s": round(served, 2),
        "overhead_first_s": round(first - plain, 2),
        "overhead_embedded_s": round(embedded - plain, 2),
        "overhead_served_s": round(served - plain, 2),
    }
    print(json.dumps(found, indent=2))  # noqa: T201


def _seconds(folder: Path, *command: str, **environment: str) -> float:
    folder.mkdir()
    options = [
        *(f"--model=scripted/{kind}" for kind in MODELS),
        *(f"--family={family}" for family in FAMILIES),
        *(f"--template={template}" for template in TEMPLATES),
        f"--dataset=generated:{SCENARIOS}",
        "--json",
    ]
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "muses_eval", *command, *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - begun
    if done.returncode != 0:
        raise SystemExit(f"{command}: exit code {done.returncode}\n{done.stderr}")
    scored = json.loads(done.stdout)["episodes"]["scored"]
    if scored != CELLS * SCENARIOS:
        raise SystemExit(f"{command}: {scored} episodes scored, expected {CELLS * SCENARIOS}")
    return seconds


if __name__ == "__main__":
    main()
