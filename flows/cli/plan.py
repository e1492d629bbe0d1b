"""``muses plan``: episodes, cost, time and detectable differences of a run or a sweep."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from itertools import chain
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number
from muses_eval.flows.cli import DONE
from muses_eval.flows.cli.options import Config, Json, RunOptions, load_raw
from muses_eval.flows.cli.output import budget_text, echo, to_json
from muses_eval.flows.cli.sweep import MostCells
from muses_eval.flows.job.pilot import NO_PILOT, PilotResult
from muses_eval.flows.job.run_preview import RunPreview, estimate_cost_of
from muses_eval.flows.job.signals import interruptible, run_until_signal
from muses_eval.flows.settings import Settings, read_settings, set_environment_defaults
from muses_eval.flows.sweep.sweep import plan_runs
from muses_eval.pipeline.config.budget import Budget
from muses_eval.pipeline.config.grid import MOST_CELLS, expand, has_grid
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.plan.cell_estimate import CellEstimate
from muses_eval.pipeline.plan.cost_estimate import CostEstimate
from muses_eval.pipeline.plan.duration import sequential_duration
from muses_eval.pipeline.plan.gpu_waves import WaveSchedule, schedule_waves, server_key
from muses_eval.pipeline.plan.interval import Interval
from muses_eval.pipeline.plan.playable_share import playable_share
from muses_eval.pipeline.retirement import retirement_notices
from muses_eval.pipeline.text.count_text import count_text

Pilot = Annotated[
    int | None,
    Parameter(
        help="Play this many episodes of every cell in the store of the run, and estimate from them.",
        validator=Number(gte=2),
    ),
]
Gpus = Annotated[
    int | None,
    Parameter(help="Show when each model is served on a cluster with this many GPUs.", validator=Number(gte=1)),
]
_NO_OPTIONS = RunOptions()


def plan(  # noqa: PLR0913 - a command's options
    config: Config = None,
    /,
    *,
    options: RunOptions = _NO_OPTIONS,
    pilot: Pilot = None,
    gpus: Gpus = None,
    most_cells: MostCells = MOST_CELLS,
    as_json: Json = False,
) -> int:
    """Show the episodes, cost and time of a run or a sweep without running it (apart from an optional pilot)."""
    settings = read_settings()
    raw, source = load_raw(config, options, settings.store)
    previews = [
        RunPreview.of(run, NO_PILOT if pilot is None else _pilot(run.config, settings, pilot))
        for run in plan_runs(expand(raw, source, most_cells))
    ]
    notices = retirement_notices(chain.from_iterable(preview.called for preview in previews), _today())
    for notice in (*dict.fromkeys(chain.from_iterable(preview.notes for preview in previews)), *notices):
        _say(notice)
    scheduled = None if gpus is None else _gpu_schedule(previews, gpus)
    if as_json:
        record = _sweep_record(previews) if has_grid(raw) else _run_record(previews[0])
        echo(to_json({**record, "gpus": None if scheduled is None else scheduled.record}))
        return DONE
    for text in _sweep_texts(previews) if has_grid(raw) else _run_texts(previews[0]):
        echo(text)
    if gpus_text := _gpus_text(previews, scheduled, asked=gpus is not None):
        echo(gpus_text)
    return DONE


def _together(previews: Sequence[RunPreview]) -> list[CellEstimate]:
    return [cell for preview in previews for cell in preview.cell_estimates]


def _run_record(preview: RunPreview) -> dict[str, Any]:
    from muses_eval.dashboards.tables.cost_estimate import estimate_record

    estimate = estimate_cost_of(preview.cell_estimates)
    return {
        **preview.head,
        "smallest_difference": preview.smallest,
        "estimate": estimate_record(estimate),
        "budget": _budget_record(preview.budget, estimate),
        "cells": preview.cells,
    }


def _sweep_record(previews: Sequence[RunPreview]) -> dict[str, Any]:
    from muses_eval.dashboards.tables.cost_estimate import estimate_record

    estimate = estimate_cost_of(_together(previews))
    return {
        "episodes": sum(preview.head["episodes"] for preview in previews),
        "cells": sum(len(preview.cells) for preview in previews),
        "estimate": estimate_record(estimate),
        "budget": _budget_record(previews[0].budget, estimate),
        "runs": [{"run": preview.label, **_run_record(preview)} for preview in previews],
    }


def _run_texts(preview: RunPreview) -> Iterator[str]:
    from muses_eval.dashboards.tables.cost_estimate import render_estimate
    from muses_eval.dashboards.tables.text_table import text_table

    head, cells = preview.head, preview.cells
    dataset = f"dataset {head['dataset']} (version {head['dataset_version']})"
    yield f"run {head['run_id']} · {dataset} · protocol {head['protocol']}"
    left_out = {"base_model"} if preview.has_agents else {"base_model", "agent", "facts"}
    if not any(cell.get("unusable_share") for cell in cells):
        left_out.add("unusable_share")
    header = [name for name in cells[0] if name not in left_out]
    rows = [[_cell_text(cell, name) for name in header] for cell in cells]
    titles = ["unusable" if name == "unusable_share" else name for name in header]
    yield text_table(titles, rows, numeric=range(header.index("shards"), len(header)))
    yield f"{count_text(head['episodes'], 'episode')} in {count_text(len(cells), 'cell')}"
    expected = estimate_cost_of(preview.cell_estimates)
    if expected.by_model:
        yield render_estimate(expected)
    yield from _budget_text(preview.budget, expected)
    yield preview.smallest_text


def _cell_text(cell: Mapping[str, Any], name: str) -> str:
    from muses_eval.dashboards.tables.score_format import share_text

    return share_text(cell[name]) if name == "unusable_share" else str(cell[name])


def _sweep_texts(previews: Sequence[RunPreview]) -> Iterator[str]:
    from muses_eval.dashboards.tables.cost_estimate import RunEstimate, render_estimate, render_runs

    yield render_runs(
        [
            RunEstimate(
                each.label, len(each.cells), each.head["episodes"], estimate_cost_of(each.cell_estimates), each.smallest
            )
            for each in previews
        ]
    )
    cells, episodes = (sum(part) for part in zip(*((len(o.cells), o.head["episodes"]) for o in previews), strict=True))
    protocols = " and ".join(dict.fromkeys(preview.head["protocol"] for preview in previews))
    extent = f"{count_text(episodes, 'episode')} in {count_text(cells, 'cell')} of {count_text(len(previews), 'run')}"
    yield f"{extent} · protocol {protocols}"
    expected = estimate_cost_of(_together(previews))
    if expected.by_model:
        yield render_estimate(expected)
    if previews[0].budget is not None:
        yield f"the budget of {budget_text(previews[0].budget)} is for all runs together"
    yield from _budget_text(previews[0].budget, expected)


def _budget_record(budget: Budget | None, estimate: CostEstimate) -> dict[str, Any] | None:
    if budget is None:
        return None
    share = playable_share(budget, estimate)
    return {**asdict(budget), "playable_share": None if share is None else asdict(share)}


def _budget_text(budget: Budget | None, estimate: CostEstimate) -> Iterator[str]:
    """Yields a line when the budget is, or may be, smaller than the plan."""
    share = None if budget is None else playable_share(budget, estimate)
    if share is None or share.low >= 1:
        return
    low, mid, high = (f"{100 * bound:.2g} %" for bound in (share.low, share.mid, share.high))
    verb = "is" if share.mid < 1 else "may be"
    yield (
        f"the budget of {budget} {verb} smaller than the plan: "
        f"about {mid} of the episodes can be played ({low} to {high})"
    )


@dataclass(frozen=True, slots=True)
class _GpuSchedule:
    """Order in which models are served, and the total time."""

    schedule: WaveSchedule
    seconds: Interval

    @property
    def record(self) -> dict[str, Any]:
        from muses_eval.dashboards.tables.gpu_waves import schedule_record

        return schedule_record(self.schedule, self.seconds)


def _gpu_schedule(previews: Sequence[RunPreview], gpus: int) -> _GpuSchedule | None:
    """Returns None when no model is served by this project."""
    agents, users = _served(previews)
    if not agents and not users:
        return None
    schedule = schedule_waves(agents, users, gpus)
    cells = _together(previews)
    turns = [
        estimate_cost_of([cell for cell in cells if server_key(cell.model) in served]).seconds
        for served in (set(map(server_key, wave.models)) for wave in schedule.waves)
    ]
    return _GpuSchedule(schedule, sequential_duration(estimate_cost_of(cells).seconds, turns))


def _served(previews: Sequence[RunPreview]) -> tuple[list[ModelSpec], list[ModelSpec]]:
    """Returns the agents and the users' models that this project serves, one model per group of servers."""
    agents = {server_key(model): model for preview in previews for model in preview.agents}
    users = {server_key(model): model for preview in previews for model in preview.users}
    return [model for servers, model in agents.items() if servers not in users], list(users.values())


def _gpus_text(previews: Sequence[RunPreview], scheduled: _GpuSchedule | None, *, asked: bool) -> str | None:
    from muses_eval.dashboards.tables.gpu_waves import render_schedule, render_without_schedule

    if scheduled is not None:
        return render_schedule(scheduled.schedule, scheduled.seconds)
    agents, users = _served(previews)
    return render_without_schedule([*users, *agents], asked=asked)


def _pilot(parsed: RunConfig, settings: Settings, count: int) -> PilotResult:
    from muses_eval.flows.job.pilot import play_pilot

    set_environment_defaults(settings)
    with interruptible("interrupted; finished episodes are stored and count for the run"):
        return run_until_signal(lambda _: play_pilot(parsed, settings, count, _say), lambda: None)


def _today() -> date:
    return datetime.now(UTC).date()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201
