"""What a store knows of its runs: which is the newest, and what became of a run's episodes."""

from collections import defaultdict
from collections.abc import Mapping

import duckdb


def newest_run(connection: duckdb.DuckDBPyConnection) -> str | None:
    """The run that was started last; None for a store without runs."""
    found = connection.execute("SELECT run_id FROM runs ORDER BY created_at DESC, run_id DESC LIMIT 1").fetchone()
    return found[0] if found else None


def outcome_counts(connection: duckdb.DuckDBPyConnection, run_id: str) -> Mapping[tuple[str, str], Mapping[str, int]]:
    """(model, family) -> outcome -> episodes; what has not been played is not counted."""
    rows = connection.execute(
        "SELECT model, family, outcome, count(*) FROM episodes WHERE run_id = $1 GROUP BY ALL", [run_id]
    ).fetchall()
    counts: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for model, family, outcome, count in rows:
        counts[model, family][outcome] = count
    return counts
