"""The newest run of a store."""

import duckdb


def newest_run(connection: duckdb.DuckDBPyConnection) -> str | None:
    """Returns the id of the run that was created last; None for a store without runs."""
    found = connection.execute("SELECT run_id FROM runs ORDER BY created_at DESC, run_id DESC LIMIT 1").fetchone()
    return found[0] if found else None
