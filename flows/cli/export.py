"""``muses export``: writes a run in formats that other tools read."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from muses_eval.dashboards.tables.text_table import text_table
from muses_eval.flows.cli import DONE
from muses_eval.flows.cli.find_run import find_run, query_store
from muses_eval.flows.cli.options import Json, Run, Store
from muses_eval.flows.cli.output import echo, to_json
from muses_eval.flows.settings import read_settings
from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.text.count_text import count_text
from muses_eval.storage.export.tables import ExportFormat, ExportView

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Force = Annotated[bool, Parameter(help="Overwrite existing files.")]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class TableOptions:
    """Options of the exports of one view."""

    out: Path
    """The file to write."""
    view: ExportView = "episodes"
    """View to write, with the columns that it has in `muses sql`."""
    store: Store = None
    force: Force = False
    as_json: Json = False


def inspect(
    run: Run,
    /,
    *,
    out: Annotated[Path, Parameter(help="Folder for the logs; created if missing.")],
    store: Store = None,
    force: Force = False,
    as_json: Json = False,
) -> int:
    """Write a run as Inspect logs, one per model and family, for `inspect view` and its dataframes."""
    from muses_eval.storage.export.inspect_logs import WrittenLog, export_inspect

    folder = _expanded(out)
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--out {out}: it is a file; name a folder")
    url = store or read_settings().store
    manifest, written = find_run(url, run), list[WrittenLog]()

    def write(connection: "DuckDBPyConnection") -> list[WrittenLog]:
        """Writes the logs; a repeated call starts from the beginning."""
        while written:
            written.pop().path.unlink()
        written.extend(export_inspect(connection, manifest, folder, replace=force))
        return written

    logs = query_store(url, write, manifest.run_id)
    if as_json:
        files = [
            {"path": str(log.path), "model": log.model, "family": log.family, "episodes": log.episodes} for log in logs
        ]
        echo(to_json({"run_id": manifest.run_id, "files": files}))
    else:
        cells = [[log.model, log.family, str(log.episodes), str(log.path)] for log in logs]
        echo(text_table(["model", "family", "episodes", "file"], cells, numeric=(2,)))
    return DONE


def csv(run: Run, /, options: TableOptions) -> int:
    """Write one view of a run as CSV; nested columns are JSON."""
    return _table(run, "csv", options)


def jsonl(run: Run, /, options: TableOptions) -> int:
    """Write one view of a run as JSON lines."""
    return _table(run, "jsonl", options)


def parquet(run: Run, /, options: TableOptions) -> int:
    """Write one view of a run as one Parquet file."""
    return _table(run, "parquet", options)


def _table(run: str, form: ExportFormat, options: TableOptions) -> int:
    from muses_eval.storage.export.tables import export_table

    url, target = options.store or read_settings().store, _expanded(options.out)
    run_id = find_run(url, run).run_id
    rows = query_store(url, lambda c: export_table(c, options.view, form, target, replace=options.force), run_id)
    if options.as_json:
        echo(to_json({"run_id": run_id, "view": options.view, "rows": rows, "path": str(target)}))
    else:
        echo(f"{target}: {count_text(rows, 'row')} of {options.view}")
    return DONE


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ConfigError(f"--out {path}: {error}; write the absolute path") from error
