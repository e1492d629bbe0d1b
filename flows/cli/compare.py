"""``muses compare``: differences between models, with significance tests."""

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from muses_eval.flows.cli import DONE
from muses_eval.flows.cli.find_run import query_runs
from muses_eval.flows.cli.options import Store
from muses_eval.flows.cli.output import echo
from muses_eval.flows.settings import read_settings
from muses_eval.pipeline.episode.score import Scoring
from muses_eval.pipeline.errors import ConfigError, MusesError
from muses_eval.pipeline.families import FAMILIES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Model = Annotated[str | None, Parameter(help="A model of the run, or RUN:MODEL for one of another run.")]
All = Annotated[bool, Parameter(name="--all", help="Compare every pair of the run's models and rank the models.")]
Family = Annotated[str | None, Parameter(help="Only the columns of one family.")]
Correction = Annotated[
    Literal["holm", "bh"],
    Parameter(help="When many are compared: holm bounds the chance of any false claim, bh the share of false claims."),
]
_SHOWN_RUNS = 12


def compare(  # noqa: PLR0913 - the command's options
    a: Model = None,
    b: Model = None,
    /,
    *,
    every_pair: All = False,
    family: Family = None,
    run: str | None = None,
    scoring: Scoring = "published",
    store: Store = None,
    correction: Correction = "holm",
    format: Literal["table", "md", "json"] = "table",  # noqa: A002 - the option's name
) -> int:
    """Compare two models on the scenarios that both have played. Without --run: of the newest run in the store."""
    from muses_eval.dashboards.tables.comparison import render_comparison
    from muses_eval.dashboards.tables.ranking import render_ranking
    from muses_eval.storage.analysis.compare import ComparisonSettings, compare as compare_two
    from muses_eval.storage.analysis.model_in_run import find_model, models_by_run
    from muses_eval.storage.analysis.ranking import rank_models
    from muses_eval.storage.runs.newest_run import newest_run

    if family is not None and family not in FAMILIES:
        raise ConfigError(f"no family {family!r}; there are {', '.join(FAMILIES)}")
    if every_pair and a is not None:
        raise ConfigError("--all compares every pair of models: leave out their names, or leave out --all")
    settings = ComparisonSettings(scoring=scoring, family=family, correction=correction)
    url, elsewhere = store or read_settings().store, any(":" in name for name in (a, b) if name)

    def ask(connection: "DuckDBPyConnection") -> str:
        played, run_id = models_by_run(connection), run or newest_run(connection)
        if run_id is None or run_id not in played:
            there = ", ".join(list(played)[-_SHOWN_RUNS:]) or "none"
            raise MusesError(f"the store {url} has no episodes of a run {run_id!r}; it has some of: {there}")
        if every_pair:
            return render_ranking(rank_models(connection, run_id, settings), format)
        if a is None or b is None:
            models = ", ".join(played[run_id])
            raise ConfigError(f"name two models to compare, or give --all; the run {run_id!r} has: {models}")
        one, other = (find_model(played, name, run_id) for name in (a, b))
        return render_comparison(compare_two(connection, one, other, settings), format)

    echo(query_runs(url, ask, None if elsewhere else run))
    return DONE
