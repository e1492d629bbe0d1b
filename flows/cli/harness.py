"""``muses harness``: what every agent of a run changes, compared with its model alone."""

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from muses_eval.flows.api.source import locate, query_runs
from muses_eval.flows.cli import DONE
from muses_eval.flows.cli.compare import Correction
from muses_eval.flows.cli.find_run import print_lost
from muses_eval.flows.cli.options import Store
from muses_eval.flows.cli.output import echo
from muses_eval.pipeline.episode.score import Scoring

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from muses_eval.storage.analysis.harness_effect import HarnessReport


def harness(
    run: Annotated[str | None, Parameter(help="Default: the newest run in the store.")] = None,
    /,
    *,
    scoring: Scoring = "published",
    correction: Correction = "holm",
    store: Store = None,
    format: Literal["table", "md", "csv", "latex", "json"] = "table",  # noqa: A002 - the option's name
) -> int:
    """Compare the agents of a run with their models alone, in scores, cost and time."""
    from muses_eval.dashboards.tables.harness_effect import render_harness_effects
    from muses_eval.storage.analysis.compare import ComparisonSettings
    from muses_eval.storage.analysis.harness_effect import harness_effects
    from muses_eval.storage.runs.manifest import NoSuchRunError
    from muses_eval.storage.runs.newest_run import newest_run

    place, settings = locate(store, run), ComparisonSettings(scoring=scoring, correction=correction)

    def ask(connection: "DuckDBPyConnection") -> "HarnessReport":
        run_id = newest_run(connection)
        if run_id is None:
            raise NoSuchRunError(place.store)
        return harness_effects(connection, run_id, settings)

    echo(render_harness_effects(query_runs(place.store, ask, place.run_id, print_lost), format))
    return DONE
