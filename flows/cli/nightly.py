"""``muses flow nightly``, ``maintain`` and ``status``: nights, store maintenance, results of the last nights."""

import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from muses_eval.flows.cli import BAD_USAGE, BUDGET_REACHED, COVERAGE_SHORT, DONE
from muses_eval.flows.cli.job_runner import ALL_UNUSABLE, resume_advice, run_on_prefect
from muses_eval.flows.cli.options import Config, Json, Quiet, RunOptions, Store, load_config
from muses_eval.flows.cli.output import echo, screen, to_json
from muses_eval.flows.job.progress import ProgressDisplay
from muses_eval.flows.job.signals import interruptible, run_until_signal
from muses_eval.flows.settings import make_home, read_settings, set_environment_defaults
from muses_eval.pipeline.text.credential_masking import mask_json

if TYPE_CHECKING:
    from muses_eval.flows.nightly.night import NightResult

Day = Annotated[str | None, Parameter(name="--date", help="Day of the night, such as 2026-11-23. Default: today.")]
Fresh = Annotated[
    bool,
    Parameter(
        help="Play anew what would be taken over from earlier nights, or was; with --model and --family only these.",
    ),
]
Rules = Annotated[Path, Parameter(help="YAML file with the store and the section `maintain`.")]
DryRun = Annotated[bool, Parameter(help="Show what would change, without changing it.")]
Last = Annotated[int, Parameter(help="Maximum number of nights.", validator=Number(gte=1))]
_NO_OPTIONS = RunOptions()


def nightly(  # noqa: PLR0913 - a command's options
    config: Config = None,
    /,
    *,
    options: RunOptions = _NO_OPTIONS,
    day: Day = None,
    fresh: Fresh = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> int:
    """Run the nightly evaluation: play changed cells and the canary, report changed scores, seal and publish."""
    from muses_eval.flows.nightly.fresh_cells import FreshCells
    from muses_eval.flows.nightly.schedule import night_config, read_day, resolve_night

    settings = read_settings()
    set_environment_defaults(settings)
    anew = None
    if fresh and config is not None:  # the config names the night's models; the options choose among them
        anew = FreshCells(options.model, options.family)
        options = replace(options, model=(), family=())
    elif fresh:
        anew = FreshCells()
    parsed = load_config(config, options, settings.store)
    night_config(parsed, resolve_night(parsed, read_day(day), datetime.now(UTC)))  # raises before a server is started
    make_home(settings.prefect_home)
    with interruptible(resume_advice()), ProgressDisplay(quiet=quiet) as progress:
        from muses_eval.flows.prefect_flows.nightly_flow import make_nightly_flow

        # Prefect shows and keeps the parameters.
        parameters = (mask_json(parsed.model_dump(mode="json")), day, parsed.nightly.name)
        result = run_on_prefect(lambda observer: make_nightly_flow(observer, parsed, anew)(*parameters), progress)
    return _show(result, as_json=as_json)


def maintain(config: Rules, /, *, store: Store = None, dry_run: DryRun = False, as_json: Json = False) -> int:
    """Maintain a store: delete old runs by the config's rules, verify, seal complete runs, collect garbage."""
    from muses_eval.flows.nightly.night_text import upkeep_lines

    settings = read_settings()
    set_environment_defaults(settings)
    parsed = load_config(config, RunOptions(store=store), settings.store)
    make_home(settings.prefect_home)
    with interruptible(
        "interrupted; finished stages are complete, and the store is consistent. Start the command again"
    ):
        from muses_eval.flows.prefect_flows.maintain_flow import make_maintain_flow
        from muses_eval.flows.prefect_flows.server import reach_server, translate_server_errors

        reach_server()
        flow, raw = make_maintain_flow(parsed), parsed.model_dump(mode="json")
        with translate_server_errors():
            report = run_until_signal(lambda _: flow(raw, dry_run, parsed.name), lambda: None)
    echo(to_json(asdict(report)) if as_json else "\n".join(upkeep_lines(report)))
    return DONE if report.is_whole else BAD_USAGE


def status(*, store: Store = None, name: str = "nightly", last: Last = 10, as_json: Json = False) -> int:  # noqa: D417
    """Show the last nights: state, coverage, cells, cost, duration, flags.

    Parameters
    ----------
    name
        Name of the nightly evaluation: `nightly.name` in its config.
    """
    from muses_eval.flows.nightly.night_history import last_nights
    from muses_eval.flows.nightly.night_text import status_table
    from muses_eval.storage.objects.open_store import open_store

    opened = open_store(store or read_settings().store)
    lines = last_nights(opened, name, last)
    if as_json:
        nights = [{**asdict(line), "coverage": line.coverage} for line in lines]
        echo(to_json({"store": opened.url, "name": name, "nights": nights}))
    elif lines:
        echo(status_table(lines, screen()))
    else:
        print(  # noqa: T201
            f"no night {name}-<date> in {opened.url}; `muses flow nightly CONFIG` runs one", file=sys.stderr
        )
    return DONE


def _show(result: "NightResult", *, as_json: bool) -> int:
    from muses_eval.dashboards.tables.leaderboard import leaderboard_records, render_leaderboard
    from muses_eval.flows.nightly.night_text import night_lines
    from muses_eval.storage.analysis.leaderboard import all_unusable

    rows = result.night.rows
    if as_json:
        echo(to_json({**asdict(result.report), "leaderboard": leaderboard_records(rows)}))
    else:
        echo(render_leaderboard(rows, "table", screen=screen()))
        for line in night_lines(result.report):
            print(line, file=sys.stderr)  # noqa: T201
    unusable = all_unusable(rows)
    if unusable:
        print(ALL_UNUSABLE, file=sys.stderr)  # noqa: T201
    if result.report.budget_reached:
        return BUDGET_REACHED
    return DONE if result.report.complete and not unusable else COVERAGE_SHORT
