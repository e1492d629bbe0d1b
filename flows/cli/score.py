"""``muses score``: scores replies that were recorded elsewhere, without a model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from muses_eval.flows.cli import DONE
from muses_eval.flows.cli.output import echo, to_json
from muses_eval.pipeline.datasets.dataset import dataset_from_rows
from muses_eval.pipeline.datasets.row_reader import RowError, read_field
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.score import Scoring
from muses_eval.pipeline.errors import ConfigError, DatasetError
from muses_eval.pipeline.families import FAMILIES, unknown_family
from muses_eval.pipeline.families.family import Row
from muses_eval.storage.objects.dataset_files import read_rows


def score(
    family: str,
    *,
    dataset: Annotated[Path, Parameter(help="JSONL file or folder with the scenarios.")],
    cases: Annotated[Path, Parameter(help="JSONL file with one recorded reply per line, joined by scenario_id.")],
    scoring: Scoring = "published",
) -> int:
    """Print one JSON line per case: {case_id, <metric>: value, ...}."""
    if family not in FAMILIES:
        raise ConfigError(unknown_family(family))
    scenarios = dataset_from_rows(str(dataset), read_rows(str(dataset)), [family]).by_family.get(family, {})
    for source, line, case in read_rows(str(cases)):
        try:
            figures = FAMILIES[family].score_case(_scenario(case, scenarios, dataset), case, scoring)
        except RowError as error:
            raise DatasetError(source, error.problem, line, error.field) from error
        echo(to_json({"case_id": case.get("case_id"), **figures}, indent=None))
    return DONE


def _scenario(case: Row, scenarios: Mapping[str, Scenario[Any]], dataset: Path) -> Scenario[Any]:
    """Returns the scenario of a case; a recorded check of a single constraint needs none, and gets the first one."""
    if case.get("kind") == "constraint" and case.get("scenario_id") is None and scenarios:
        return next(iter(scenarios.values()))
    scenario_id = read_field(case, "scenario_id", str)
    if scenario_id not in scenarios:
        raise RowError(f"{dataset} has no scenario {scenario_id!r}", "scenario_id")
    return scenarios[scenario_id]
