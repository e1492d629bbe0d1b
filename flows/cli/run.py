"""``muses plan``, ``muses run``, ``muses flow evaluate``."""

import asyncio
import json
import shlex
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from flows.cli import COVERAGE_SHORT, DONE
from flows.cli.options import Json, RunOptions, load_config
from flows.cli.progress import RunProgress
from flows.evaluate import RunReport, evaluate, load_dataset, plan_run
from flows.settings import make_home, quiet_engines, read_settings
from pipeline.config import RunConfig
from pipeline.errors import Interrupted

Config = Annotated[Path | None, Parameter(help="YAML file; optional when --model names what to play.")]
_SHOWN_PROBLEMS = 5
_NO_OPTIONS = RunOptions()


def plan(config: Config = None, /, *, options: RunOptions = _NO_OPTIONS, as_json: Json = False) -> int:
    """Show what a run would play, without playing it."""
    settings = read_settings()
    parsed = load_config(config, options, settings.store)
    planned = plan_run(parsed, load_dataset(parsed))
    cells = [
        {
            "model": cell.model.name,
            "family": cell.family,
            "template": cell.template,
            "shards": len(cell.shards),
            "episodes": cell.episode_count,
        }
        for cell in planned.cells
    ]
    if as_json:
        head = {"run_id": planned.run_id, "dataset": planned.dataset, "dataset_version": planned.dataset_version}
        _print(json.dumps({**head, "episodes": planned.episode_count, "cells": cells}, indent=2))
        return DONE
    from dashboards.text import text_table

    _print(f"run {planned.run_id} · dataset {planned.dataset} (version {planned.dataset_version})")
    _print(text_table(list(cells[0]), [list(map(str, cell.values())) for cell in cells], numeric=(3, 4)))
    _print(f"{planned.episode_count} episodes in {len(cells)} cells")
    return DONE


def run(config: Config = None, /, *, options: RunOptions = _NO_OPTIONS, as_json: Json = False) -> int:
    """Play what a run owes and print the leaderboard. Started again, it plays only what is not scored yet."""
    settings = read_settings()
    quiet_engines(settings)
    parsed = load_config(config, options, settings.store)
    with RunProgress() as progress:
        result = _until_signal(evaluate(parsed, settings, progress.begin))
    return _show(result, parsed, as_json=as_json)


def flow_evaluate(config: Config = None, /, *, options: RunOptions = _NO_OPTIONS, as_json: Json = False) -> int:
    """The same as `muses run`, through Prefect: a task a cell, progress and leaderboard as artifacts."""
    settings = read_settings()
    quiet_engines(settings)
    parsed = load_config(config, options, settings.store)
    make_home(settings, "prefect")
    from flows.evaluate_flow import make_evaluate_flow

    with RunProgress() as progress:
        flow = make_evaluate_flow(progress.begin)
        result = _until_signal(flow(parsed.model_dump(mode="json"), parsed.name))
    return _show(result, parsed, as_json=as_json)


def _until_signal(job: Coroutine[Any, Any, RunReport]) -> RunReport:
    """Runs a job; Ctrl-C and SIGTERM end it in an orderly way, with what is finished stored."""

    async def guarded() -> RunReport:
        task = asyncio.ensure_future(job)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        return await task

    try:
        return asyncio.run(guarded())
    except asyncio.CancelledError:
        again = shlex.join(["muses", *sys.argv[1:]])
        raise Interrupted(f"interrupted; finished episodes are stored. Resume with: {again}") from None


def _show(result: RunReport, config: RunConfig, *, as_json: bool) -> int:
    from dashboards.leaderboard import leaderboard_records, render_leaderboard

    if as_json:
        _print(json.dumps({**_summary(result), "leaderboard": leaderboard_records(result.leaderboard)}, indent=2))
    else:
        _print(render_leaderboard(result.leaderboard, "table"))
    for line in _remarks(result, config):
        print(line, file=sys.stderr)  # noqa: T201
    return DONE if result.complete else COVERAGE_SHORT


def _summary(result: RunReport) -> dict[str, Any]:
    return {
        "run_id": result.run_id,
        "store": result.store,
        "dataset_version": result.dataset_version,
        "episodes": {"planned": result.planned, **result.outcomes},
        "seconds": round(result.seconds, 3),
        "cost_usd": result.cost_usd,
        "problems": [dict(zip(("episodes", "kind", "text"), problem, strict=True)) for problem in result.problems],
    }


def _remarks(result: RunReport, config: RunConfig) -> list[str]:
    """What a person should know beside the table."""
    counts = ", ".join(f"{count} {outcome}" for outcome, count in result.outcomes.items() if count)
    lines = [f"run {result.run_id} in {result.store}: {result.planned} episodes planned, {counts or 'none played'}"]
    for count, kind, text in result.problems[:_SHOWN_PROBLEMS]:
        lines.append(f"  {count} x {kind}: {text}")
    if not result.complete:
        lines.append(
            f"Coverage is below {config.coverage:.0%}. Start the same command again: it plays only what is not scored."
        )
    return lines


def _print(text: str) -> None:
    print(text)  # noqa: T201 - data goes to stdout
