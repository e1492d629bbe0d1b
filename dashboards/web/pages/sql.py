"""A form for SQL queries.  :mod:`muses_eval.storage.query.sandbox` documents which queries are refused."""

import threading
from collections.abc import Mapping, Sequence

from muses_eval.dashboards.web.page import Page, PageRequest, segment
from muses_eval.dashboards.web.store_cache import StoreCache
from muses_eval.pipeline.errors import MusesError
from muses_eval.storage.query.duckdb_connection import VIEWS, family_views
from muses_eval.storage.query.query_result import QueryLimits, ResultTable
from muses_eval.storage.query.sandbox import query

LIMITS = QueryLimits(seconds=20.0, memory_mb=1024, rows=1000, columns=200, result_mb=2, cell_chars=10_000)
QUERIES_AT_ONCE = 4
_SLOTS = threading.BoundedSemaphore(QUERIES_AT_ONCE)
MAX_QUERY_CHARS = 20_000
EXAMPLES: Mapping[str, str] = {
    "Outcomes of the episodes": """\
select model, family, outcome, count(*) as episodes, round(avg(turns), 2) as turns
from episodes group by all order by all""",
    "Privacy by attack and number of users": """\
select attack, num_users, round(avg(value), 3) as privacy, count(*) as n
from scores where metric = 'privacy' and scoring = 'corrected' and round is null
group by all order by privacy""",
    "Tokens and cost by model and role": """\
select run_id, model, family, role, calls, prompt_tokens, completion_tokens, cache_hit_rate, cost_usd
from usage""",
    "Errors, most frequent first": """\
select model, error_kind, error, count(*) as episodes
from episodes where error_kind is not null group by all order by episodes desc limit 50""",
    "Replies that could not be parsed": """\
select episode_id, content
from messages join episodes using (run_id, episode_id)
where list_contains(flags, 'unparsed') and sender = 'agent' and len(audience) = 0 limit 20""",
}


def sql_page(cache: StoreCache, request: PageRequest) -> Page:
    """Returns the page with the form and the result.

    The query is the field ``q`` of the posted form.  A query in the URL is only filled in, since any site can make a
    browser open a URL.
    """
    ran = request.form is not None
    text = (request.query_params if request.form is None else request.form).get("q", "")
    result: ResultTable | None = None
    problem = ""
    if len(text) > MAX_QUERY_CHARS:
        problem = f"the query has {len(text):,} characters; expected at most {MAX_QUERY_CHARS:,}: shorten it"
    elif ran and text.strip():
        try:
            result = _query(cache, text)
        except MusesError as error:
            problem = str(error)
    return Page(
        title="SQL",
        template="sql.html",
        values={
            "text": text,
            "ran": ran,
            "result": result,
            "links": {} if result is None else _episode_links(cache, result),
            "problem": problem,
            "examples": EXAMPLES,
            "views": cache.get_or_compute(("views",), lambda: _views(cache)),
            "limits": LIMITS,
        },
    )


def _query(cache: StoreCache, text: str) -> ResultTable:
    """Runs a query, unless as many as allowed are running."""
    if not _SLOTS.acquire(blocking=False):
        raise MusesError(f"{QUERIES_AT_ONCE} queries are running, which is the most; press Run again in a moment")
    try:
        return query(cache.store_url, text, LIMITS)
    finally:
        _SLOTS.release()


def _episode_links(cache: StoreCache, result: ResultTable) -> dict[tuple[int, int], str]:
    """Returns (row, column) -> path of the transcript, for the ids of a column ``episode_id``.

    The run is that of the column ``run_id``; without this column, the newest run that has the episode.
    """
    if "episode_id" not in result.columns:
        return {}
    column = result.columns.index("episode_id")
    ids = [row[column] for row in result.rows]
    if "run_id" in result.columns:
        runs = [row[result.columns.index("run_id")] for row in result.rows]
    else:
        newest = (
            "SELECT episode_id, max_by(run_id, started_at) FROM episodes WHERE episode_id IN $1 GROUP BY episode_id"
        )
        asked = sorted({each for each in ids if isinstance(each, str)})
        rows = cache.query(lambda connection: connection.execute(newest, [asked]).fetchall()) if asked else []
        found = dict(rows)
        runs = [found.get(each) for each in ids]
    return {
        (row, column): f"runs/{segment(run)}/episodes/{segment(episode)}.html"
        for row, (run, episode) in enumerate(zip(runs, ids, strict=True))
        if isinstance(run, str) and isinstance(episode, str)
    }


def _views(cache: StoreCache) -> list[tuple[str, Sequence[tuple[str, str]]]]:
    """Returns (view, its columns with their types) in the order of the documentation."""
    columns = "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal ORDER BY column_index"
    rows = cache.query(lambda connection: connection.execute(columns).fetchall())
    found = {
        view: [(name, kind.lower()) for table, name, kind in rows if table == view]
        for view in (*VIEWS, *family_views())
    }
    return [(view, named) for view, named in found.items() if named]
