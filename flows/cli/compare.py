"""``muses compare``: differences between models, with significance tests."""

from typing import Annotated, Literal

from cyclopts import Parameter
from muses_eval.flows.api.compare import read_comparison
from muses_eval.flows.api.source import locate
from muses_eval.flows.cli import DONE
from muses_eval.flows.cli.find_run import print_lost
from muses_eval.flows.cli.options import OfRun, Store
from muses_eval.flows.cli.output import echo, screen
from muses_eval.pipeline.episode.score import Scoring
from muses_eval.pipeline.errors import ConfigError

Model = Annotated[str | None, Parameter(help="A model of the run, or RUN:MODEL for one of another run.")]
All = Annotated[bool, Parameter(name="--all", help="Compare every pair of the run's models and rank the models.")]
Family = Annotated[str | None, Parameter(help="Only the columns of one family.")]
Correction = Annotated[
    Literal["holm", "bh"],
    Parameter(help="When many are compared: holm bounds the chance of any false claim, bh the share of false claims."),
]


def compare(  # noqa: PLR0913 - the command's options
    a: Model = None,
    b: Model = None,
    /,
    *,
    every_pair: All = False,
    family: Family = None,
    run: OfRun = None,
    scoring: Scoring = "published",
    store: Store = None,
    correction: Correction = "holm",
    format: Literal["table", "md", "json"] = "table",  # noqa: A002 - the option's name
) -> int:
    """Compare two models on the scenarios that both have played. Without --run: of the newest run with scores."""
    from muses_eval.dashboards.tables.comparison import render_comparison
    from muses_eval.dashboards.tables.ranking import render_ranking
    from muses_eval.storage.analysis.compare import ComparisonSettings
    from muses_eval.storage.analysis.ranking import Ranking

    if every_pair and a is not None:
        raise ConfigError("--all compares every pair of models: leave out their names, or leave out --all")
    settings = ComparisonSettings(scoring=scoring, family=family, correction=correction)
    found = read_comparison(locate(store, run), a, b, settings, print_lost, every_pair=every_pair)
    if isinstance(found, Ranking):
        echo(render_ranking(found, format, screen()))
    else:
        echo(render_comparison(found, format, screen()))
    return DONE
