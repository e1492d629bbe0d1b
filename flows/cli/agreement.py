"""``muses agreement``: how often the scorings agree with recorded verdicts."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from muses_eval.flows.cli import DONE
from muses_eval.flows.cli.output import echo, to_json
from muses_eval.pipeline.agreement.verdict import Scenarios, Verdict, judge
from muses_eval.pipeline.datasets.dataset import dataset_from_rows
from muses_eval.pipeline.datasets.row_reader import RowError
from muses_eval.pipeline.errors import DatasetError
from muses_eval.storage.objects.dataset_files import read_rows


def agreement(
    files: Annotated[list[Path], Parameter(help="JSONL files (also .gz) with one case and its verdict per line.")],
    /,
    *,
    dataset: Annotated[Path | None, Parameter(help="JSONL file or folder with the scenarios of the cases.")] = None,
    format: Literal["table", "md", "json"] = "table",  # noqa: A002 - the option's name
) -> int:
    """Print, per family and scoring, the agreement with recorded verdicts, and every case that disagrees.

    A case with `expected` holds a result of the released scorer and is compared with the published scoring; one with
    `human` holds a person's judgement and is compared with the corrected scoring.
    """
    from muses_eval.dashboards.tables.agreement import render_agreement
    from muses_eval.storage.analysis.agreement import agreement_rates

    scenarios: Scenarios = {}
    if dataset is not None:
        scenarios = dataset_from_rows(str(dataset), read_rows(str(dataset))).by_family
    verdicts = tuple(_verdicts(files, scenarios))
    rates, disagreements = agreement_rates(verdicts), [verdict for verdict in verdicts if not verdict.agrees]
    if format == "json":
        shown = [{**asdict(rate), "share": rate.share, "interval": rate.interval} for rate in rates]
        echo(to_json({"agreement": shown, "disagreements": [asdict(verdict) for verdict in disagreements]}))
    else:
        echo(render_agreement(rates, disagreements, format))
    return DONE


def _verdicts(files: Sequence[Path], scenarios: Scenarios) -> Iterator[Verdict]:
    for path in files:
        for source, line, case in read_rows(str(path)):
            try:
                verdict = judge(case, scenarios)
            except RowError as error:
                raise DatasetError(source, error.problem, line, error.field) from error
            if verdict is not None:
                yield verdict
