"""``muses leaderboard``, ``muses sql``, ``muses trace``: queries of a store."""

import csv
import json
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from cyclopts import Parameter
from muses_eval.dashboards.tables.text_table import one_line, text_table
from muses_eval.flows.api.leaderboard import LeaderboardSettings, read_leaderboard
from muses_eval.flows.api.source import locate, query_runs
from muses_eval.flows.api.trace import read_trace
from muses_eval.flows.cli import DONE
from muses_eval.flows.cli.find_run import print_lost
from muses_eval.flows.cli.options import RUN_HELP, OfRun, RunOptions, Store, load_raw
from muses_eval.flows.cli.output import echo, json_value, screen, to_json
from muses_eval.flows.settings import read_settings
from muses_eval.pipeline.episode.score import Scoring
from muses_eval.pipeline.errors import ConfigError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

T = TypeVar("T")
_LONGEST_CELL = 400
"""Characters of a text that a terminal shows."""

WithPaper = Annotated[bool, Parameter(help="Also show the rows of the paper's table 2, as published.")]
Averaging = Annotated[
    Literal["all", "released"],
    Parameter(help="Average over all scored episodes, or without those that the script of the paper's table 2 drops."),
]
Sql = Annotated[
    str | None,
    Parameter(
        help='DuckDB SQL, such as "select outcome, count(*) from episodes group by 1"; - or none: read from stdin.',
        allow_leading_hyphen=True,
    ),
]
Sweep = Annotated[Path | None, Parameter(help="Configuration with a grid: one table of the scores of all its runs.")]
MaxUnusable = Annotated[
    float | None,
    Parameter(help="Share of unusable replies above which a model is not ranked. Default: that of the run's config."),
]
Bands = Annotated[bool, Parameter(help="Also print the possible ranks from the paired comparisons, such as 2-4.")]


def leaderboard(  # noqa: PLR0913 - the command's options
    *,
    store: Store = None,
    run: OfRun = None,
    scoring: Scoring = "published",
    format: Literal["table", "md", "csv", "json", "latex"] = "table",  # noqa: A002 - the option's name
    coverage: float = 0.99,
    max_unusable: MaxUnusable = None,
    with_paper: WithPaper = False,
    bands: Bands = False,
    averaging: Averaging = "all",
    sweep: Sweep = None,
) -> int:
    """Print the mean ± standard error of every model and column. Default: of the newest run with scores."""
    if with_paper and scoring != "published":
        raise ConfigError("--with-paper: the paper's figures are by --scoring published; leave out one of the two")
    if bands and format not in ("table", "md"):
        raise ConfigError("--bands goes with the formats table and md; programs: `muses compare --all --format json`")
    from muses_eval.dashboards.tables.leaderboard import render_leaderboard
    from muses_eval.dashboards.tables.ranking import render_rank_bands

    settings = LeaderboardSettings(
        scoring=scoring, coverage=coverage, max_unusable=max_unusable, averaging=averaging, bands=bands
    )
    if sweep is not None:
        if run is not None or with_paper or bands:
            raise ConfigError("--sweep shows all runs of a grid; leave out --run, --with-paper and --bands")
        return _sweep_scores(sweep, store, settings, format)
    rows, ranks = read_leaderboard(locate(store, run), settings, print_lost)
    echo(render_leaderboard(rows, format, with_paper=with_paper, screen=screen()))
    if ranks is not None:
        echo(render_rank_bands(ranks, markdown=format == "md", screen=screen()))
    return DONE


def _sweep_scores(config: Path, store: str | None, settings: LeaderboardSettings, form: str) -> int:
    from muses_eval.dashboards.tables.sweep_scores import render_scores, score_records
    from muses_eval.flows.api.sweep_scores import read_sweep_scores
    from muses_eval.pipeline.config.grid import expand

    raw, source = load_raw(config, RunOptions(store=store), read_settings().store)
    runs = read_sweep_scores(expand(raw, source), settings, print_lost)
    match form:
        case "json":
            echo(to_json(score_records(runs)))
        case "table" | "md":
            echo(render_scores(runs, form, screen()))
        case _:
            raise ConfigError(f"--sweep goes with the formats table, md and json, not with {form}")
    return DONE


