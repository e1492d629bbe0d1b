"""A form for SQL queries.  :mod:`muses_eval.storage.query.sandbox` documents which queries are refused."""

from collections.abc import Mapping, Sequence

from muses_eval.dashboards.web.page import Page, PageRequest
from muses_eval.dashboards.web.store_cache import StoreCache
from muses_eval.pipeline.errors import MusesError
from muses_eval.storage.query.duckdb_connection import VIEWS, family_views
from muses_eval.storage.query.sandbox import QueryLimits, ResultTable, query

LIMITS = QueryLimits(seconds=20.0, memory_mb=1024, rows=1000)
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
            result = query(cache.store_url, text, LIMITS)
        except MusesError as error:
            problem = str(error)
    return Page(
        title="SQL",
        template="sql.html",
        values={
            "text": text,
            "ran": ran,
            "result": result,
            "problem": problem,
            "examples": EXAMPLES,
            "views": cache.get_or_compute(("views",), lambda: _views(cache)),
            "limits": LIMITS,
        },
    )


def _views(cache: StoreCache) -> list[tuple[str, Sequence[tuple[str, str]]]]:
    """Returns (view, its columns with their types) in the order of the documentation."""
    columns = "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal ORDER BY column_index"
    rows = cache.query(lambda connection: connection.execute(columns).fetchall())
    found = {
        view: [(name, kind.lower()) for table, name, kind in rows if table == view]
        for view in (*VIEWS, *family_views())
    }
    return [(view, named) for view, named in found.items() if named]
