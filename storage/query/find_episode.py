"""One episode with its messages, found by a prefix of its id."""

import duckdb
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.errors import MusesError
from muses_eval.storage.schema.parquet_schema import SCHEMA, episodes_from_table

_MAX_LISTED = 5


def find_episode(connection: duckdb.DuckDBPyConnection, prefix: str, run_id: str | None = None) -> Episode:
    """Returns the only episode whose id begins with *prefix*.

    Args:
        connection: from :func:`muses_eval.storage.query.duckdb_connection.connect`.
        prefix: the beginning of an episode id.
        run_id: needed when the same episode was played in several runs.

    Raises:
        MusesError: no episode matches, or several do.
    """
    found = connection.execute(
        # Ids are hexadecimal.  The bounds let DuckDB skip row groups by the statistics of a sealed object.
        "SELECT DISTINCT episode_id, run_id, model, family FROM traces"
        " WHERE episode_id >= $prefix AND episode_id < $prefix || 'g' AND starts_with(episode_id, $prefix)"
        " AND ($run_id IS NULL OR run_id = $run_id) ORDER BY ALL LIMIT $limit",
        {"prefix": prefix, "run_id": run_id, "limit": _MAX_LISTED + 1},
    ).fetchall()
    if len(found) != 1:
        raise MusesError(_problem(prefix, run_id, found))
    columns = ", ".join(SCHEMA.names)
    table = connection.execute(
        # Model and family limit the query to a few row groups.
        f"SELECT {columns} FROM episodes WHERE episode_id = $1 AND run_id = $2"  # noqa: S608 - our own column names
        " AND model = $3 AND family = $4",
        list(found[0]),
    ).to_arrow_table()
    return episodes_from_table(table)[0]


def _problem(prefix: str, run_id: str | None, found: list[tuple[str, str, str, str]]) -> str:
    place = "the store" if run_id is None else f"the run {run_id!r}"
    if not found:
        return f"no episode of {place} has an id that begins with {prefix!r}; the view 'episodes' lists them all"
    shown = ", ".join(f"{episode} (run {run})" for episode, run, _, _ in found[:_MAX_LISTED])
    more = ", ..." if len(found) > _MAX_LISTED else ""
    return (
        f"several episodes of {place} have ids that begin with {prefix!r}: {shown}{more};"
        " write more of the id, or name the run"
    )
