"""``muses run`` and ``muses flow evaluate``."""

import sys
from dataclasses import asdict
from typing import Any

from muses_eval.flows.cli import BUDGET_REACHED, COVERAGE_SHORT, DONE
from muses_eval.flows.cli.job_runner import ALL_UNUSABLE, exit_message, pending_advice, resume_advice, run_on_prefect
from muses_eval.flows.cli.options import Config, Json, Quiet, RunOptions, load_config
from muses_eval.flows.cli.output import budget_text, echo, screen, to_json
from muses_eval.flows.job.evaluate import evaluate
from muses_eval.flows.job.progress import ProgressDisplay
from muses_eval.flows.job.report import RunReport, fault_lines
from muses_eval.flows.job.signals import interruptible, run_until_signal
from muses_eval.flows.settings import make_home, read_settings, set_environment_defaults
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.text.count_text import count_text
from muses_eval.pipeline.text.credential_masking import mask_json

_SHOWN_PROBLEMS = 5
_NO_OPTIONS = RunOptions()


def run(
    config: Config = None, /, *, options: RunOptions = _NO_OPTIONS, quiet: Quiet = False, as_json: Json = False
) -> int:
    """Run an evaluation: play every episode that has no score yet, then print the leaderboard."""
    settings = read_settings()
    set_environment_defaults(settings)
    parsed = load_config(config, options, settings.store)
    with interruptible(resume_advice()), ProgressDisplay(quiet=quiet) as progress:
        result = run_until_signal(lambda _: evaluate(parsed, settings, progress.observer), exit_message(progress))
    return _show(result, parsed, as_json=as_json)


def flow_evaluate(
    config: Config = None, /, *, options: RunOptions = _NO_OPTIONS, quiet: Quiet = False, as_json: Json = False
) -> int:
    """Run an evaluation as a Prefect flow: one task per cell, with progress and leaderboard as artifacts."""
    settings = read_settings()
    set_environment_defaults(settings)
    parsed = load_config(config, options, settings.store)
    make_home(settings.prefect_home)
    with interruptible(resume_advice()), ProgressDisplay(quiet=quiet) as progress:
        from muses_eval.flows.prefect_flows.evaluate_flow import make_evaluate_flow

        raw = mask_json(parsed.model_dump(mode="json"))  # Prefect shows and keeps it
        result = run_on_prefect(lambda observer: make_evaluate_flow(observer, parsed)(raw, parsed.name), progress)
    return _show(result, parsed, as_json=as_json)


def _show(result: RunReport, config: RunConfig, *, as_json: bool) -> int:
    from muses_eval.dashboards.tables.leaderboard import leaderboard_records, render_leaderboard

    if as_json:
        echo(to_json({**_summary(result), "leaderboard": leaderboard_records(result.rows)}))
    else:
        echo(render_leaderboard(result.rows, "table", screen=screen()))
    for line in _remarks(result, config):
        print(line, file=sys.stderr)  # noqa: T201
    if result.budget_reached:
        return BUDGET_REACHED
    return DONE if result.complete and not result.all_unusable else COVERAGE_SHORT


def _summary(result: RunReport) -> dict[str, Any]:
    return {
        "run_id": result.run_id,
        "store": result.store,
        "dataset_version": result.dataset_version,
        "protocol": result.protocol,
        "episodes": {"planned": result.planned, **result.outcomes},
        "seconds": round(result.seconds, 3),
        "cost_usd": result.cost_usd,
        "tokens": {"prompt": result.spent.prompt_tokens, "completion": result.spent.completion_tokens},
        "budget": None if result.budget is None else {**asdict(result.budget), "reached": result.budget_reached},
        "agent_faults": [asdict(faults) for faults in result.faults],
        "notices": list(result.notices),
        "problems": [dict(zip(("episodes", "kind", "text"), problem, strict=True)) for problem in result.problems],
    }


def _remarks(result: RunReport, config: RunConfig) -> list[str]:
    """Returns the remarks below the leaderboard."""
    counts = ", ".join(f"{count} {outcome}" for outcome, count in result.outcomes.items() if count)
    planned = count_text(result.planned, "episode")
    lines = [f"run {result.run_id} in {result.store}: {planned} planned, {counts or 'none played'}"]
    if result.spent.calls:
        lines.append(f"  {_spent(result)}")
    if result.unpriced:
        names = ", ".join(result.unpriced)
        lines.append(
            f"  the cost is unknown: no price is known of {names}; write prices: {{input: ..., output: ...}} there"
        )
    lines += [f"  {text}" for text in (*fault_lines(result.faults), *result.notices)]
    for count, kind, text in result.problems[:_SHOWN_PROBLEMS]:
        lines.append(f"  {count} x {kind}: {text}")
    if result.budget_reached:
        lines.append(
            f"The budget of {budget_text(result.budget)} for all starts of the run is reached: no further episode was "
            "started. To play the rest, start the same command with a higher budget (--budget-usd, --budget-tokens, or "
            "in the file)."
        )
    elif not result.complete:
        kinds = {kind for _, kind, _ in result.problems}
        lines.append(f"Coverage is below {config.coverage:.0%}. {pending_advice(kinds)}")
    if result.all_unusable:
        lines.append(ALL_UNUSABLE)
    return lines


def _spent(result: RunReport) -> str:
    spent = result.spent
    missing = f"; {count_text(spent.uncounted, 'call')} did not report theirs" if spent.uncounted else ""
    cost = f"${spent.usd:.4f}"
    if spent.unpriced:
        cost += f" and {count_text(spent.unpriced, 'call')} of unknown cost"
    return (
        f"{count_text(spent.calls, 'call')}, {spent.prompt_tokens} + {spent.completion_tokens} tokens{missing}, {cost}"
    )
