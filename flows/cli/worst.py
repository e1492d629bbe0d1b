"""``muses worst``: the episodes with the lowest scores."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from muses_eval.flows.api.source import locate, query_runs
from muses_eval.flows.cli import DONE
from muses_eval.flows.cli.find_run import print_lost
from muses_eval.flows.cli.options import Json, OfRun, Store
from muses_eval.flows.cli.output import echo, screen, to_json
from muses_eval.pipeline.episode.score import Scoring
from muses_eval.pipeline.errors import MusesError
from muses_eval.pipeline.families import find_family

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from muses_eval.storage.analysis.worst_episodes import WorstEpisode

Model = Annotated[str | None, Parameter(help="Only the episodes of one model; its name may be shortened.")]
Family = Annotated[str | None, Parameter(help="Only the episodes of one family.")]
Most = Annotated[int, Parameter(help="Maximum number of episodes.", validator=Number(gte=1))]


def worst(  # noqa: PLR0913 - the command's options
    *,
    run: OfRun = None,
    model: Model = None,
    family: Family = None,
    scoring: Scoring = "published",
    most: Most = 20,
    store: Store = None,
    as_json: Json = False,
) -> int:
    """List the scored episodes with the lowest scores, to read with `muses trace`."""
    from muses_eval.dashboards.tables.worst_episodes import render_worst_episodes
    from muses_eval.storage.analysis.model_in_run import find_model, models_by_run
    from muses_eval.storage.analysis.worst_episodes import WorstEpisodesQuery, worst_episodes
    from muses_eval.storage.runs.newest_run import newest_run

    if family is not None:
        find_family(family)
    place = locate(store, run)

    def ask(connection: "DuckDBPyConnection") -> "list[WorstEpisode]":
        run_id = place.run_id or newest_run(connection)
        if run_id is None:
            raise MusesError(f"the store {place.store} has no run")
        entry = None if model is None else find_model(models_by_run(connection), model, run_id)
        name = None if entry is None else entry.model
        query = WorstEpisodesQuery(run_id=run_id, model=name, family=family, scoring=scoring, most=most)
        return worst_episodes(connection, query)

    found = query_runs(place.store, ask, place.run_id, print_lost)
    if as_json:
        echo(to_json([{**asdict(each), "metrics": dict(each.metrics)} for each in found]))
    else:
        echo(render_worst_episodes(found, screen()))
    return DONE
