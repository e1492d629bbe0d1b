"""``muses diff``: what two runs were made with, and what came of it."""

from typing import Annotated

from cyclopts import Parameter

from flows.cli import DONE
from flows.cli.find_run import find_run, query_store
from flows.cli.options import Json, Store
from flows.cli.output import echo, to_json
from flows.settings import read_settings
from pipeline.errors import ConfigError
from pipeline.scores import Scoring

Run = Annotated[str, Parameter(help="A run's id; `muses store ls` lists them.")]


def diff(
    run_a: Run, run_b: Run, /, *, store: Store = None, scoring: Scoring = "published", as_json: Json = False
) -> int:
    """Show the differences between two runs: dataset, models, users, limits, prices, code, packages, results."""
    from dashboards.diff import diff_record, render_diff
    from storage.analysis.compare import Terms
    from storage.analysis.run_diff import diff as diff_runs

    if run_a == run_b:
        raise ConfigError(f"the run {run_a!r} was named twice; name two runs")
    url = store or read_settings().store
    a, b = (find_run(url, name) for name in (run_a, run_b))
    found = query_store(url, lambda connection: diff_runs(connection, a, b, Terms(scoring=scoring)))
    echo(to_json(diff_record(found)) if as_json else render_diff(found))
    return DONE
