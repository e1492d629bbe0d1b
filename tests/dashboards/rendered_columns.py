"""All views, tables and pages that show the leaderboard's columns, rendered for one store.

python -m tests.dashboards.rendered_columns STORE       prints a JSON object: place -> text
"""

import json
import sys
from collections.abc import Iterator
from typing import get_args

from muses_eval.dashboards.tables.comparison import render_comparison
from muses_eval.dashboards.tables.leaderboard import Format, render_leaderboard
from muses_eval.dashboards.tables.ranking import render_ranking
from muses_eval.dashboards.web.export import exported_files
from muses_eval.dashboards.web.store_cache import StoreCache
from muses_eval.storage.analysis.compare import compare
from muses_eval.storage.analysis.leaderboard import leaderboard
from muses_eval.storage.analysis.model_in_run import ModelInRun
from muses_eval.storage.analysis.ranking import rank_models
from muses_eval.storage.query.duckdb_connection import connect


def rendered(store_url: str, run_id: str, models: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """Yields (place, text) of every view, table and page."""
    with connect(store_url) as connection:
        for view in ("leaderboard", "leaderboard_columns", "by_num_users"):
            yield f"view {view}", connection.execute(f"FROM {view}").df().to_string()
        rows = leaderboard(connection)
        for form in get_args(Format):
            yield f"leaderboard as {form}", render_leaderboard(rows, form, with_paper=True)
        a, b = (ModelInRun(run_id, model) for model in models)
        yield "comparison", render_comparison(compare(connection, a, b), "table")
        yield "ranking", render_ranking(rank_models(connection, run_id), "table")
    for path, content in exported_files(StoreCache(store_url)):
        yield path, content.decode()


if __name__ == "__main__":
    json.dump(dict(rendered(sys.argv[1], "run-a", ("model-a", "model-b"))), sys.stdout)
