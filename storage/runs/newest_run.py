"""The newest run of a store."""

import duckdb
from muses_eval.storage.runs.nights import is_replay

_PLAYED = "SELECT 1 FROM traces WHERE run_id = $1 AND outcome = 'scored' LIMIT 1"


def newest_run(connection: duckdb.DuckDBPyConnection) -> str | None:
    """Returns the id of the run that was created last among those with scores; None for a store without runs.

    A replay of the flagged cells of a night is passed over.  A start that failed before it scored an episode does not
    hide the results of an earlier run.  When no run has scores, the one that was created last is the newest.
    """
    rows = connection.execute("SELECT run_id FROM runs ORDER BY created_at DESC, run_id DESC").fetchall()
    rows.sort(key=lambda row: is_replay(row[0]))
    scored = (run_id for (run_id,) in rows if connection.execute(_PLAYED, [run_id]).fetchone())
    return next(scored, rows[0][0] if rows else None)


def has_runs(connection: duckdb.DuckDBPyConnection) -> bool:
    """Returns True when the store has a run with a readable manifest."""
    return connection.execute("SELECT 1 FROM runs LIMIT 1").fetchone() is not None
