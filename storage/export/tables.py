"""One view of a run as a CSV, JSONL or Parquet file.

Rows are streamed, so the size of a run does not matter.  The export is lossless: floats have enough digits to restore
the same value, texts are unchanged, and times are in UTC with microseconds.  Nested values stay nested in JSONL and
Parquet, and become JSON in CSV, where NULL is an empty field and an empty text is ``""``.
"""

from pathlib import Path
from typing import Literal

import duckdb
from muses_eval.storage.export.atomic_file import atomic_write

ExportFormat = Literal["csv", "jsonl", "parquet"]
ExportView = Literal["episodes", "scores", "messages", "calls", "events", "evidence", "leaderboard"]

_COPY = {"csv": "FORMAT csv, HEADER true", "jsonl": "FORMAT json", "parquet": "FORMAT parquet, COMPRESSION zstd"}
_GROUP_ROWS = {"episodes": 4096}
"""Rows per row group, which DuckDB keeps in memory; an episode is about a hundred times as large as other rows."""
_OTHER_GROUP_ROWS = 32_768


def export_table(
    connection: duckdb.DuckDBPyConnection, view: ExportView, form: ExportFormat, target: Path, *, replace: bool
) -> int:
    """Writes one view and returns the number of its rows.

    *connection* comes from :func:`~muses_eval.storage.query.duckdb_connection.connect`, over one run.  Its views
    stream afterwards, so use it for this alone.

    Raises:
        ConfigError: the file exists and *replace* is not set, or it cannot be written.
        duckdb.Error: the store cannot be read.
    """
    with atomic_write(target, replace=replace) as part:
        stream_episodes(connection)
        query = f"COPY ({_selected(connection, view, form)}) TO {_quoted(str(part))} ({_options(view, form)})"
        written = connection.execute(query).fetchone()
    return 0 if written is None else int(written[0])


def stream_episodes(connection: duckdb.DuckDBPyConnection) -> None:
    """Replaces the views with views that read a run of any size in little memory.

    The attempt of each episode that counts is determined once, from the keys; the views then stream the objects without
    keeping transcripts in memory.
    """
    connection.execute(
        "CREATE OR REPLACE TABLE counted AS SELECT run_id, episode_id, attempt, shard FROM counted_attempts('traces');"
        "CREATE OR REPLACE VIEW episodes AS WITH attempts AS (FROM with_newest_scores('traces', 'rescored'))"
        " FROM attempts SEMI JOIN counted USING (run_id, episode_id, attempt, shard)"
    )


def _options(view: ExportView, form: ExportFormat) -> str:
    if form != "parquet":
        return _COPY[form]
    return f"{_COPY[form]}, ROW_GROUP_SIZE {_GROUP_ROWS.get(view, _OTHER_GROUP_ROWS)}"


def _selected(connection: duckdb.DuckDBPyConnection, view: ExportView, form: ExportFormat) -> str:
    columns = connection.execute(f"DESCRIBE {view}").fetchall()
    nested = [name for name, kind, *_ in columns if kind.endswith("[]") or kind.startswith(("STRUCT", "MAP"))]
    if form != "csv" or not nested:
        return f"FROM {view}"
    return f"SELECT * REPLACE ({', '.join(f'to_json({name}) AS {name}' for name in nested)}) FROM {view}"  # noqa: S608


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
