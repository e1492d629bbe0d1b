"""``muses score``: replies that were recorded elsewhere, scored without a model."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flows.cli import DONE
from pipeline.datasets import dataset_from_rows
from pipeline.errors import ConfigError, DatasetError
from pipeline.families import FAMILIES
from pipeline.rows import RowError, take
from pipeline.scores import Scoring
from storage.dataset_files import read_rows


def score(
    family: str,
    *,
    dataset: Annotated[Path, Parameter(help="JSONL file or folder with the scenarios.")],
    cases: Annotated[Path, Parameter(help="JSONL file: one recorded reply a line, joined by scenario_id.")],
    scoring: Scoring = "published",
) -> int:
    """Print one JSON line a case: {case_id, <metric>: value, ...}."""
    if family not in FAMILIES:
        raise ConfigError(f"no family {family!r}; there are {', '.join(FAMILIES)}")
    scenarios = dataset_from_rows(str(dataset), read_rows(str(dataset)), [family]).by_family.get(family, {})
    for source, line, case in read_rows(str(cases)):
        try:
            scenario_id = take(case, "scenario_id", str)
            if scenario_id not in scenarios:
                raise RowError(f"{scenario_id!r} is no {family} scenario of {dataset}", "scenario_id")
            figures = FAMILIES[family].score_case(scenarios[scenario_id], case, scoring)
        except RowError as error:
            raise DatasetError(source, error.problem, line, error.field) from error
        print(json.dumps({"case_id": case.get("case_id"), **figures}))  # noqa: T201
    return DONE
