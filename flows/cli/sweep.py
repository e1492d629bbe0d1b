"""``muses flow sweep``: evaluates all runs of a grid."""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number
from muses_eval.flows.cli import BUDGET_REACHED, COVERAGE_SHORT, DONE
from muses_eval.flows.cli.job_runner import ALL_UNUSABLE, pending_advice, resume_advice, run_on_prefect
from muses_eval.flows.cli.options import Config, Json, Quiet, RunOptions, load_raw
from muses_eval.flows.cli.output import budget_text, echo, json_value, screen, to_json
from muses_eval.flows.job.progress import ProgressDisplay
from muses_eval.flows.job.signals import interruptible
from muses_eval.flows.settings import make_home, read_settings, set_environment_defaults
from muses_eval.pipeline.config.grid import MOST_CELLS, expand
from muses_eval.pipeline.text.credential_masking import mask_json

if TYPE_CHECKING:
    from muses_eval.flows.sweep.sweep import SweepReport, SweepRunResult
    from muses_eval.pipeline.errors import FailureKind

MostCells = Annotated[int, Parameter(help="Refuse a grid with more cells than this.", validator=Number(gte=1))]
_SHOWN_PROBLEMS = 5
_NO_OPTIONS = RunOptions()


def sweep(
    config: Config = None,
    /,
    *,
    options: RunOptions = _NO_OPTIONS,
    most_cells: MostCells = MOST_CELLS,
    quiet: Quiet = False,
    as_json: Json = False,
) -> int:
    """Run every evaluation of a parameter grid through Prefect; show complete cells and all scores. Rerun to resume."""
    settings = read_settings()
    set_environment_defaults(settings)
    raw, source = load_raw(config, options, settings.store)
    runs = expand(raw, source, most_cells)  # raises before a server is started
    make_home(settings.prefect_home)
    name = str(raw.get("name", "sweep"))
    with interruptible(resume_advice()), ProgressDisplay(quiet=quiet) as progress:
        from muses_eval.flows.prefect_flows.sweep_flow import make_sweep_flow

        parameters = (mask_json(json_value(raw)), name, most_cells)  # Prefect shows and keeps them
        result = run_on_prefect(lambda observer: make_sweep_flow(observer, runs)(*parameters), progress)
    return _show(result, as_json=as_json)


def _show(result: "SweepReport", *, as_json: bool) -> int:
    from muses_eval.dashboards.tables.sweep import render_sweep
    from muses_eval.dashboards.tables.sweep_scores import render_scores

    if as_json:
        echo(to_json(_record(result)))
    else:
        echo(f"{render_sweep(result.lines, 'table', screen())}\n\n{render_scores(result.scores, 'table', screen())}")
    for line in _remarks(result):
        print(line, file=sys.stderr)  # noqa: T201
    if result.budget_reached:
        return BUDGET_REACHED
    return DONE if result.complete and not result.all_unusable else COVERAGE_SHORT


def _record(result: "SweepReport") -> dict[str, Any]:
    from muses_eval.dashboards.tables.sweep import sweep_record
    from muses_eval.dashboards.tables.sweep_scores import score_records

    return {
        "name": result.name,
        "store": result.store,
        "seconds": round(result.seconds, 3),
        "complete": result.complete,
        "cost_usd": result.cost_usd,
        "budget_reached": result.budget_reached,
        "runs": [_run_record(run) for run in result.runs],
        "cells": [sweep_record(line) for line in result.lines],
        "scores": score_records(result.scores),
    }


def _run_record(run: "SweepRunResult") -> dict[str, Any]:
    report = run.report
    problems = [] if report is None else report.problems
    return {
        "run": run.label,
        "run_id": run.run_id,
        "complete": run.complete,
        "trouble": run.error,
        "cost_usd": None if report is None else report.cost_usd,
        "budget_reached": report is not None and report.budget_reached,
        "agent_faults": [] if report is None else [asdict(faults) for faults in report.faults],
        "problems": [dict(zip(("episodes", "kind", "text"), problem, strict=True)) for problem in problems],
    }


def _remarks(result: "SweepReport") -> Iterator[str]:
    """Yields the remarks below the table."""
    from muses_eval.flows.job.report import fault_lines
    from muses_eval.storage.runs.agent_faults import total_by_entry

    cells = Counter(line.complete for line in result.lines)
    runs = Counter(run.complete for run in result.runs)
    yield (
        f"sweep {result.name} in {result.store}: {cells[True]} of {cells.total()} cells complete, "
        f"{runs[True]} of {runs.total()} runs"
    )
    for run in result.runs:
        if run.error is not None:
            yield f"  run {run.run_id} ended early: {run.error}"
    faults = total_by_entry(each for run in result.runs if run.report is not None for each in run.report.faults)
    yield from (f"  {text}" for text in fault_lines(faults))
    yield from (f"  {text}" for run in result.runs if run.report is not None for text in run.report.notices)
    problems: Counter[tuple[FailureKind, str]] = Counter()
    for run in result.runs:
        for count, kind, text in () if run.report is None else run.report.problems:
            problems[kind, text] += count
    for (kind, text), times in problems.most_common(_SHOWN_PROBLEMS):
        yield f"  {times} x {kind}: {text}"
    if result.budget_reached:
        cap = next(budget_text(run.report.budget) for run in result.runs if run.report is not None)
        yield (
            f"The budget of {cap} for all runs and starts of the sweep is reached: no further episode was started. "
            "To play the rest, start the same command with a higher budget (--budget-usd, --budget-tokens, or in the "
            "file)."
        )
    elif not result.complete:
        yield pending_advice({kind for kind, _ in problems})
    for run in result.runs:
        if run.report is not None and run.report.all_unusable:
            yield f"run {run.label}: {ALL_UNUSABLE}"
