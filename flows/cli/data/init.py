"""``muses data init``: writes an example of each family, to start a dataset of one's own from."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from muses_eval.flows.cli import DONE
from muses_eval.flows.cli.data.options import Families, Force, dataset_config
from muses_eval.flows.cli.data.write import Output, write_and_report
from muses_eval.flows.cli.options import Json
from muses_eval.flows.cli.output import note
from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.families.family import Row


@cache
def example_rows() -> Mapping[str, Row]:
    """Returns family -> a small valid row with all fields that are read; docs/datasets.md shows the same rows."""
    text = files("muses_eval.flows.data").joinpath("example_rows.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def init(
    folder: Annotated[Path, Parameter(help="Output folder; created if missing.")],
    /,
    *,
    family: Families = (),
    force: Force = False,
    as_json: Json = False,
) -> int:
    """Write one small example per family, with all fields, to start a dataset of your own from."""
    wanted = dataset_config({}, family).families or tuple(example_rows())
    if unknown := [name for name in wanted if name not in example_rows()]:
        raise ConfigError(f"no example of {', '.join(unknown)}; there are {', '.join(example_rows())}")
    rows = {name: [row] for name, row in example_rows().items() if name in wanted}
    write_and_report(str(folder), rows, Output(folder, str(folder), force=force, as_json=as_json))
    note(f"edit the files, then check them with: muses data validate {folder} --oracle")
    return DONE
