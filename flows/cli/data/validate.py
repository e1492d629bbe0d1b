"""``muses data validate``: reads every row and reports every problem."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Annotated, Any

from cyclopts import Parameter
from muses_eval.dashboards.tables.text_table import printable, text_table
from muses_eval.flows.cli import BAD_USAGE, DONE
from muses_eval.flows.cli.data.options import (
    Families,
    Target,
    dataset_config,
    listed,
)
from muses_eval.flows.cli.data.problem_record import problem_record
from muses_eval.flows.cli.data.scenario_counts import format_counts, user_counts, user_range, variant_counts
from muses_eval.flows.cli.options import Json
from muses_eval.flows.cli.output import echo, to_json
from muses_eval.flows.data.dataset_check import Inspection, Shortfall, inspect, play_oracle
from muses_eval.pipeline.datasets.briefing_check import briefing_gaps
from muses_eval.pipeline.datasets.dataset import SourceRow, dataset_from_rows, generate_rows
from muses_eval.pipeline.errors import DatasetError
from muses_eval.pipeline.text.count_text import count_text
from muses_eval.storage.objects.dataset_files import inspect_rows, read_rows

_GENERATED = "generated:"


def validate(
    target: Target,
    /,
    *,
    family: Families = (),
    oracle: Annotated[
        bool, Parameter(help="Also play scripted/oracle, and list the scenarios that it does not solve.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Read every row and report every problem with file, line, field and expected value. Exit 2 on problems."""
    families = dataset_config({}, family).families or None
    inspection = inspect(_rows_or_errors(target), families)
    problems = list(inspection.problems)
    if not inspection.rows and not problems:
        problems.append(DatasetError(target, "no rows; expected one scenario per line"))
    elif not inspection.scenarios and not problems:
        problems.append(
            DatasetError(target, f"none of its {inspection.rows} rows belongs to the family {listed(family)}")
        )
    dataset = None if problems else dataset_from_rows(target, _valid_rows(target), families)
    shortfalls = asyncio.run(play_oracle(inspection.scenarios)) if oracle else []
    version = None if dataset is None else dataset.version
    gaps = [gap for group in inspection.scenarios.values() for each in group for gap in briefing_gaps(each)]
    if as_json:
        record = _validation_record(target, inspection, problems, version, shortfalls if oracle else None)
        echo(to_json({**record, "warnings": list(map(str, gaps))}))
    else:
        for line in _validation_lines(target, inspection, problems, version):
            echo(printable(line))
        for gap in gaps:
            echo(printable(f"warning: {gap}"))
        if oracle:
            _print_oracle(inspection, shortfalls)
    return BAD_USAGE if problems or shortfalls else DONE


def _rows_or_errors(target: str) -> Iterable[SourceRow | DatasetError]:
    """Yields the rows of a dataset, and an error in place of each unreadable line."""
    return _valid_rows(target) if target.startswith(_GENERATED) else inspect_rows(target)


def _valid_rows(target: str) -> Iterable[SourceRow]:
    """Yields the rows of a dataset as a run reads them.

    Raises:
        DatasetError: a line is not readable.
    """
    if not target.startswith(_GENERATED):
        return read_rows(target)
    spec = dataset_config(target).dataset
    return (SourceRow(target, None, row) for row in generate_rows(spec.size, spec.seed, None, spec.most_users))


def _validation_lines(
    target: str, inspection: Inspection, problems: list[DatasetError], version: str | None
) -> Iterator[str]:
    yield from map(str, problems)
    if inspection.scenarios:
        cells = [
            [name, str(len(scenarios)), user_range(scenarios), format_counts(variant_counts(scenarios))]
            for name, scenarios in inspection.scenarios.items()
        ]
        yield text_table(["family", "scenarios", "users", "variants"], cells, numeric=(1,))
    if problems:
        yield f"{target}: {count_text(inspection.rows, 'row')}, {count_text(len(problems), 'problem')}"
    else:
        yield f"{target}: {count_text(inspection.rows, 'row')}, no problems · dataset version {version}"


def _validation_record(
    target: str,
    inspection: Inspection,
    problems: list[DatasetError],
    version: str | None,
    shortfalls: list[Shortfall] | None,
) -> dict[str, Any]:
    """Returns the JSON record of a validation; *shortfalls* is None when the oracle did not play."""
    return {
        "dataset": target,
        "dataset_version": version,
        "rows": inspection.rows,
        "problems": list(map(problem_record, problems)),
        "families": {
            name: {
                "scenarios": len(scenarios),
                "users": {str(number): count for number, count in user_counts(scenarios).items()},
                "variants": variant_counts(scenarios),
            }
            for name, scenarios in inspection.scenarios.items()
        },
        "oracle": None if shortfalls is None else [asdict(shortfall) for shortfall in shortfalls],
    }


def _print_oracle(inspection: Inspection, shortfalls: list[Shortfall]) -> None:
    for shortfall in shortfalls:
        echo(printable(str(shortfall)))
    played = sum(map(len, inspection.scenarios.values()))
    short = len({(shortfall.family, shortfall.id) for shortfall in shortfalls})
    echo(f"oracle: {count_text(played, 'scenario')} played, {short} below 1")
