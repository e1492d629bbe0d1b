"""``muses leaderboard``, ``muses sql``, ``muses trace``: questions to a store."""

import csv
import json
import sys
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Literal

from dashboards.text import text_table
from flows.cli import DONE
from flows.cli.options import Store
from flows.settings import read_settings
from pipeline.errors import ConfigError, MusesError
from pipeline.scores import Scoring

_SHOWN_ROWS = 200


def leaderboard(
    *,
    store: Store = None,
    run: str | None = None,
    scoring: Scoring = "published",
    format: Literal["table", "md", "csv", "json"] = "table",  # noqa: A002 - the option's name
    coverage: float = 0.99,
) -> int:
    """Print mean ± SE of every model and column. Without --run: of the newest run in the store."""
    from dashboards.leaderboard import render_leaderboard
    from storage.leaderboard import leaderboard as read_leaderboard
    from storage.runs import newest_run
    from storage.sql import connect

    url = store or read_settings().store
    with connect(url, run) as connection:
        run_id = run or newest_run(connection)
        rows = read_leaderboard(connection, scoring, run_id, coverage) if run_id is not None else []
    if not rows:
        wanted = f"run {run!r}" if run else "run"
        raise MusesError(f"there is no {wanted} in the store {url}; `muses run` makes one, --store names another store")
    _print(render_leaderboard(rows, format))
    return DONE


def sql(query: str, /, *, store: Store = None, format: Literal["table", "json", "csv"] = "table") -> int:  # noqa: A002
    """Ask anything of the traces. Views: episodes, scores, messages, calls, runs, leaderboard_cells and more.

    Parameters
    ----------
    query
        DuckDB SQL, as "select outcome, count(*) from episodes group by 1".
    """
    import duckdb

    from storage.sql import connect

    with connect(store or read_settings().store) as connection:
        try:
            answer = connection.execute(query)
            header = [column[0] for column in answer.description or ()]
            rows = answer.fetchall()
        except duckdb.Error as error:
            raise ConfigError(f"the query failed: {error}") from error
    match format:
        case "json":
            _print(json.dumps([dict(zip(header, map(_json_value, row), strict=True)) for row in rows], indent=2))
        case "csv":
            writer = csv.writer(sys.stdout)
            writer.writerow(header)
            writer.writerows(map(_json_value, row) for row in rows)
        case "table":
            _print(text_table(header, [[_cell(value) for value in row] for row in rows], _numeric(rows)))
    return DONE


def trace(episode_id: str, /, *, store: Store = None, run: str | None = None, raw: bool = False) -> int:
    """Print one episode as a readable transcript: who said what to whom.

    Parameters
    ----------
    episode_id
        The id, or the beginning of one.
    run
        Needed only when the same episode was played in several runs.
    raw
        Also show the agent's replies as the model wrote them, and the briefing.
    """
    from dashboards.transcript import render_transcript
    from storage.sql import connect
    from storage.trace import find_episode

    with connect(store or read_settings().store, run) as connection:
        _print(render_transcript(find_episode(connection, episode_id, run), raw=raw))
    return DONE


def _numeric(rows: Sequence[Sequence[Any]]) -> list[int]:
    first = rows[0] if rows else ()
    return [index for index, value in enumerate(first) if isinstance(value, (int, float)) and value is not True]


def _cell(value: Any) -> str:  # noqa: ANN401 - whatever a query gives
    if value is None:
        return "NULL"
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(_json_value(value), ensure_ascii=False)


def _json_value(value: Any) -> Any:  # noqa: ANN401
    """A value of DuckDB as JSON has it."""
    if isinstance(value, dict):
        return {str(key): _json_value(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_value(inner) for inner in value]
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def _print(text: str) -> None:
    print(text)  # noqa: T201 - data goes to stdout
