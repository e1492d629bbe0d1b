"""``muses compare``: who is better where, and whether chance explains it."""

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from flows.cli import DONE
from flows.cli.options import Store
from flows.cli.output import put
from flows.settings import read_settings
from pipeline.errors import ConfigError, MusesError
from pipeline.families import FAMILIES
from pipeline.scores import Scoring

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Model = Annotated[str | None, Parameter(help="A model of the run, or RUN:MODEL for one of another run.")]
All = Annotated[bool, Parameter(name="--all", help="Every pair of the run's models, and the ranks these leave open.")]
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
    from dashboards.compare import render_comparison, render_standings
    from storage.compare import Terms, compare as compare_two, compare_all, find_side

    if family is not None and family not in FAMILIES:
        raise ConfigError(f"no family {family!r}; there are {', '.join(FAMILIES)}")
    if every_pair and a is not None:
        raise ConfigError("--all compares every pair of models: leave out their names, or leave out --all")
    terms = Terms(scoring=scoring, family=family, correction=correction)
    elsewhere = any(":" in name for name in (a, b) if name)
    connection, played, run_id = _open(store or read_settings().store, run, alone=run is not None and not elsewhere)
    with connection:
        if every_pair:
            put(render_standings(compare_all(connection, run_id, terms), format))
            return DONE
        if a is None or b is None:
            models = ", ".join(played[run_id])
            raise ConfigError(f"name two models to compare, or give --all; the run {run_id!r} has: {models}")
        one, other = (find_side(played, name, run_id) for name in (a, b))
        put(render_comparison(compare_two(connection, one, other, terms), format))
    return DONE


def _open(url: str, run: str | None, *, alone: bool) -> "tuple[DuckDBPyConnection, dict[str, list[str]], str]":
    """A connection over the store or over one run *alone*, the models it has by run, and the run that is meant."""
    from storage.compare import played_models
    from storage.runs import newest_run
    from storage.sql import connect

    connection = connect(url, run if alone else None)
    played, run_id = played_models(connection), run or newest_run(connection)
    if run_id is not None and run_id in played:
        return connection, played, run_id
    there = list(played_models(connect(url)))
    if not there:
        raise MusesError(f"there is no run in the store {url}; `muses run` makes one, --store names another store")
    shown = ", ".join(there[-_SHOWN_RUNS:])
    raise MusesError(f"the store {url} has no episodes of a run {run_id!r}; it has some of: {shown}")