def sql(
    query: Sql = None,
    /,
    *,
    store: Store = None,
    format: Literal["table", "json", "csv"] = "table",  # noqa: A002 - the option's name
) -> int:
    """Query the stored results with SQL.

    Views: episodes, scores, messages, calls, runs, usage, leaderboard_cells and more.
    """
    import duckdb

    query = _read_query(query)

    def ask(connection: "DuckDBPyConnection") -> tuple[list[str], list[tuple[Any, ...]]]:
        answer = connection.execute(query)
        return [column[0] for column in answer.description or ()], answer.fetchall()

    try:
        header, rows = query_runs(locate(store).store, ask, None, print_lost)
    except duckdb.Error as error:
        raise ConfigError(f"the query failed: {error}") from error
    match format:
        case "json":
            echo(to_json([dict(zip(header, row, strict=True)) for row in rows]))
        case "csv" if header:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(["" if value is None else _text(value) for value in row] for row in rows)
        case "table" if header:
            _print_table(header, rows)
    return DONE


def trace(
    episode_id: Annotated[str, Parameter(help="An episode id, or a prefix of one; `muses worst` lists some.")],
    /,
    *,
    store: Store = None,
    run: Annotated[str | None, Parameter(help=f"{RUN_HELP} Needed when several have played the episode.")] = None,
    raw: Annotated[bool, Parameter(help="Also show the agent's raw replies, and the briefing.")] = False,
) -> int:
    """Print one episode as a readable transcript, and explain its scores: what was right and wrong, by which rule."""
    from muses_eval.dashboards.tables.explanation import explain
    from muses_eval.dashboards.tables.transcript import heading

    found = read_trace(locate(store, run), episode_id, print_lost)
    echo(found.transcript(raw=raw))
    if found.episode.outcome == "scored":
        echo(heading("what was right and wrong"))
        for line in explain(found.episode):
            echo(one_line(line))
    return DONE


def _read_query(query: str | None) -> str:
    """Returns the query of the command line or of stdin.

    Raises:
        ConfigError: there is none.
    """
    if query == "-" or (query is None and not sys.stdin.isatty()):
        query = sys.stdin.read()
    if query is None or not query.strip():
        raise ConfigError('no query: write one, such as muses sql "from runs", or pipe it: muses sql < query.sql')
    if query.startswith("--") and "\n" not in query.strip():
        raise ConfigError(f"{query[:80]!r} is no option of muses sql, and as a query it is only a comment")
    return query


def _print_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Prints rows; on a terminal, long texts are cut."""
    shown = screen()
    longest = None if shown.width is None else _LONGEST_CELL
    cells = [[_cut(_cell(value), longest) for value in row] for row in rows]
    echo(text_table(header, cells, _numeric(rows), shown))
    if longest is not None and (most := max((len(_cell(value)) for row in rows for value in row), default=0)) > longest:
        echo(shown.dim(f"texts of up to {most:,} characters are cut; --format json shows all"))


def _cut(text: str, longest: int | None) -> str:
    return text if longest is None or len(text) <= longest else f"{text[:longest]}…"


def _numeric(rows: Sequence[Sequence[Any]]) -> list[int]:
    """Returns the indices of columns that contain only numbers."""
    columns = enumerate(zip(*rows, strict=True))
    return [index for index, column in columns if all(_is_number(value) or value is None for value in column)]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def _cell(value: object) -> str:
    if value is None:
        return "NULL"
    return f"{value:.6g}" if isinstance(value, float) else _text(value)


def _text(value: object) -> str:
    """Formats one value for a table or CSV; nested values as JSON."""
    if isinstance(value, (str, int, float, Decimal)) and not isinstance(value, bool):
        return str(value)
    shown = json_value(value)
    return shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False)
