"""``muses data generate``: writes generated scenarios as files."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from muses_eval.flows.cli import DONE
from muses_eval.flows.cli.data.options import Families, Force, dataset_config
from muses_eval.flows.cli.data.write import Output, write_and_report
from muses_eval.flows.cli.options import Json
from muses_eval.pipeline.datasets.dataset import generate_rows
from muses_eval.pipeline.families import BUILT_IN_FAMILIES, FAMILIES


def generate(  # noqa: PLR0913 - the options of a command
    *,
    out: Annotated[Path, Parameter(help="Output folder; created if missing.")],
    size: Annotated[str, Parameter(help="tiny, paper, or a number of scenarios per family.")] = "tiny",
    seed: Annotated[
        int, Parameter(help="Random seed. For one seed, a larger dataset starts with the smaller one.")
    ] = 0,
    most_users: Annotated[
        int | None, Parameter(help="Maximum number of users per scenario, from 2 to 30. Default: as in the paper.")
    ] = None,
    family: Families = (),
    force: Force = False,
    as_json: Json = False,
) -> int:
    """Write generated scenarios as one file per family. The same size and seed give the same bytes."""
    config = dataset_config({"size": size, "seed": seed, "most_users": most_users}, family)
    spec = config.dataset
    wanted = [name for name in FAMILIES if name in (config.families or BUILT_IN_FAMILIES)]
    rows = {name: generate_rows(spec.size, spec.seed, [name], spec.most_users) for name in wanted}
    write_and_report(spec.name, rows, Output(out, f"--out {out}", force=force, as_json=as_json))
    return DONE
