"""``muses diff``: differences between two runs in their inputs and results."""

from muses_eval.flows.cli import DONE
from muses_eval.flows.cli.find_run import find_run, query_store
from muses_eval.flows.cli.options import Json, Run, Store
from muses_eval.flows.cli.output import echo, screen, to_json
from muses_eval.flows.settings import read_settings
from muses_eval.pipeline.episode.score import Scoring
from muses_eval.pipeline.errors import ConfigError


def diff(
    run_a: Run, run_b: Run, /, *, store: Store = None, scoring: Scoring = "published", as_json: Json = False
) -> int:
    """Show the differences between two runs: dataset, models, users, limits, prices, code, packages, results."""
    from muses_eval.dashboards.tables.run_diff import diff_record, render_diff
    from muses_eval.storage.analysis.compare import ComparisonSettings
    from muses_eval.storage.analysis.run_diff import diff as diff_runs

    url = store or read_settings().store
    a, b = (find_run(url, name) for name in (run_a, run_b))
    if a.run_id == b.run_id:
        raise ConfigError(f"the run {a.run_id!r} was named twice; name two runs")
    found = query_store(url, lambda connection: diff_runs(connection, a, b, ComparisonSettings(scoring=scoring)))
    echo(to_json(diff_record(found)) if as_json else render_diff(found, screen()))
    return DONE
