"""``muses deploy``."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from muses_eval.flows.cli import DONE
from muses_eval.flows.cli.options import Json, RunOptions, load_raw
from muses_eval.flows.cli.output import echo, json_value, to_json
from muses_eval.flows.cli.sweep import MostCells
from muses_eval.flows.installation import DEPLOYMENTS
from muses_eval.flows.settings import make_home, read_settings, set_environment_defaults
from muses_eval.pipeline.config.grid import MOST_CELLS

if TYPE_CHECKING:
    from muses_eval.flows.prefect_flows.deployments import RegisteredDeployment, RetiredDeployment

Config = Annotated[Path, Parameter(help="YAML file of a run or a sweep.")]
PrefectFile = Annotated[Path, Parameter(help="File of deployments; default: infra/prefect.yaml of the project.")]


def deploy(
    config: Config,
    /,
    *,
    prefect_file: PrefectFile = DEPLOYMENTS,
    most_cells: MostCells = MOST_CELLS,
    as_json: Json = False,
) -> int:
    """Register Prefect deployments: nights and store maintenance on a schedule, runs and sweeps on demand."""
    settings = read_settings()
    set_environment_defaults(settings)
    make_home(settings.prefect_home)
    from muses_eval.flows.prefect_flows.deployment_file import placeholder_values, read_deployments
    from muses_eval.flows.prefect_flows.deployments import check_blocks, register, require_server

    raw, source = load_raw(config, RunOptions(), settings.store)
    entries = read_deployments(
        prefect_file, placeholder_values(json_value(raw), source, settings, Path.cwd(), most_cells)
    )
    server = require_server()
    check_blocks(raw.get("notify", ()))
    done = register(entries)
    if as_json:
        found, gone = ([asdict(each) for each in part] for part in (done.registered, done.gone))
        echo(to_json({"server": server, "deployments": found, "left_out": entries.left_out, "gone": gone}))
        return DONE
    echo(_table(done.registered))
    for former, present in entries.moved.items():
        print(f"{prefect_file}: entrypoint {former} is now {present}; write that", file=sys.stderr)  # noqa: T201
    for entrypoint, reason in entries.left_out.items():
        print(f"left out: {entrypoint}: {reason}", file=sys.stderr)  # noqa: T201
    for new in done.registered:
        if new.instead_of is not None:
            print(_replacement_notice(new), file=sys.stderr)  # noqa: T201
    for old in done.gone:
        print(_retirement_notice(old), file=sys.stderr)  # noqa: T201
    for pool in dict.fromkeys(each.pool for each in done.registered):
        print(f"run them with: prefect worker start --pool {pool}", file=sys.stderr)  # noqa: T201
    return DONE


def _replacement_notice(new: "RegisteredDeployment") -> str:
    return (
        f"{new.name} was the deployment of another configuration ({new.instead_of}) and has been replaced; to keep "
        "both, give them different names (name, nightly.name)"
    )


def _retirement_notice(gone: "RetiredDeployment") -> str:
    delete = shlex.join(("prefect", "deployment", "delete", gone.name))
    paused = "; its schedule is paused" if gone.paused else ""
    return f"not in the configuration any more: {gone.name}{paused}; `{delete}` deletes it"


def _table(done: "Sequence[RegisteredDeployment]") -> str:
    from muses_eval.dashboards.tables.text_table import text_table

    rows = [
        [
            each.name,
            ", ".join(each.schedules) or shlex.join(("prefect", "deployment", "run", each.name)),
            f"{each.pool}/{each.queue}",
        ]
        for each in done
    ]
    return text_table(["deployment", "starts", "pool and queue"], rows)
