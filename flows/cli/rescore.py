"""``muses rescore``: scores stored transcripts again."""

import shlex
import sys
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from muses_eval.flows.cli import DONE
from muses_eval.flows.cli.options import Json, Run, Store
from muses_eval.flows.cli.output import echo, to_json
from muses_eval.flows.settings import read_settings
from muses_eval.pipeline.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from muses_eval.flows.job.rescore import OnProgress, RescoreReport

Scenarios = Annotated[
    str | None,
    Parameter(help="JSONL file or folder, or generated:N@SEED. Default: the dataset of the run's config."),
]


def rescore(run: Run, /, *, store: Store = None, dataset: Scenarios = None, as_json: Json = False) -> int:
    """Score a run's transcripts again with today's scorers, without a model call. Old scores stay in the store."""
    from muses_eval.flows.job.rescore import RescoreOptions, rescore as score_again
    from muses_eval.storage.objects.open_store import open_store
    from muses_eval.storage.runs.resolve_run import resolve_run

    url = store or read_settings().store
    run_id = resolve_run(open_store(url), run)
    try:
        with _progress() as move:
            report = score_again(url, run_id, dataset, RescoreOptions(on_progress=move))
    except KeyboardInterrupt:
        again = shlex.join(["muses", *sys.argv[1:]])
        raise Interrupted(f"interrupted; whole parts are stored. Resume with: {again}") from None
    echo(to_json(asdict(report)) if as_json else _table(report))
    return DONE


def _table(report: "RescoreReport") -> str:
    from muses_eval.dashboards.tables.text_table import text_table

    header = ["family", "scorer version", "rescored", "of them changed", "were current", "have no scores"]
    body = [
        [f.family, *map(str, (f.scorer_version, f.rescored, f.changed, f.current, f.unscored))] for f in report.families
    ]
    head = f"run {report.run_id} in {report.store} · dataset version {report.dataset_version}"
    return f"{head}\n{text_table(header, body, numeric=range(1, len(header)))}"


@contextmanager
def _progress() -> "Iterator[OnProgress]":
    """Shows one progress bar per family on a terminal; nothing when stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield lambda _family, _done, _owed: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        items = {}

        def move(family: str, done: int, owed: int) -> None:
            if family not in items:
                items[family] = bar.add_task(family, total=owed)
            bar.update(items[family], completed=done, total=owed)

        yield move
